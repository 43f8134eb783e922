#include "loops.h"

#include <gtest/gtest.h>

#include "jit/translator.h"
#include "loop_runner.h"
#include "riscv/interpreter/interpreter.h"

namespace lockstep::bench {
namespace {

struct NamedEngine {
  const char* name;
  riscv::EngineFactory make;
};

class LoopsOnEngine : public testing::TestWithParam<NamedEngine> {};

INSTANTIATE_TEST_SUITE_P(Each, LoopsOnEngine,
                         testing::Values(NamedEngine{"Interpreter", riscv::make_interpreter},
                                         NamedEngine{"Translator", jit::translator_factory()}),
                         [](const auto& tested) { return tested.param.name; });

// What the engine computes is what the host computes, so that both do the same work.
TEST_P(LoopsOnEngine, AndHostAgree) {
  for (const Loop& loop : make_loops(1)) {
    const auto run = run_loop(loop, GetParam().make);
    ASSERT_TRUE(run) << run.error().text();
    EXPECT_EQ(run->result, loop.native()) << loop.name;
    EXPECT_GT(run->steps, 10'000'000u) << loop.name;
  }
}

TEST_P(LoopsOnEngine, AProgramThatTrapsIsAnError) {
  const Loop loop{.name = "nothing", .code = {}, .data = {}, .registers = {}, .native = {}};
  const auto run = run_loop(loop, GetParam().make);
  ASSERT_FALSE(run);
  EXPECT_EQ(run.error().code, ErrorCode::kInvalid);
}

}  // namespace
}  // namespace lockstep::bench
