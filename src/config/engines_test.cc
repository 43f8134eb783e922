#include "config/engines.h"

#include <gtest/gtest.h>

#include "config/load.h"

namespace lockstep::config {
namespace {

VmConfig config_with(const std::string& before_tables, const std::string& protection) {
  const Loaded loaded = parse_config(
      "name = \"vm\"\nkernel = \"/k\"\n" + before_tables + "[protection]\n" + protection,
      "/vm.toml");
  if (loaded) return *loaded;
  ADD_FAILURE() << loaded.error().text();
  return {};
}

TEST(Engines, NamesAreParsedBack) {
  for (const Engine engine : {Engine::kJit, Engine::kInterpreter}) {
    EXPECT_EQ(parse_engine(to_string(engine)), engine);
  }
  EXPECT_EQ(parse_engine("translator"), std::nullopt);
  EXPECT_EQ(parse_engine(""), std::nullopt);
}

TEST(Engines, AReplicaHasTheVmsUnlessItHasItsOwn) {
  VmConfig config = config_with("engine = \"interpreter\"\n", "");
  EXPECT_EQ(engine_of(config, Node::kA), Engine::kInterpreter);
  EXPECT_EQ(engine_of(config, Node::kB), Engine::kInterpreter);
  config = config_with("", "engine_b = \"interpreter\"\n");
  EXPECT_EQ(engine_of(config, Node::kA), Engine::kJit);
  EXPECT_EQ(engine_of(config, Node::kB), Engine::kInterpreter);
  config = config_with("engine = \"interpreter\"\n", "engine_a = \"jit\"\n");
  EXPECT_EQ(engine_of(config, Node::kA), Engine::kJit);
  EXPECT_EQ(engine_of(config, Node::kB), Engine::kInterpreter);
}

TEST(Engines, FlagsWinOverTheFile) {
  const VmConfig file = config_with("engine = \"jit\"\n", "engine_a = \"interpreter\"\n");
  VmConfig config = file;
  apply_flags({}, config);
  EXPECT_EQ(config, file);
  apply_flags({.both = Engine::kJit, .a = {}, .b = {}}, config);
  EXPECT_EQ(engine_of(config, Node::kA), Engine::kJit);
  EXPECT_EQ(engine_of(config, Node::kB), Engine::kJit);
  config = file;
  apply_flags({.both = {}, .a = {}, .b = Engine::kInterpreter}, config);
  EXPECT_EQ(engine_of(config, Node::kA), Engine::kInterpreter);
  EXPECT_EQ(engine_of(config, Node::kB), Engine::kInterpreter);
  config = file;
  apply_flags({.both = Engine::kInterpreter, .a = Engine::kJit, .b = {}}, config);
  EXPECT_EQ(engine_of(config, Node::kA), Engine::kJit);
  EXPECT_EQ(engine_of(config, Node::kB), Engine::kInterpreter);
}

}  // namespace
}  // namespace lockstep::config
