// Other programs: run one and wait for it, or leave one running as a daemon.
//
// Arguments are passed as they are; no shell is involved. argv[0] without a slash is looked up in
// PATH. A program inherits no descriptor but the standard three. A program that cannot be started
// is an Error that names it; a program that ran and failed is a CommandResult.
//
// Thread-safe: nothing here is shared.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace lockstep::posix {

// What CommandResult keeps of a program's output: the last bytes, since that is where it says why
// it failed.
inline constexpr size_t kMaxCapturedOutput = size_t{64} << 10;
// A longer line reaches on_output_line in pieces of this size.
inline constexpr size_t kMaxOutputLine = size_t{16} << 10;

struct CommandOptions {
  std::string working_directory = {};  // empty: this process's
  // Set on top of this process's environment.
  std::vector<std::pair<std::string, std::string>> environment = {};
  // Standard output and standard error, line by line, without the newline. May be empty.
  std::function<void(std::string_view line)> on_output_line = {};
};

struct CommandResult {
  int exit_code = 0;   // 128 + n when signal n ended it
  std::string output;  // standard output and error: the last kMaxCapturedOutput bytes
};

// Runs a program with an empty standard input and waits until it has ended and closed its output.
Result<CommandResult> run_command(const std::vector<std::string>& argv,
                                  const CommandOptions& options = {});

struct ProcessId {
  int value = 0;
  bool operator==(const ProcessId&) const = default;
};

// Starts a program that outlives this process: its own session, standard input from /dev/null,
// output appended to `log_path`. It is not this process's child, so nobody has to reap it.
// on_output_line is not called.
Result<ProcessId> spawn_daemon(const std::vector<std::string>& argv, const std::string& log_path,
                               const CommandOptions& options = {});

ProcessId this_process();

// This process may do what only root may: its effective user is root.
bool running_as_root();

// A zombie is not alive. A process of another user is.
bool process_alive(ProcessId process);

// Error kNotFound when there is no such process.
Status send_signal(ProcessId process, int signal);

// The path of a program as PATH finds it, or an empty string.
std::string find_program(const std::string& name);

}  // namespace lockstep::posix
