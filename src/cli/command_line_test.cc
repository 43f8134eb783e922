#include "cli/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lockstep::cli {
namespace {

using testing::HasSubstr;

template <typename T>
T parsed(const std::vector<std::string>& arguments) {
  const auto line = parse_command_line(arguments);
  if (const Usage* usage = std::get_if<Usage>(&line)) {
    ADD_FAILURE() << usage->text;
    return {};
  }
  const Command& command = std::get<CommandLine>(line).command;
  if (!std::holds_alternative<T>(command)) {
    ADD_FAILURE() << "another command, number " << command.index();
    return {};
  }
  return std::get<T>(command);
}

Usage refused(const std::vector<std::string>& arguments) {
  const auto line = parse_command_line(arguments);
  if (const Usage* usage = std::get_if<Usage>(&line)) return *usage;
  ADD_FAILURE() << "was accepted";
  return {};
}

TEST(CommandLine, EveryCommand) {
  EXPECT_EQ(parsed<UpCommand>({"up", "vm.toml"}).config_file, "vm.toml");
  EXPECT_EQ(parsed<DownCommand>({"down", "redis"}).vm, "redis");
  EXPECT_TRUE(parsed<DownCommand>({"down", "redis", "--force"}).force);
  EXPECT_TRUE(parsed<DownCommand>({"down", "--all"}).all);
  EXPECT_EQ(parsed<StatusCommand>({"status"}).vm, "");
  EXPECT_TRUE(parsed<StatusCommand>({"status", "redis", "--json"}).json);
  parsed<ListCommand>({"list"});
  EXPECT_EQ(parsed<ConsoleCommand>({"console", "redis"}).vm, "redis");
  EXPECT_EQ(parsed<FailoverCommand>({"failover", "redis"}).vm, "redis");
  EXPECT_EQ(parsed<EventsCommand>({"events", "redis"}).vm, "redis");
  EXPECT_EQ(parsed<ConfigCheckCommand>({"config", "check", "f"}).config_file, "f");
  EXPECT_TRUE(parsed<ConfigCheckCommand>({"config", "check", "f", "--host"}).host);
  parsed<ConfigReferenceCommand>({"config", "reference"});
  parsed<VersionCommand>({"version"});
}

TEST(CommandLine, RunRecordAndReplay) {
  EXPECT_EQ(parsed<RunCommand>({"run", "vm.toml"}).record_file, "");
  const RunCommand run = parsed<RunCommand>({"run", "vm.toml", "--record", "log"});
  const RunCommand record = parsed<RunCommand>({"record", "vm.toml", "log"});
  EXPECT_EQ(run.config_file, record.config_file);
  EXPECT_EQ(run.record_file, record.record_file);
  EXPECT_EQ(record.record_file, "log");
  EXPECT_EQ(parsed<ReplayCommand>({"replay", "log"}).recording, "log");
}

TEST(CommandLine, Engines) {
  using config::Engine;
  EXPECT_EQ(parsed<UpCommand>({"up", "f"}).engines.both, std::nullopt);
  EXPECT_EQ(parsed<UpCommand>({"up", "f"}).engines.a, std::nullopt);
  const UpCommand up =
      parsed<UpCommand>({"up", "f", "--engine", "interpreter", "--engine-a", "jit"});
  EXPECT_EQ(up.engines.both, Engine::kInterpreter);
  EXPECT_EQ(up.engines.a, Engine::kJit);
  EXPECT_EQ(up.engines.b, std::nullopt);
  EXPECT_EQ(parsed<UpCommand>({"up", "f", "--engine-b", "jit"}).engines.b, Engine::kJit);
  EXPECT_EQ(parsed<RunCommand>({"run", "f", "--engine", "jit"}).engines.both, Engine::kJit);
  EXPECT_EQ(parsed<RunCommand>({"record", "f", "log", "--engine", "interpreter"}).engines.both,
            Engine::kInterpreter);
  EXPECT_EQ(parsed<ReplayCommand>({"replay", "log", "--engine", "interpreter"}).engine,
            Engine::kInterpreter);
  EXPECT_EQ(parsed<ReplayCommand>({"replay", "log"}).engine, std::nullopt);
}

TEST(CommandLine, ImageBuild) {
  const auto small = parsed<ImageBuildCommand>({"image", "build"});
  EXPECT_EQ(small.output, "guest");
  EXPECT_FALSE(small.full);
  const auto full =
      parsed<ImageBuildCommand>({"image", "build", "--full", "--output", "o", "--size", "4G",
                                 "--with-program", "a", "--with-program", "b", "--replace-disk"});
  EXPECT_TRUE(full.full);
  EXPECT_TRUE(full.replace_disk);
  EXPECT_EQ(full.output, "o");
  EXPECT_EQ(full.size, "4G");
  EXPECT_THAT(full.programs, testing::ElementsAre("a", "b"));
}

TEST(CommandLine, StateDirectory) {
  const auto line = parse_command_line({"--state-dir", "/s", "list"});
  ASSERT_TRUE(std::holds_alternative<CommandLine>(line));
  EXPECT_EQ(std::get<CommandLine>(line).state_directory, "/s");
  EXPECT_EQ(std::get<CommandLine>(parse_command_line({"list"})).state_directory, "");
}

TEST(CommandLine, HelpIsNoError) {
  const Usage help = refused({"--help"});
  EXPECT_EQ(help.exit_code, 0);
  for (const char* name : {"up", "down", "status", "list", "console", "failover", "events", "run",
                           "record", "replay", "config", "image", "version"}) {
    EXPECT_THAT(help.text, HasSubstr(std::string("\n  ") + name + " "));
  }
  EXPECT_EQ(refused({"up", "--help"}).exit_code, 0);
}

TEST(CommandLine, MistakesAreExplained) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> mistakes = {
      {{}, "A subcommand is required"},
      {{"up"}, "VM.toml is required"},
      {{"upp", "x"}, "lockstep: upp is no command; did you mean up?"},
      {{"--state-dir", "s", "staus"}, "staus is no command; did you mean status?"},
      {{"config", "verify"}, "verify is no command; there are: check, reference"},
      {{"down"}, "VM or --all is required"},
      {{"down", "redis", "--all"}, "excludes"},
      {{"status", "--xml"}, "--xml"},
      {{"config"}, "A subcommand is required"},
      {{"record", "vm.toml"}, "FILE is required"},
      {{"run", "vm.toml", "--engine", "qemu"}, "--engine: must be jit or interpreter, not qemu"},
      {{"up", "vm.toml", "--engine-b", ""}, "--engine-b: must be jit or interpreter"},
      {{"run", "vm.toml", "--engine-a", "jit"}, "--engine-a"},
  };
  for (const auto& [arguments, text] : mistakes) {
    const Usage usage = refused(arguments);
    EXPECT_EQ(usage.exit_code, 2) << testing::PrintToString(arguments);
    EXPECT_THAT(usage.text, HasSubstr(text));
  }
}

}  // namespace
}  // namespace lockstep::cli
