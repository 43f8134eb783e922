// lockstep: the command-line client. Results go to standard output, errors to standard error, and
// the exit code follows from the error (docs/errors.md).

#include <cstdlib>
#include <fmt/format.h>
#include <string>
#include <variant>
#include <vector>

#include "api/exit_code.h"
#include "cli/command_line.h"
#include "cli/commands.h"
#include "config/layout.h"

namespace lockstep::cli {
namespace {

// A command as a call; state_directory is resolved.
struct Dispatch {
  const std::string& state_directory;

  Status operator()(const UpCommand& command) const { return run_up(command, state_directory); }
  Status operator()(const DownCommand& command) const { return run_down(command, state_directory); }
  Status operator()(const RunCommand& command) const { return run_solo(command, state_directory); }
  Status operator()(const ReplayCommand& command) const { return run_replay(command); }
  Status operator()(const StatusCommand& command) const {
    return run_status(command, state_directory);
  }
  Status operator()(const ListCommand&) const { return run_list(state_directory); }
  Status operator()(const ConsoleCommand& command) const {
    return run_console(command, state_directory);
  }
  Status operator()(const FailoverCommand& command) const {
    return run_failover(command, state_directory);
  }
  Status operator()(const EventsCommand& command) const {
    return run_events(command, state_directory);
  }
  Status operator()(const ConfigCheckCommand& command) const {
    return run_config_check(command, state_directory);
  }
  Status operator()(const ConfigReferenceCommand&) const { return run_config_reference(); }
  Status operator()(const ImageBuildCommand& command) const { return run_image_build(command); }
  Status operator()(const VersionCommand&) const { return run_version(); }
};

int report(const Error& error) {
  fmt::print(stderr, "lockstep: {}\n", error.text());
  return api::exit_code(error.code);
}

int run(const std::vector<std::string>& arguments) {
  const std::variant<CommandLine, Usage> parsed = parse_command_line(arguments);
  if (const Usage* usage = std::get_if<Usage>(&parsed)) {
    fmt::print(usage->exit_code == 0 ? stdout : stderr, "{}", usage->text);
    return usage->exit_code;
  }
  const auto& line = std::get<CommandLine>(parsed);
  std::string state_directory = line.state_directory;
  if (state_directory.empty()) {
    const Result<std::string> fallback =
        config::default_state_directory([](const char* name) { return std::getenv(name); });
    if (!fallback) return report(fallback.error());
    state_directory = *fallback;
  }
  const Status done = std::visit(Dispatch{state_directory}, line.command);
  return done ? api::kExitSuccess : report(done.error());
}

}  // namespace
}  // namespace lockstep::cli

int main(int argc, char** argv) {
  return lockstep::cli::run(std::vector<std::string>(argv + 1, argv + argc));
}
