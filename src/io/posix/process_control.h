// Processes that another command started: are they still what they were, and end them.
//
// A pid alone names nobody: the kernel gives it to another program once the first has gone.
// Thread-safe: nothing here is shared.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "io/posix/subprocess.h"

namespace lockstep::posix {

// True when the process runs a program of this file name with `argument` among its arguments.
bool process_runs(ProcessId process, const std::string& program_name, const std::string& argument);

enum class EndSignal : uint8_t { kTerminate, kKill };

// Success also when the process has gone already.
Status end_process(ProcessId process, EndSignal signal);

// Becomes another program: same pid, same terminal. Returns only when that failed.
Status replace_process(const std::vector<std::string>& argv);

// The directory that this program's file is in.
Result<std::string> own_program_directory();

}  // namespace lockstep::posix
