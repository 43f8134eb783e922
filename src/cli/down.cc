// `lockstep down`: powers the guest off, then stops what is left.

#include <chrono>
#include <fmt/format.h>

#include "api/client.h"
#include "cli/commands.h"
#include "cli/processes.h"
#include "cli/view.h"
#include "io/posix/file_lock.h"

namespace lockstep::cli {
namespace {

// A power-off is a log entry: it takes a round trip, and the disks' last writes.
constexpr std::chrono::milliseconds kPowerOffPatience{10'000};

// Ended for good: it powers nothing off and does not end by itself.
bool has_ended(const api::ReplicaStatus& status) {
  return status.state == api::ReplicaState::kHalted ||
         status.state == api::ReplicaState::kDiverged || status.state == api::ReplicaState::kOff;
}

// Asks the live replica. False when there was none to ask, or it did not do it.
bool power_off(const config::VmLayout& layout) {
  for (const config::Node node : config::kNodes) {
    const auto process = live_replica(layout, node);
    const Result<api::ReplicaStatus> status = api::ApiClient(layout.api_socket(node)).status();
    if (!process || !status || status->role != api::Role::kPrimary || has_ended(*status)) continue;
    if (const Status asked = api::ApiClient(layout.api_socket(node)).power_off(); !asked) {
      fmt::print(stderr, "lockstep: {}\n", asked.error().text());
      return false;
    }
    if (!wait_until_gone(*process, kPowerOffPatience)) return false;
    const config::Node other = config::other_node(node);
    const auto follower = live_replica(layout, other);
    const Result<api::ReplicaStatus> followed = api::ApiClient(layout.api_socket(other)).status();
    if (!follower || (followed && has_ended(*followed))) return true;
    return wait_until_gone(*follower, kPowerOffPatience);
  }
  return false;
}

Status down(const config::VmLayout& layout, bool force) {
  const Result<posix::FileLock> lock = posix::FileLock::acquire(layout.lock_file());
  if (!lock) return std::unexpected(lock.error());
  const bool was_up =
      live_replica(layout, config::Node::kA) || live_replica(layout, config::Node::kB);
  const bool powered_off = was_up && !force && power_off(layout);
  if (Status stopped = stop_everything(layout); !stopped) return stopped;
  fmt::print("{}: {}\n", layout.vm_name(),
             !was_up       ? "was not up"
             : powered_off ? "powered off"
             : force       ? "stopped"
                           : "stopped: no live replica powered the guest off");
  return {};
}

}  // namespace

Status run_down(const DownCommand& command, const std::string& state_directory) {
  if (!command.all) {
    const Result<config::VmLayout> layout = find_vm(state_directory, command.vm);
    if (!layout) return std::unexpected(layout.error());
    return down(*layout, command.force);
  }
  Status first_failure;
  for (const std::string& name : known_vms(state_directory)) {
    Status done = down(config::VmLayout(state_directory, name), command.force);
    if (done) continue;
    if (first_failure) {
      first_failure = done;
    } else {
      fmt::print(stderr, "lockstep: {}\n", done.error().text());
    }
  }
  return first_failure;
}

}  // namespace lockstep::cli
