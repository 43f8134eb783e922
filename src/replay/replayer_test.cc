#include "replay/replayer.h"

#include <deque>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "log/test_entries.h"
#include "replay/replay_outside.h"
#include "replay/test_machine.h"

namespace lockstep::replay {
namespace {

using log::Entry;
using testing::HasSubstr;

class ListSource final : public EntrySource {
 public:
  explicit ListSource(std::vector<Entry> entries) : entries_(entries.begin(), entries.end()) {}
  Result<SourceState> next(Entry& entry) override {
    if (entries_.empty()) return end_;
    entry = std::move(entries_.front());
    entries_.pop_front();
    return SourceState::kEntry;
  }
  LogPosition position() const override { return LogPosition(17); }
  void end_with(Result<SourceState> end) { end_ = std::move(end); }

 private:
  std::deque<Entry> entries_;
  Result<SourceState> end_ = SourceState::kEnd;
};

struct PrimaryRun {
  std::vector<Entry> entries;
  Step end;
  Hash128 digest;
};

// What a primary logs: inputs wherever they happen to come, a warp wherever the machine waits, a
// digest and a horizon now and then.
PrimaryRun primary_run(uint64_t seed, size_t inputs) {
  log::Random random(seed);
  TestMachine machine;
  PrimaryRun run;
  const auto apply = [&](log::Payload payload) {
    run.entries.push_back({machine.step(), std::move(payload)});
    EXPECT_TRUE(machine.apply(run.entries.back()).has_value());
  };
  for (size_t i = 0; i < inputs; ++i) {
    machine.run_until(machine.step() + random() % 200);
    if (machine.waiting()) {
      apply(log::Warp{GuestTicks(random()), 1});
    } else {
      apply(log::FrameIn{{}, log::random_bytes(random, random() % 20)});
    }
    if (random() % 4 == 0) run.entries.push_back({machine.step(), log::Digest{machine.digest()}});
    if (random() % 4 == 0) run.entries.push_back({machine.step(), log::Horizon{}});
  }
  machine.run_until(machine.step() + 1'000);
  run.end = machine.step();
  run.digest = machine.digest();
  run.entries.push_back({run.end, log::Digest{run.digest}});
  run.entries.push_back({run.end, log::Horizon{}});
  return run;
}

TEST(Replayer, FollowsWhatAPrimaryLogged) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const PrimaryRun run = primary_run(seed, 200);
    ListSource source(run.entries);
    TestMachine machine;
    Replayer replayer(source, machine);
    const Result<ReplayStop> stop = replayer.run();
    ASSERT_TRUE(stop.has_value()) << stop.error().text() << ", seed " << seed;
    EXPECT_EQ(*stop, ReplayStop::kEnd);
    EXPECT_EQ(machine.step(), run.end);
    EXPECT_EQ(machine.digest(), run.digest);
    EXPECT_EQ(replayer.counts().steps, run.end.value);
    EXPECT_EQ(replayer.counts().total(), run.entries.size());
    EXPECT_EQ(replayer.counts().mismatches, 0u);
    EXPECT_GT(replayer.counts().of(log::EntryKind::kDigest), 10u);
    EXPECT_GT(replayer.counts().of(log::EntryKind::kWarp), 10u);
  }
}

TEST(Replayer, StopsOnTheWayGiveTheSameEnd) {
  const PrimaryRun run = primary_run(1, 100);
  ListSource source(run.entries);
  TestMachine machine;
  Replayer replayer(source, machine);
  for (uint64_t limit = 0; Step(limit) <= run.end; limit += 7) {
    const Result<ReplayStop> stop = replayer.run_until(Step(limit));
    ASSERT_TRUE(stop.has_value()) << stop.error().text();
    EXPECT_EQ(*stop, ReplayStop::kLimit);
    EXPECT_EQ(machine.step(), Step(limit));
  }
  EXPECT_EQ(replayer.run().value(), ReplayStop::kEnd);
  EXPECT_EQ(machine.digest(), run.digest);
}

TEST(Replayer, ALimitStopsBeforeTheEntriesAtIt) {
  ListSource source({{Step(5), log::Entropy{}}, {Step(9), log::Horizon{}}});
  TestMachine machine;
  Replayer replayer(source, machine);
  EXPECT_EQ(replayer.run_until(Step(5)).value(), ReplayStop::kLimit);
  EXPECT_EQ(replayer.counts().of(log::EntryKind::kEntropy), 0u);
  EXPECT_EQ(replayer.run_until(Step(6)).value(), ReplayStop::kLimit);
  EXPECT_EQ(replayer.counts().of(log::EntryKind::kEntropy), 1u);
  // The log ends at step 9: a limit beyond it is not reached.
  EXPECT_EQ(replayer.run_until(Step(100)).value(), ReplayStop::kEnd);
  EXPECT_EQ(machine.step(), Step(9));
}

TEST(Replayer, WhatThisReplicaCannotDoIsNoDivergence) {
  for (const bool by_entry : {false, true}) {
    log::DiskCompletion broken;
    broken.disk = TestMachine::kBrokenDisk;
    const log::Payload first = by_entry ? log::Payload(broken) : log::Payload(log::Horizon{});
    ListSource source({{Step(5), first}, {Step(9), log::Horizon{}}});
    TestMachine machine;
    if (!by_entry) machine.fail_at(Step(7));
    Replayer replayer(source, machine);
    for (int i = 0; i < 2; ++i) {
      const Result<ReplayStop> stop = replayer.run();
      ASSERT_FALSE(stop.has_value());
      EXPECT_EQ(stop.error().code, ErrorCode::kSystem);
      EXPECT_EQ(stop.error().object, by_entry ? "this replica's disk" : "this replica");
    }
    EXPECT_FALSE(replayer.divergence().has_value());
    EXPECT_EQ(machine.step(), Step(by_entry ? 5 : 7));
  }
}

TEST(Replayer, AFlippedBitIsFoundAtTheNextDigest) {
  const PrimaryRun run = primary_run(2, 200);
  const Step middle(run.end.value / 2);
  const auto next_digest = std::ranges::find_if(run.entries, [&](const Entry& entry) {
    return entry.kind() == log::EntryKind::kDigest && entry.step >= middle;
  });
  ASSERT_NE(next_digest, run.entries.end());
  ListSource source(run.entries);
  TestMachine machine;
  machine.flip_at(middle);
  Replayer replayer(source, machine);
  const Result<ReplayStop> stop = replayer.run();
  ASSERT_FALSE(stop.has_value());
  EXPECT_EQ(stop.error().code, ErrorCode::kDiverged);
  ASSERT_TRUE(replayer.divergence().has_value());
  const Divergence& divergence = *replayer.divergence();
  // The machine may also stand still before it: its waits follow from its state.
  EXPECT_GE(divergence.step, middle);
  EXPECT_LE(divergence.step, next_digest->step);
  EXPECT_LT(divergence.last_good_step, middle);
  EXPECT_EQ(divergence.position, LogPosition(17));
}

TEST(Replayer, ADigestMismatchNamesBothDigests) {
  ListSource source({{Step(3), log::Digest{{7, 8}}}, {Step(9), log::Horizon{}}});
  TestMachine machine;
  Replayer replayer(source, machine);
  const Result<ReplayStop> stop = replayer.run();
  ASSERT_FALSE(stop.has_value());
  EXPECT_EQ(replayer.counts().mismatches, 1u);
  const Divergence& divergence = *replayer.divergence();
  EXPECT_EQ(divergence.kind, DivergenceKind::kDigest);
  EXPECT_EQ(divergence.step, Step(3));
  EXPECT_EQ(divergence.entry, 0u);
  EXPECT_EQ(divergence.expected, (Hash128{7, 8}));
  EXPECT_EQ(divergence.actual, machine.digest());
  EXPECT_THAT(divergence.report(), HasSubstr("00000000000000080000000000000007"));
  // It stays so, and the machine stays where it is.
  EXPECT_EQ(replayer.run().error().text(), stop.error().text());
  EXPECT_EQ(machine.step(), Step(3));
}

TEST(Replayer, AMachineThatWaitsWhereTheLogGoesOnHasDiverged) {
  TestMachine probe;
  ASSERT_EQ(probe.run_until(Step(100'000)), machine::StopReason::kWaiting);
  const Step waits_at = probe.step();
  for (const log::Payload& payload : {log::Payload(log::Horizon{}), log::Payload(log::Entropy{})}) {
    ListSource source({{waits_at + 1, payload}});
    TestMachine machine;
    Replayer replayer(source, machine);
    ASSERT_FALSE(replayer.run().has_value());
    EXPECT_EQ(replayer.divergence()->kind, DivergenceKind::kStandsStill);
    EXPECT_EQ(replayer.divergence()->step, waits_at);
    EXPECT_EQ(replayer.divergence()->reason, "it waits");
  }
  ListSource source({{waits_at, log::Horizon{}}});
  TestMachine machine;
  EXPECT_EQ(Replayer(source, machine).run().value(), ReplayStop::kEnd);
}

TEST(Replayer, AfterPowerOffTheLogMayNotGoOn) {
  ListSource source(
      {{Step(4), log::Control{}}, {Step(4), log::Horizon{}}, {Step(5), log::Horizon{}}});
  TestMachine machine;
  Replayer replayer(source, machine);
  ASSERT_FALSE(replayer.run().has_value());
  EXPECT_EQ(replayer.divergence()->kind, DivergenceKind::kStandsStill);
  EXPECT_EQ(replayer.divergence()->reason, "it is powered off");
  EXPECT_EQ(replayer.divergence()->entry, 2u);
}

TEST(Replayer, AnEntryThatTheMachineRefusesIsADivergence) {
  ListSource source({{Step(4), log::DiskCompletion{DeviceIndex{1}, 0, {}, false, {}}}});
  TestMachine machine;
  Replayer replayer(source, machine);
  ASSERT_FALSE(replayer.run().has_value());
  EXPECT_EQ(replayer.divergence()->kind, DivergenceKind::kRefusedEntry);
  EXPECT_THAT(replayer.divergence()->report(), HasSubstr("there is no such disk as disk 1"));
  EXPECT_THAT(replayer.divergence()->report(), HasSubstr("disk-completion at step 4"));
}

TEST(Replayer, AnInputThatTheLogDoesNotHoldIsADivergence) {
  ListSource source({{Step(9), log::Horizon{}}});
  TestMachine machine;
  machine.read_clock_at(Step(5));
  Replayer replayer(source, machine);
  ASSERT_FALSE(replayer.run().has_value());
  EXPECT_EQ(replayer.divergence()->kind, DivergenceKind::kUnloggedInput);
}

TEST(Replayer, AMachinePastTheLogIsADivergence) {
  ListSource source({{Step(9), log::Horizon{}}});
  TestMachine machine;
  machine.run_until(Step(10));
  Replayer replayer(source, machine);
  ASSERT_FALSE(replayer.run().has_value());
  EXPECT_EQ(replayer.divergence()->kind, DivergenceKind::kRefusedEntry);
}

TEST(Replayer, TheSourcesErrorAndItsStopAreToldApart) {
  TestMachine machine;
  ListSource stopped({{Step(2), log::Horizon{}}});
  stopped.end_with(SourceState::kStopped);
  EXPECT_EQ(Replayer(stopped, machine).run().value(), ReplayStop::kStopped);

  ListSource corrupt({{Step(4), log::Horizon{}}});
  corrupt.end_with(fail(ErrorCode::kCorrupt, "cannot read", "frame 3"));
  Replayer replayer(corrupt, machine);
  const Result<ReplayStop> stop = replayer.run();
  ASSERT_FALSE(stop.has_value());
  EXPECT_EQ(stop.error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(machine.step(), Step(4));
  EXPECT_FALSE(replayer.divergence().has_value());
}

TEST(ReplayOutside, TalliesDifferWhenOutputsDo) {
  const auto tally = [](auto output) {
    ReplayOutside outside;
    output(outside);
    return outside.tally();
  };
  const Bytes bytes(3, std::byte{1});
  const auto at = [&](uint64_t step) {
    return tally([&](ReplayOutside& outside) {
      outside.console_output(Step(step), {}, 0, bytes);
      outside.frame_output(Step(step), {}, 0, bytes);
    });
  };
  EXPECT_EQ(at(5), at(5));
  EXPECT_NE(at(5), at(6));
  EXPECT_EQ(at(5).console_bytes, 3u);
  EXPECT_EQ(at(5).frames, 1u);
}

TEST(ReplayOutside, AClockReadIsNotedAtItsFirstStep) {
  ReplayOutside outside;
  EXPECT_TRUE(outside.inputs().has_value());
  outside.wall_clock_ns(Step(7));
  outside.wall_clock_ns(Step(8));
  EXPECT_THAT(outside.inputs().error().text(), HasSubstr("at step 7"));
}

}  // namespace
}  // namespace lockstep::replay
