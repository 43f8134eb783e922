#include "vmm/engine_choice.h"

#include <gtest/gtest.h>

#include "config/load.h"

namespace lockstep::vmm {
namespace {

using config::Engine;
using config::Node;
using machine::EngineKind;

TEST(EngineChoice, IsWhatTheConfigurationSaysOfTheReplica) {
  const config::Loaded config = config::parse_config(
      "name = \"vm\"\nkernel = \"/k\"\ncode_cache = \"16M\"\n"
      "[protection]\nengine_b = \"interpreter\"\n",
      "/vm.toml");
  ASSERT_TRUE(config) << config.error().text();
  EXPECT_EQ(engine_choice(*config, Node::kA).kind, EngineKind::kTranslator);
  EXPECT_EQ(engine_choice(*config, Node::kA).translator.code_cache_bytes, size_t{16} << 20);
  EXPECT_EQ(engine_choice(*config, Node::kB).kind, EngineKind::kInterpreter);
}

// The default of the file, and that of a program that has no file, are one.
TEST(EngineChoice, TheDefaultIsTheMachines) {
  const config::Loaded config =
      config::parse_config("name = \"vm\"\nkernel = \"/k\"\n", "/vm.toml");
  ASSERT_TRUE(config) << config.error().text();
  const machine::EngineChoice fallback;
  EXPECT_EQ(engine_choice(*config, Node::kA).kind, fallback.kind);
  EXPECT_EQ(engine_choice(*config, Node::kA).translator.code_cache_bytes,
            fallback.translator.code_cache_bytes);
}

TEST(EngineChoice, TheStatusNamesTheEngineAsTheConfigurationDoes) {
  for (const Engine engine : {Engine::kJit, Engine::kInterpreter}) {
    const machine::EngineReport report{engine_choice(engine).kind, {}};
    EXPECT_EQ(engine_of(report), engine);
    EXPECT_EQ(engine_status(report).name, to_string(engine));
  }
}

TEST(EngineChoice, TheStatusHasEveryCountInItsPlace) {
  machine::EngineReport report;
  riscv::EngineStatistics& counted = report.statistics;
  counted.mmu.walks = 1;
  counted.superblocks = 2;
  counted.instructions = 3;
  counted.code_bytes = 4;
  counted.invalidated = 5;
  counted.evicted = 6;
  counted.interpreted_steps = 7;
  counted.data_misses = 8;
  counted.fetch_misses = 9;
  counted.cold_exits = 10;
  counted.budget_exits = 11;
  counted.step_exits = 12;
  counted.leave_exits = 13;
  counted.single_steps = 14;
  EXPECT_EQ(engine_status(report), (api::EngineStatus{.name = "jit",
                                                      .steps_per_second = 0,
                                                      .walks = 1,
                                                      .superblocks = 2,
                                                      .instructions = 3,
                                                      .code_bytes = 4,
                                                      .invalidated = 5,
                                                      .evicted = 6,
                                                      .interpreted_steps = 7,
                                                      .data_misses = 8,
                                                      .fetch_misses = 9,
                                                      .cold_exits = 10,
                                                      .budget_exits = 11,
                                                      .step_exits = 12,
                                                      .leave_exits = 13,
                                                      .single_steps = 14}));
}

}  // namespace
}  // namespace lockstep::vmm
