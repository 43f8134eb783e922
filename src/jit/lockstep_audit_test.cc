// The translator against the interpreter, in lockstep on random guests: 10^8 steps and more, in
// which every register, flag and byte is the same. Longer: lockstep-audit programs (HACKING.md).
#include "riscv/testing/lockstep_audit.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "jit/testing/chaos_options.h"
#include "jit/translator.h"
#include "riscv/testing/audit_program.h"

namespace lockstep::jit {
namespace {

using riscv::testing::audit;
using riscv::testing::AuditOutcome;
using riscv::testing::AuditProgram;
using riscv::testing::cold_program;
using riscv::testing::hot_program;

constexpr uint64_t kSteps = 500'000;
constexpr uint64_t kSeedsPerCase = 20;

AuditOutcome audit_translator(const AuditProgram& program, uint64_t seed) {
  return audit(
      program,
      {.seed = seed, .steps = kSteps, .subject = translator_factory(testing::chaos_options(seed))});
}

class TranslatorAudit : public ::testing::TestWithParam<uint64_t> {};

TEST_P(TranslatorAudit, EqualsTheInterpreterInHotCode) {
  uint64_t interpreted = 0;
  for (uint64_t i = 0; i < kSeedsPerCase; ++i) {
    const uint64_t seed = GetParam() * kSeedsPerCase + i;
    const AuditOutcome outcome = audit_translator(hot_program(seed), seed);
    ASSERT_FALSE(outcome.difference)
        << outcome.difference->report << "repeat: lockstep-audit programs --kind hot --seeds "
        << seed << ':' << 1 << " --steps " << kSteps;
    EXPECT_GE(outcome.steps, kSteps);
    interpreted += outcome.subject.interpreted_steps;
  }
  EXPECT_LT(interpreted, kSeedsPerCase * kSteps * 3 / 5) << "too little is translated";
}

INSTANTIATE_TEST_SUITE_P(Seeds, TranslatorAudit, ::testing::Range(uint64_t{0}, uint64_t{10}));

class ColdTranslatorAudit : public ::testing::TestWithParam<uint64_t> {};

TEST_P(ColdTranslatorAudit, EqualsTheInterpreterInStraightLineCode) {
  for (uint64_t i = 0; i < kSeedsPerCase; ++i) {
    const uint64_t seed = GetParam() * kSeedsPerCase + i;
    const AuditOutcome outcome = audit_translator(cold_program(seed), seed);
    ASSERT_FALSE(outcome.difference)
        << outcome.difference->report << "repeat: lockstep-audit programs --kind cold --seeds "
        << seed << ':' << 1 << " --steps " << kSteps;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, ColdTranslatorAudit, ::testing::Range(uint64_t{0}, uint64_t{2}));

}  // namespace
}  // namespace lockstep::jit
