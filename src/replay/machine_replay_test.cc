// A recording of a whole machine with every kind of input, replayed from its file; and the same
// with an input that was applied and not recorded.
#include <gtest/gtest.h>
#include <random>

#include "log/test_entries.h"
#include "machine/testing/test_machine.h"
#include "replay/machine_target.h"
#include "replay/recorder.h"
#include "replay/replay_outside.h"
#include "replay/replayer.h"
#include "riscv/testing/random_program.h"

namespace lockstep::replay {
namespace {

using machine::testing::TestMachine;

constexpr uint64_t kRounds = 400;
constexpr uint64_t kDigestEvery = 20;
constexpr uint64_t kOneTickPerStep = uint64_t{1} << 32;

Bytes kernel() {
  return riscv::testing::random_program(3, machine::kRamBase + TestMachine::kLoadOffset,
                                        riscv::testing::ProgramDevices::kBoard);
}

struct Recorded {
  Bytes file;
  Step end;
  Hash128 digest;
  uint64_t digests = 0;
};

// `unlogged_round`: in that round one console byte is applied behind the recorder's back.
Recorded record(std::optional<uint64_t> unlogged_round, Step& planted) {
  log::Random random(1);
  Recorded result;
  Recorder recorder(log::LogFileWriter::create(std::make_unique<log::MemoryWriter>(result.file),
                                               {{}, log::start_of_run({}, 1)})
                        .value());
  TestMachine guest(kernel());
  machine::Machine& machine = *guest.machine;
  guest.outside.clock = [&](Step step) {
    const uint64_t now = random();
    EXPECT_TRUE(recorder.record({step, log::WallClockRead{now}}));
    return now;
  };
  const auto enter = [&](log::Payload payload) {
    const log::Entry entry{machine.step(), std::move(payload)};
    EXPECT_TRUE(recorder.record(entry));
    EXPECT_TRUE(machine.apply(entry));
  };
  enter(log::TimeAnchor{machine.guest_time(), kOneTickPerStep / 2});
  for (uint64_t round = 0; round < kRounds; ++round) {
    machine.run_until(machine.step() + 1 + random() % 300);
    if (machine.waiting()) {
      enter(log::Warp{
          std::max(machine.timer_deadline().value_or(GuestTicks(0)), machine.guest_time()),
          kOneTickPerStep / 2});
    }
    switch (random() % 4) {
      case 0:
        enter(log::FrameIn{{}, log::random_bytes(random, 60)});
        break;
      case 1:
        enter(log::ConsoleInput{machine::kUartPort, log::random_bytes(random, 3)});
        break;
      case 2:
        enter(log::TimeAnchor{machine.guest_time() + random() % 9, kOneTickPerStep / 2});
        break;
      default:
        break;
    }
    if (round == unlogged_round) {
      planted = machine.step();
      EXPECT_TRUE(guest.apply(log::ConsoleInput{machine::kUartPort, Bytes(1)}));
    }
    if (round % kDigestEvery == kDigestEvery - 1) {
      EXPECT_TRUE(recorder.record({machine.step(), log::Digest{machine.digest()}}));
      ++result.digests;
    }
  }
  result.end = machine.step();
  result.digest = machine.digest();
  EXPECT_TRUE(recorder.reached(result.end));
  EXPECT_TRUE(recorder.finish());
  return result;
}

TEST(MachineReplay, FollowsARecordingOfEveryInput) {
  Step planted;
  const Recorded recorded = record(std::nullopt, planted);
  FileSource source(
      log::LogFileReader::open(std::make_unique<log::MemoryReader>(recorded.file)).value());
  TestMachine guest(kernel());
  MachineTarget target(*guest.machine, [&]() -> Status {
    if (guest.outside.clock_reads.empty()) return {};
    return fail(ErrorCode::kDiverged, "the guest read", "the clock");
  });
  Replayer replayer(source, target);
  const Result<ReplayStop> stop = replayer.run();
  ASSERT_TRUE(stop.has_value()) << stop.error().text();
  EXPECT_EQ(*stop, ReplayStop::kEnd);
  EXPECT_EQ(guest.machine->step(), recorded.end);
  EXPECT_EQ(guest.machine->digest(), recorded.digest);
  EXPECT_EQ(replayer.counts().of(log::EntryKind::kDigest), recorded.digests);
  EXPECT_EQ(replayer.counts().mismatches, 0u);
}

TEST(MachineReplay, AnInputThatIsNotInTheLogIsSeenAtTheNextDigest) {
  for (const uint64_t round : {uint64_t{5}, uint64_t{113}, uint64_t{246}}) {
    Step planted;
    const Recorded recorded = record(round, planted);
    FileSource source(
        log::LogFileReader::open(std::make_unique<log::MemoryReader>(recorded.file)).value());
    TestMachine guest(kernel());
    MachineTarget target(*guest.machine, [] { return Status{}; });
    Replayer replayer(source, target);
    ASSERT_FALSE(replayer.run().has_value());
    ASSERT_TRUE(replayer.divergence().has_value());
    EXPECT_EQ(replayer.divergence()->kind, DivergenceKind::kDigest);
    EXPECT_EQ(replayer.counts().of(log::EntryKind::kDigest), round / kDigestEvery)
        << "all digests before it were good, the first one after it is not";
    EXPECT_LE(replayer.divergence()->last_good_step, planted);
    EXPECT_GE(replayer.divergence()->step, planted);
  }
}

}  // namespace
}  // namespace lockstep::replay
