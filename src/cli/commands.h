// The commands of `lockstep`: each does one thing and says what it did on standard output.
//
// Requires: the main thread, before other threads start. Errors: what went wrong; main prints it
// and takes the exit code from it.
#pragma once

#include <string>

#include "base/error.h"
#include "cli/command_line.h"

namespace lockstep::cli {

// `state_directory`: resolved, never empty.
Status run_up(const UpCommand& command, const std::string& state_directory);
Status run_down(const DownCommand& command, const std::string& state_directory);
Status run_solo(const RunCommand& command, const std::string& state_directory);
Status run_replay(const ReplayCommand& command);
Status run_status(const StatusCommand& command, const std::string& state_directory);
Status run_list(const std::string& state_directory);
Status run_console(const ConsoleCommand& command, const std::string& state_directory);
Status run_failover(const FailoverCommand& command, const std::string& state_directory);
Status run_events(const EventsCommand& command, const std::string& state_directory);
Status run_config_check(const ConfigCheckCommand& command, const std::string& state_directory);
Status run_config_reference();
Status run_image_build(const ImageBuildCommand& command);
Status run_version();

}  // namespace lockstep::cli
