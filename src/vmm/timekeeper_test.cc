#include "vmm/timekeeper.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <random>

#include "riscv/guest_time.h"

namespace lockstep::vmm {
namespace {

constexpr uint64_t kMillisecond = 1'000'000;
constexpr uint64_t kQuantumSteps = 50'000;
constexpr uint64_t kFastQuantumNs = 250'000;
constexpr HostTime kStart{123'456'789'000};

// A live replica's loop on a host whose time the test makes.
class Loop {
 public:
  Loop() { keeper_.start(now_, GuestTicks(0), guest_.rate_q32()); }

  void quantum(uint64_t ns) {
    now_ += ns;
    step_ += kQuantumSteps;
    keeper_.ran(kQuantumSteps, ns);
    if (const auto anchor = keeper_.anchor_when_due(now_, guest_.at(step_))) take(*anchor);
  }
  void quanta(uint64_t count, uint64_t ns) {
    for (uint64_t i = 0; i < count; ++i) quantum(ns);
  }
  void idle(uint64_t ns) {
    now_ += ns;
    take(keeper_.warp(now_, guest_.at(step_)));
  }
  // Guest time ahead of the host's, in ns.
  int64_t error_ns() const {
    return static_cast<int64_t>(guest_.at(step_).value - keeper_.wanted(now_).value) *
           static_cast<int64_t>(riscv::kNanosecondsPerTick);
  }
  HostTime now() const { return now_; }
  Timekeeper& keeper() { return keeper_; }
  GuestTicks guest() const { return guest_.at(step_); }

 private:
  void take(const Timekeeper::Anchor& anchor) {
    ASSERT_GE(anchor.ticks, guest_.at(step_)) << "guest time would go backwards";
    ASSERT_GE(anchor.rate_q32, riscv::kMinRateQ32);
    ASSERT_LE(anchor.rate_q32, riscv::kMaxRateQ32);
    guest_.set_anchor(step_, anchor.ticks, anchor.rate_q32);
  }

  riscv::GuestTime guest_;
  HostTime now_ = kStart;
  Step step_;
  Timekeeper keeper_;
};

TEST(Timekeeper, FollowsTheHostAtASteadySpeed) {
  for (const uint64_t quantum_ns : {uint64_t{50'000}, kFastQuantumNs, 2 * kMillisecond}) {
    Loop loop;
    loop.quanta(400 * kMillisecond / quantum_ns, quantum_ns);
    EXPECT_LT(std::abs(loop.error_ns()), int64_t{2 * kMillisecond}) << quantum_ns;
  }
}

TEST(Timekeeper, SlewsAnErrorAwayWithoutAJump) {
  Loop loop;
  loop.quanta(1'000, kFastQuantumNs);
  loop.quantum(30 * kMillisecond);  // behind, by less than a jump
  EXPECT_LT(loop.error_ns(), 0);
  const GuestTicks before = loop.guest();
  loop.quantum(kFastQuantumNs);
  EXPECT_LT((loop.guest() - before) * riscv::kNanosecondsPerTick, 10 * kMillisecond);
  loop.quanta(5 * Timekeeper::kSlewNs / kFastQuantumNs, kFastQuantumNs);
  EXPECT_LT(std::abs(loop.error_ns()), int64_t{2 * kMillisecond});
}

TEST(Timekeeper, JumpsForwardWhenFarBehind) {
  Loop loop;
  loop.quanta(1'000, kFastQuantumNs);
  loop.quantum(Timekeeper::kJumpNs + 50 * kMillisecond);
  EXPECT_EQ(loop.error_ns(), 0);
}

// A host that stands still, or a process that was stopped: what ran before says how fast the
// machine is, the pause does not.
TEST(Timekeeper, ALongPauseDoesNotMakeGuestTimeRace) {
  for (const uint64_t pause_ns :
       {50 * kMillisecond, 1'000 * kMillisecond, 3'600'000 * kMillisecond}) {
    Loop loop;
    loop.quanta(1'000, kFastQuantumNs);
    loop.quantum(pause_ns);
    for (int i = 0; i < 4'000; ++i) {
      loop.quantum(kFastQuantumNs);
      ASSERT_LT(loop.error_ns(), int64_t{20 * kMillisecond}) << pause_ns << ", quantum " << i;
    }
    EXPECT_LT(std::abs(loop.error_ns()), int64_t{2 * kMillisecond});
  }
}

TEST(Timekeeper, NeverGoesBackAtAnySpeedOfTheHost) {
  std::mt19937_64 random(1);
  for (int run = 0; run < 20; ++run) {
    Loop loop;
    for (int i = 0; i < 2'000 && !::testing::Test::HasFatalFailure(); ++i) {
      if (random() % 16 == 0) {
        loop.idle(random() >> (30 + random() % 34));
      } else {
        loop.quantum(1 + (random() >> (30 + random() % 34)));
      }
    }
  }
}

TEST(Timekeeper, AnIdleWaitEndsAtTheHostsTime) {
  Loop loop;
  loop.quanta(100, kFastQuantumNs);
  loop.idle(70 * kMillisecond);
  EXPECT_GE(loop.error_ns(), 0);
  EXPECT_LT(loop.error_ns(), int64_t{2 * kMillisecond});
}

TEST(Timekeeper, HostTimeOfIsTheInverseOfWanted) {
  Timekeeper keeper;
  keeper.start(kStart, GuestTicks(1'000), 1);
  EXPECT_EQ(keeper.host_time_of(GuestTicks(5)), kStart) << "past: at once";
  for (const uint64_t ticks : {uint64_t{1'000}, uint64_t{1'001}, uint64_t{5'000'000}}) {
    EXPECT_EQ(keeper.wanted(keeper.host_time_of(GuestTicks(ticks))), GuestTicks(ticks));
  }
  EXPECT_GT(keeper.host_time_of(GuestTicks(~uint64_t{0})), kStart) << "no overflow";
}

}  // namespace
}  // namespace lockstep::vmm
