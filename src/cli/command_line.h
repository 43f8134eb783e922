// The command line of `lockstep`: text in, a command as a value out.
//
// Owner: none (pure functions).
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "config/engines.h"

namespace lockstep::cli {

struct RunCommand {
  std::string config_file;
  std::string record_file;  // empty: not recorded
  config::EngineFlags engines;
};
struct ReplayCommand {
  std::string recording;
  std::optional<config::Engine> engine;
};
struct UpCommand {
  std::string config_file;
  config::EngineFlags engines;
};
struct DownCommand {
  std::string vm;  // empty: all
  bool all = false;
  bool force = false;
};
struct StatusCommand {
  std::string vm;  // empty: all
  bool json = false;
};
struct ListCommand {};
struct ConsoleCommand {
  std::string vm;
};
struct FailoverCommand {
  std::string vm;
};
struct EventsCommand {
  std::string vm;
};
struct ConfigCheckCommand {
  std::string config_file;
  bool host = false;  // also check_environment
};
struct ConfigReferenceCommand {};
struct ImageBuildCommand {
  bool full = false;
  bool replace_disk = false;
  std::string output;
  std::string size;
  std::vector<std::string> programs;
  std::vector<std::string> packages;
};
struct VersionCommand {};

using Command =
    std::variant<RunCommand, ReplayCommand, UpCommand, DownCommand, StatusCommand, ListCommand,
                 ConsoleCommand, FailoverCommand, EventsCommand, ConfigCheckCommand,
                 ConfigReferenceCommand, ImageBuildCommand, VersionCommand>;

struct CommandLine {
  std::string state_directory;  // empty: the default
  Command command;
};

// Help was asked for (exit_code 0), or the command line is wrong: `text` is all there is to say.
struct Usage {
  int exit_code = 0;
  std::string text;
};

std::variant<CommandLine, Usage> parse_command_line(const std::vector<std::string>& arguments);

}  // namespace lockstep::cli
