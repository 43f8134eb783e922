// The translator against the interpreter on the directed floating-point guests. All of them, and
// more: LOCKSTEP_SEEDS=0:1000 jit_test --gtest_filter='*TranslatorFloat*'.
#include <gtest/gtest.h>

#include "jit/translator.h"
#include "riscv/interpreter/interpreter.h"
#include "riscv/testing/float_comparison.h"
#include "riscv/testing/float_program.h"
#include "riscv/testing/seeds.h"

namespace lockstep::jit {
namespace {

using namespace lockstep::riscv::testing;

struct Variant {
  const char* name;
  uint32_t hot_threshold;
  uint64_t longest_piece;  // steps
  HostFeatures features;
};

class TranslatorFloat : public testing::TestWithParam<Variant> {};

TEST_P(TranslatorFloat, EqualsTheInterpreterOnDirectedGuests) {
  const Variant& variant = GetParam();
  const riscv::EngineFactory translator =
      translator_factory({.features = variant.features, .hot_threshold = variant.hot_threshold});
  const SeedRange programs = seed_range(float_programs());
  for (uint64_t program = programs.first; program < programs.first + programs.count; ++program) {
    ASSERT_EQ(compare_on_floats({.program = program, .longest_piece = variant.longest_piece},
                                riscv::make_interpreter, translator),
              "");
  }
}

INSTANTIATE_TEST_SUITE_P(Variants, TranslatorFloat,
                         testing::Values(Variant{"AtOnce", 1, 5000, HostFeatures::probe()},
                                         Variant{"WhenHot", 16, 20'000, HostFeatures::probe()},
                                         Variant{"OnAPlainHost", 1, 5000, HostFeatures{}}),
                         [](const auto& tested) { return std::string(tested.param.name); });

}  // namespace
}  // namespace lockstep::jit
