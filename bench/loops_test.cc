#include "loops.h"

#include <gtest/gtest.h>

#include "loop_runner.h"
#include "riscv/interpreter/interpreter.h"

namespace lockstep::bench {
namespace {

// What the engine computes is what the host computes, so that both do the same work.
TEST(Loops, EngineAndHostAgree) {
  for (const Loop& loop : make_loops(1)) {
    const auto run = run_loop(loop, riscv::make_interpreter);
    ASSERT_TRUE(run) << run.error().text();
    EXPECT_EQ(run->result, loop.native()) << loop.name;
    EXPECT_GT(run->steps, 10'000'000u) << loop.name;
  }
}

TEST(Loops, AProgramThatTrapsIsAnError) {
  const Loop loop{.name = "nothing", .code = {}, .data = {}, .registers = {}, .native = {}};
  const auto run = run_loop(loop, riscv::make_interpreter);
  ASSERT_FALSE(run);
  EXPECT_EQ(run.error().code, ErrorCode::kInvalid);
}

}  // namespace
}  // namespace lockstep::bench
