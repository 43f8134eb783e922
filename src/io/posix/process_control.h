// Processes that another command started: are they still what they were, and end them.
//
// A pid alone names nobody: the kernel gives it to another program once the first has gone.
// Thread-safe: nothing here is shared.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "io/posix/subprocess.h"

namespace lockstep::posix {

// True when the process runs a program of this file name with `argument` among its arguments.
bool process_runs(ProcessId process, const std::string& program_name, const std::string& argument);

// Of all its threads, in user and kernel mode, since it started. Resolution: the kernel's clock
// tick, 10 ms. kNotFound when there is no such process. Source: proc(5), /proc/PID/stat.
Result<std::chrono::nanoseconds> process_cpu_time(ProcessId process);

enum class EndSignal : uint8_t { kTerminate, kKill };

// Success also when the process has gone already.
Status end_process(ProcessId process, EndSignal signal);

// A program that this process runs beside itself and waits for. Not ended by the destructor.
// Owner: whoever holds it.
class ChildProcess {
 public:
  // As spawn_daemon: its own session, empty standard input, output appended to `log_path`. argv[0]
  // is a path.
  static Result<ChildProcess> start(const std::vector<std::string>& argv,
                                    const std::string& log_path);

  ProcessId id() const { return id_; }
  // The exit code, 128 + n when signal n ended it; nothing while it runs. Reaps it.
  std::optional<int> exit_code();

 private:
  explicit ChildProcess(ProcessId id) : id_(id) {}
  ProcessId id_;
  std::optional<int> exit_code_;
};

// Becomes another program: same pid, same terminal, same output. Returns only when that failed.
Status replace_process(const std::vector<std::string>& argv);

// The directory that this program's file is in.
Result<std::string> own_program_directory();

}  // namespace lockstep::posix
