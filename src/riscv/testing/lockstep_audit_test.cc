// That the audit finds what it is for: the interpreter equals itself, and errors planted into it
// are found at their step.
#include "riscv/testing/lockstep_audit.h"

#include <gtest/gtest.h>

#include "riscv/interpreter/interpreter.h"
#include "riscv/testing/audit_program.h"
#include "riscv/testing/seeds.h"

namespace lockstep::riscv::testing {
namespace {

constexpr uint64_t kSeeds = 8;
constexpr uint64_t kSteps = 100'000;

TEST(LockstepAudit, TheInterpreterEqualsItselfWhateverIsFlushedAndCut) {
  uint64_t steps = 0;
  uint64_t traps = 0;
  const SeedRange seeds = seed_range(kSeeds);
  for (uint64_t seed = seeds.first; seed < seeds.first + seeds.count; ++seed) {
    for (const AuditProgram& program : {cold_program(seed), hot_program(seed)}) {
      const AuditOutcome outcome =
          audit(program, {.seed = seed, .steps = kSteps, .subject = make_interpreter});
      ASSERT_FALSE(outcome.difference) << outcome.difference->report;
      steps += outcome.steps;
      traps += outcome.traps;
    }
  }
  EXPECT_GE(steps, 2 * seeds.count * kSteps);
  EXPECT_GT(traps, steps / 1000);
}

// An interpreter with an error.
class Flawed : public Engine {
 public:
  Flawed(Hart& hart_given, PhysicalMemory& memory_given, Bus& bus, EnvironmentCalls& environment)
      : hart(hart_given),
        memory(memory_given),
        inner(make_interpreter(hart_given, memory_given, bus, environment)) {}

  void run_until(Step target) override { inner->run_until(target); }
  void request_stop() override { inner->request_stop(); }
  void flush() override { inner->flush(); }
  void watch_writes_again() override { inner->watch_writes_again(); }
  EngineStatistics statistics() const override { return inner->statistics(); }

 protected:
  Hart& hart;
  PhysicalMemory& memory;
  std::unique_ptr<Engine> inner;
};

constexpr Step kFlawStep{23'456};

// Runs to kFlawStep and does something wrong there.
template <typename Wrong>
class WrongAtAStep final : public Flawed {
 public:
  using Flawed::Flawed;
  void run_until(Step target) override {
    if (hart.step < kFlawStep && target >= kFlawStep) {
      while (hart.step < kFlawStep && !hart.waiting) {
        const Step from = hart.step;
        inner->run_until(kFlawStep);
        if (hart.step == from) break;
      }
      if (hart.step == kFlawStep) Wrong::apply(hart, memory);
    }
    if (hart.step < target && !hart.waiting) inner->run_until(target);
  }
};

template <typename Engine>
AuditOutcome audit_of(const AuditProgram& program, uint64_t seed) {
  const EngineFactory subject = [](Hart& hart, PhysicalMemory& memory, Bus& bus,
                                   EnvironmentCalls& environment) {
    return std::make_unique<Engine>(hart, memory, bus, environment);
  };
  return audit(program, {.seed = seed, .steps = kSteps, .subject = subject});
}

// The first of some guests that gives the error occasion to show.
template <typename Engine>
std::optional<AuditDifference> find_in_any_guest() {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    const AuditOutcome outcome = audit_of<Engine>(hot_program(seed), seed);
    if (outcome.difference) return outcome.difference;
  }
  return {};
}

struct FlippedRegister {
  static void apply(Hart& hart, PhysicalMemory&) { hart.x[5] ^= 1; }
};

struct MissedFlag {
  static void apply(Hart& hart, PhysicalMemory&) { hart.fflags ^= 4; }
};

struct FlippedByte {
  static void apply(Hart&, PhysicalMemory& memory) {
    const GuestAddress place = kAuditRam + 200 * kPageSize;
    memory.store(place, static_cast<uint8_t>(memory.load<uint8_t>(place) ^ 1));
  }
};

TEST(LockstepAudit, FindsTheStepOfAWrongRegister) {
  const AuditOutcome outcome = audit_of<WrongAtAStep<FlippedRegister>>(cold_program(1), 1);
  ASSERT_TRUE(outcome.difference);
  EXPECT_EQ(outcome.difference->step, kFlawStep) << outcome.difference->report;
  EXPECT_NE(outcome.difference->report.find("x[5]"), std::string::npos)
      << outcome.difference->report;
}

TEST(LockstepAudit, FindsTheStepOfAWrongFlag) {
  const AuditOutcome outcome = audit_of<WrongAtAStep<MissedFlag>>(hot_program(2), 2);
  ASSERT_TRUE(outcome.difference);
  EXPECT_EQ(outcome.difference->step, kFlawStep) << outcome.difference->report;
}

TEST(LockstepAudit, FindsTheStepOfAWrongByteThatNothingReads) {
  const AuditOutcome outcome = audit_of<WrongAtAStep<FlippedByte>>(cold_program(3), 3);
  ASSERT_TRUE(outcome.difference);
  EXPECT_EQ(outcome.difference->step, kFlawStep) << outcome.difference->report;
}

// Takes an interrupt that becomes pending one instruction late.
class LateInterrupts final : public Flawed {
 public:
  using Flawed::Flawed;
  void run_until(Step target) override {
    const uint64_t ready = hart.pending() & hart.sie & ~kTimerInterrupt;
    if (ready != 0 && hart.interrupts_enabled() && hart.step < target && !hart.waiting) {
      const uint64_t enabled = hart.sie;
      hart.sie &= ~ready;
      inner->run_until(hart.step + 1);
      if (hart.sie == (enabled & ~ready)) hart.sie = enabled;
    }
    if (hart.step < target && !hart.waiting) inner->run_until(target);
  }
};

TEST(LockstepAudit, FindsAnInterruptThatComesOneStepLate) {
  EXPECT_TRUE(find_in_any_guest<LateInterrupts>());
}

// Does not hear of a stop that was asked for.
class DeafToStops final : public Flawed {
 public:
  using Flawed::Flawed;
  void request_stop() override {}
};

TEST(LockstepAudit, FindsAStopThatIsNotTaken) {
  const std::optional<AuditDifference> difference = find_in_any_guest<DeafToStops>();
  ASSERT_TRUE(difference);
  EXPECT_NE(difference->report.find("stop"), std::string::npos) << difference->report;
}

// Forgets to mark pages as written once they have been.
class UnwatchedWrites final : public Flawed {
 public:
  using Flawed::Flawed;
  void watch_writes_again() override {}
};

TEST(LockstepAudit, FindsAPageThatIsWrittenAndNotReported) {
  const AuditOutcome outcome = audit_of<UnwatchedWrites>(hot_program(6), 6);
  ASSERT_TRUE(outcome.difference);
  EXPECT_NE(outcome.difference->report.find("dirty"), std::string::npos)
      << outcome.difference->report;
}

}  // namespace
}  // namespace lockstep::riscv::testing
