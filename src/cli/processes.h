// The processes of one VM, as their pid files and sockets show them: start, find, stop.
//
// A pid file is written by whoever starts the process and removed by whoever stops it. It is
// believed only while the process of that number still runs the right program for this VM, so a
// file that a crash left behind names nobody.
//
// Requires for start and stop: the VM's lock is held. Owner: the main thread.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "config/layout.h"
#include "io/posix/process_control.h"

namespace lockstep::cli {

inline constexpr const char* kVmmProgram = "lockstep-vmm";
inline constexpr const char* kGatewayProgram = "lockstep-gateway";
// Between SIGTERM and SIGKILL.
inline constexpr std::chrono::milliseconds kTerminatePatience{3000};
// What of a process's log goes into an error.
inline constexpr size_t kQuotedLogLines = 8;

struct Recorded {
  posix::ProcessId id;
  bool alive = false;
};

// Nothing when it was never started, or was stopped in order.
std::optional<Recorded> recorded_replica(const config::VmLayout& layout, config::Node node);
std::optional<Recorded> recorded_gateway(const config::VmLayout& layout);
std::optional<posix::ProcessId> live_replica(const config::VmLayout& layout, config::Node node);

// The program's file: beside this one. Error kNotFound names where it was looked for.
Result<std::string> find_own_program(const std::string& name);

Status record_process(const std::string& pid_file, posix::ProcessId process);

// Waits until the process has gone; false when it still runs after `patience`.
bool wait_until_gone(posix::ProcessId process, std::chrono::milliseconds patience);
// SIGTERM, patience, SIGKILL.
Status stop_process(posix::ProcessId process);

// Stops whatever of the VM runs and removes pid files and sockets. The backup goes first, so that
// nothing fails over meanwhile.
Status stop_everything(const config::VmLayout& layout);

// The last lines of a log file, each with an indent; empty without the file.
std::string quote_log(const std::string& path);

}  // namespace lockstep::cli
