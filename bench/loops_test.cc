#include "loops.h"

#include <gtest/gtest.h>

#include "jit/translator.h"
#include "loop_runner.h"
#include "riscv/interpreter/interpreter.h"

namespace lockstep::bench {
namespace {

void expect_results_of_the_host(const riscv::EngineFactory& make_engine) {
  for (const Loop& loop : make_loops(1)) {
    const auto run = run_loop(loop, make_engine);
    ASSERT_TRUE(run) << run.error().text();
    EXPECT_EQ(run->result, loop.native()) << loop.name;
    EXPECT_GT(run->steps, 10'000'000u) << loop.name;
  }
}

// What an engine computes is what the host computes, so that both do the same work.
TEST(Loops, InterpreterAndHostAgree) {
  expect_results_of_the_host(riscv::make_interpreter);
}

TEST(Loops, TranslatorAndHostAgree) {
  expect_results_of_the_host(jit::translator_factory());
}

TEST(Loops, AProgramThatTrapsIsAnError) {
  const Loop loop{.name = "nothing", .code = {}, .data = {}, .registers = {}, .native = {}};
  const auto run = run_loop(loop, riscv::make_interpreter);
  ASSERT_FALSE(run);
  EXPECT_EQ(run.error().code, ErrorCode::kInvalid);
}

}  // namespace
}  // namespace lockstep::bench
