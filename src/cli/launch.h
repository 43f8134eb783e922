// Starting a VM's processes, all or none.
//
// Requires: the VM's lock is held. Owner: the main thread.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/types.h"
#include "config/engines.h"
#include "config/layout.h"
#include "config/vm_config.h"
#include "io/posix/file_lock.h"
#include "io/posix/interrupts.h"
#include "io/posix/process_control.h"

namespace lockstep::cli {

// A configuration that has been checked, the place of its VM, and the VM's lock.
struct PreparedVm {
  config::VmConfig config;
  config::VmLayout layout;
  std::optional<posix::FileLock> lock;  // reset by a command that goes on once the VM runs
};

// Reads and checks the file, applies the flags, takes the lock, makes sure that the VM is not up
// (kInUse names the processes), clears what a crash left, checks the host, and writes the snapshot.
Result<PreparedVm> prepare_vm(const std::string& config_file, const config::EngineFlags& engines,
                              const std::string& state_directory);

enum class ReplicaRole : uint8_t { kPrimary, kBackup, kSolo };

// lockstep-vmm's command line. `extra` goes at its end.
Result<std::vector<std::string>> replica_command(const config::VmLayout& layout, config::Node node,
                                                 ReplicaRole role, Epoch from_epoch,
                                                 const std::vector<std::string>& extra);

// What lockstep-gateway is told (JSON, gateway/configuration.h).
std::string gateway_configuration(const config::VmConfig& config, const config::VmLayout& layout);

// Started and listening when these return.
Result<posix::ProcessId> start_gateway(const PreparedVm& vm, const posix::Interrupts& interrupts);
// Started when this returns; it may still end at once.
Result<posix::ProcessId> start_replica(const PreparedVm& vm, config::Node node, ReplicaRole role,
                                       Epoch from_epoch);

// Waits until `ready` says yes. Fails when it reports an error, when one of the replicas that were
// started has ended (the error quotes its log), at an interrupt, and after `timeout`.
Status wait_for_replicas(const config::VmLayout& layout, const std::vector<config::Node>& nodes,
                         std::chrono::milliseconds timeout, const posix::Interrupts& interrupts,
                         const std::function<Result<bool>()>& ready);

}  // namespace lockstep::cli
