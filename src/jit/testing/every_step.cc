#include "jit/testing/every_step.h"

#include <algorithm>
#include <cstring>
#include <gtest/gtest.h>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/hash.h"
#include "jit/translator.h"
#include "riscv/interpreter/interpreter.h"

namespace lockstep::jit::testing {
namespace {

using namespace lockstep::riscv;
using riscv::testing::first_difference_of;
using riscv::testing::kRamBase;
using riscv::testing::TestGuest;

constexpr uint64_t kLongestPiece = 9;

EngineFactory at_once() {
  return translator_factory({.hot_threshold = 1, .code_cache_bytes = kMinCodeCacheBytes});
}

std::unique_ptr<TestGuest> make(const SetUp& set_up, const EngineFactory& engine) {
  auto guest = std::make_unique<TestGuest>(kGuestPages, engine);
  set_up(*guest);
  return guest;
}

// Runs to a step, also when a run ends before it; not beyond where the hart waits.
void run_to(TestGuest& guest, Step target) {
  while (guest.hart.step < target && !guest.hart.waiting) guest.engine->run_until(target);
}

class Expected {
 public:
  Expected(uint64_t steps, const SetUp& set_up) : set_up_(set_up) {
    const auto guest = make(set_up, make_interpreter);
    start_ = guest->hart.step;
    for (uint64_t i = 0; i <= steps; ++i) {
      run_to(*guest, start_ + i);
      digests_.push_back(hash64(guest->state()));
    }
  }

  Step start() const { return start_; }

  // Whether `guest`, which was to run so many steps, is there; `how` it came there is said if not.
  ::testing::AssertionResult agrees(TestGuest& guest, uint64_t steps, const char* how) const {
    if (hash64(guest.state()) == digests_[steps]) return ::testing::AssertionSuccess();
    const auto expected = make(set_up_, make_interpreter);
    for (uint64_t i = 0; i <= steps; ++i) run_to(*expected, start_ + i);
    return ::testing::AssertionFailure()
           << how << ", to step " << steps << ": " << first_difference_of(*expected, guest);
  }

 private:
  const SetUp& set_up_;
  Step start_;
  std::vector<uint64_t> digests_;
};

// A guest that can be put back to where it started, with all that its engine has cached.
class Rewindable {
 public:
  explicit Rewindable(const SetUp& set_up)
      : guest_(make(set_up, at_once())),
        hart_(guest_->hart),
        ram_(guest_->ram.begin(), guest_->ram.end()) {}

  TestGuest& operator*() { return *guest_; }
  TestGuest* operator->() { return guest_.get(); }
  std::unique_ptr<TestGuest> take() { return std::move(guest_); }
  void rewind() {
    guest_->hart = hart_;
    for (uint64_t page = 0; page < kGuestPages; ++page) {
      const ByteView was = ByteView(ram_).subspan(page * kPageSize, kPageSize);
      const auto is = guest_->ram.subspan(page * kPageSize, kPageSize);
      if (std::memcmp(was.data(), is.data(), kPageSize) == 0) continue;
      for (uint64_t at = 0; at < kPageSize; ++at) {
        if (was[at] == is[at]) continue;
        guest_->memory.write(kRamBase + page * kPageSize + at, was.subspan(at, 1));
      }
    }
  }

 private:
  std::unique_ptr<TestGuest> guest_;
  const Hart hart_;
  const Bytes ram_;
};

}  // namespace

std::unique_ptr<TestGuest> run_to_the_end(uint64_t steps, const SetUp& set_up) {
  const auto expected = make(set_up, make_interpreter);
  const Step end = expected->hart.step + steps;
  run_to(*expected, end);
  auto guest = make(set_up, at_once());
  run_to(*guest, end);
  EXPECT_EQ(first_difference_of(*expected, *guest), "") << "in one run of " << steps << " steps";
  return guest;
}

std::unique_ptr<TestGuest> run_to_each_step(uint64_t steps, const SetUp& set_up) {
  const Expected expected(steps, set_up);
  const Step start = expected.start();
  Rewindable guest(set_up);
  bool agrees = true;
  const auto run_and_check = [&](uint64_t to, const char* how) {
    run_to(*guest, start + to);
    const ::testing::AssertionResult result = expected.agrees(*guest, to, how);
    EXPECT_TRUE(result);
    agrees = result;
  };
  for (uint64_t i = 1; i <= steps && agrees; ++i) {
    guest->engine->flush();
    run_and_check(i, "cold, in one run");
    guest.rewind();
  }
  run_to(*guest, start + steps);
  guest.rewind();
  for (uint64_t i = 1; i <= steps && agrees; ++i) {
    run_and_check(i, "warm, in one run");
    guest.rewind();
  }
  std::mt19937_64 random(steps);
  for (uint64_t i = 0; i < steps && agrees;) {
    i = std::min(steps, i + 1 + random() % kLongestPiece);
    run_and_check(i, "warm, in pieces");
  }
  return guest.take();
}

}  // namespace lockstep::jit::testing
