// The chaos replica: random guests with random inputs, once as a primary runs them, once replayed
// with random cuts and flushes, on another engine or on one that translates at another time. Equal
// digests at equal steps, always. For more seeds:
//   LOCKSTEP_SEEDS=100:500 machine_test --gtest_filter='MachineChaos*'
#include <gtest/gtest.h>
#include <random>
#include <string>
#include <vector>

#include "jit/testing/chaos_options.h"
#include "machine/testing/test_machine.h"
#include "riscv/testing/random_program.h"
#include "riscv/testing/seeds.h"

namespace lockstep::machine {
namespace {

using lockstep::machine::testing::OutputNote;
using lockstep::machine::testing::TestMachine;
using Random = std::mt19937_64;

constexpr uint64_t kSeeds = 24;
constexpr uint64_t kInputs = 400;
constexpr uint64_t kLongestRun = 300;
constexpr uint64_t kOneTickPerStep = uint64_t{1} << 32;

Bytes guest_program(uint64_t seed) {
  return riscv::testing::random_program(seed, kRamBase + TestMachine::kLoadOffset,
                                        riscv::testing::ProgramDevices::kBoard);
}

struct Recording {
  std::vector<log::Entry> entries;
  Step end;
  std::vector<OutputNote> console;
  uint64_t traps = 0;
  size_t clock_reads = 0;
};

log::Payload random_input(Machine& machine, Random& random) {
  if (random() % 2 == 0) {
    const uint64_t rate = kOneTickPerStep / (1 + random() % 8);
    return log::TimeAnchor{machine.guest_time() + random() % 50, rate};
  }
  const DeviceIndex port = random() % 4 == 0 ? kVirtioConsolePort : kUartPort;
  return log::ConsoleInput{port, Bytes(1 + random() % 5, static_cast<std::byte>(random()))};
}

Recording record(uint64_t seed, const EngineChoice& engine) {
  Random random(seed);
  TestMachine guest(guest_program(seed), riscv::kAllExtensions, engine);
  Machine& machine = *guest.machine;
  Recording recording;
  guest.outside.clock = [&](Step step) {
    const uint64_t now = random();
    recording.entries.push_back({step, log::WallClockRead{now}});
    return now;
  };
  const auto enter = [&](log::Payload payload) {
    recording.entries.push_back({machine.step(), std::move(payload)});
    ASSERT_TRUE(machine.apply(recording.entries.back()));
  };
  enter(log::TimeAnchor{machine.guest_time(), kOneTickPerStep / 2});
  for (uint64_t i = 0; i < kInputs && machine.power() == PowerState::kOn; ++i) {
    machine.run_until(machine.step() + 1 + random() % kLongestRun);
    if (machine.waiting()) {
      const GuestTicks deadline = machine.timer_deadline().value_or(machine.guest_time());
      enter(log::Warp{std::max(deadline, machine.guest_time()), kOneTickPerStep / 2});
      if (machine.waiting()) break;  // for ever: the guest masked its timer
    } else if (random() % 4 == 0) {
      enter(random_input(machine, random));
    }
    recording.entries.push_back({machine.step(), log::Digest{machine.digest()}});
  }
  recording.end = machine.step();
  recording.console = guest.outside.console;
  recording.traps = machine.traps();
  recording.clock_reads = guest.outside.clock_reads.size();
  return recording;
}

struct Totals {
  uint64_t traps = 0;
  uint64_t clock_reads = 0;
  uint64_t outputs = 0;
};

void replay(uint64_t seed, const Recording& recording, const EngineChoice& engine) {
  Random random(~seed);
  TestMachine guest(guest_program(seed), riscv::kAllExtensions, engine);
  guest.outside.on_output = [&] {
    if (random() % 2 == 0) guest.machine->interrupt();
  };
  // Flushed often, or hardly ever, so that there is something in the caches.
  const uint64_t flush_one_in = seed % 2 == 0 ? 3 : 200;
  for (const log::Entry& entry : recording.entries) {
    while (guest.machine->step() < entry.step) {
      ASSERT_FALSE(guest.machine->waiting()) << "seed " << seed;
      if (random() % flush_one_in == 0) guest.machine->flush_derived_state();
      if (random() % 16 == 0) guest.machine->digest();
      guest.machine->run_until(std::min(entry.step, guest.machine->step() + 1 + random() % 40));
    }
    const Status applied = guest.machine->apply(entry);
    ASSERT_TRUE(applied.has_value()) << applied.error().text() << ", seed " << seed;
  }
  EXPECT_EQ(guest.machine->step(), recording.end);
  EXPECT_EQ(guest.outside.console, recording.console) << "seed " << seed;
  EXPECT_TRUE(guest.outside.clock_reads.empty()) << "every read was in the log";
}

struct Engines {
  EngineKind recorded;
  EngineKind replayed;
};

EngineChoice engine_of(EngineKind kind, uint64_t seed) {
  return {kind, jit::testing::chaos_options(seed)};
}

class MachineChaos : public ::testing::TestWithParam<Engines> {};

TEST_P(MachineChaos, ReplaysWithRandomCutsAndFlushesToEqualDigests) {
  Totals totals;
  const riscv::testing::SeedRange seeds = riscv::testing::seed_range(kSeeds);
  for (uint64_t seed = seeds.first; seed < seeds.first + seeds.count; ++seed) {
    const Recording recording = record(seed, engine_of(GetParam().recorded, seed));
    replay(seed, recording, engine_of(GetParam().replayed, ~seed));
    if (HasFatalFailure()) return;
    totals.traps += recording.traps;
    totals.clock_reads += recording.clock_reads;
    totals.outputs += recording.console.size();
  }
  // That the guests do what they are for.
  EXPECT_GT(totals.traps, seeds.count * kInputs);
  EXPECT_GT(totals.clock_reads, seeds.count);
  EXPECT_GT(totals.outputs, seeds.count);
}

std::string name_of(const ::testing::TestParamInfo<Engines>& engines) {
  const auto name = [](EngineKind kind) {
    return kind == EngineKind::kInterpreter ? std::string("Interpreter")
                                            : std::string("Translator");
  };
  return name(engines.param.recorded) + "To" + name(engines.param.replayed);
}

INSTANTIATE_TEST_SUITE_P(
    Engines, MachineChaos,
    ::testing::Values(Engines{EngineKind::kInterpreter, EngineKind::kInterpreter},
                      Engines{EngineKind::kInterpreter, EngineKind::kTranslator},
                      Engines{EngineKind::kTranslator, EngineKind::kInterpreter},
                      Engines{EngineKind::kTranslator, EngineKind::kTranslator}),
    name_of);

}  // namespace
}  // namespace lockstep::machine
