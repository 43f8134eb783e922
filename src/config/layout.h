// Where a VM's files are: the one place that knows the names below the state directory.
//
//   <state>/<vm>/config.toml          what the VM was started with, paths absolute
//                boot-seed            random bytes that both replicas give the guest
//                lock                 held by a command that starts or stops the VM
//                channel.sock         the logging channel: the primary listens
//                arbiter/             the arbiter's directory, when the configured one is relative
//                replica-a/           api.sock log.txt pid
//                replica-b/           the same, and disk0.img …: b's copies of the images
//                gateway/             gateway.sock console.sock status.sock config.json console.log
//                                     log.txt pid
//
// Owner: none (values).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "config/vm_config.h"

namespace lockstep::config {

enum class Node : uint8_t { kA, kB };
inline constexpr std::array kNodes{Node::kA, Node::kB};

constexpr std::string_view to_string(Node node) {
  return node == Node::kA ? "a" : "b";
}
constexpr Node other_node(Node node) {
  return node == Node::kA ? Node::kB : Node::kA;
}
std::optional<Node> parse_node(std::string_view text);

class VmLayout {
 public:
  // `state_directory` is made absolute.
  VmLayout(const std::string& state_directory, std::string vm_name);
  // From <state>/<vm> itself, which lockstep-vmm is given.
  static VmLayout of_vm_directory(const std::string& vm_directory);

  const std::string& vm_name() const { return vm_name_; }
  const std::string& directory() const { return directory_; }
  std::string config_file() const { return below("config.toml"); }
  // Random bytes for the guest's own generator, new at each start, the same for both replicas.
  std::string boot_seed_file() const { return below("boot-seed"); }
  std::string lock_file() const { return below("lock"); }
  std::string channel_socket() const { return below("channel.sock"); }
  // A directory arbiter's directory. Requires: protection.arbiter is a directory.
  std::string arbiter_directory(const VmConfig& config) const;

  std::string replica_directory(Node node) const;
  std::string api_socket(Node node) const { return replica_directory(node) + "/api.sock"; }
  std::string replica_log(Node node) const { return replica_directory(node) + "/log.txt"; }
  std::string replica_pid_file(Node node) const { return replica_directory(node) + "/pid"; }
  // The image that this replica opens. Node a uses the configured one itself, and so does every
  // node when the disk is read-only.
  std::string disk_image(const VmConfig& config, Node node, size_t index) const;
  // Exists while the replica's images are being brought up to date: they must not be used.
  std::string refresh_marker(Node node) const {
    return replica_directory(node) + "/refresh-in-progress";
  }

  std::string gateway_directory() const { return below("gateway"); }
  std::string gateway_socket() const { return below("gateway/gateway.sock"); }
  std::string console_socket() const { return below("gateway/console.sock"); }
  std::string gateway_status_socket() const { return below("gateway/status.sock"); }
  std::string console_log() const { return below("gateway/console.log"); }
  std::string gateway_log() const { return below("gateway/log.txt"); }
  std::string gateway_config_file() const { return below("gateway/config.json"); }
  std::string gateway_pid_file() const { return below("gateway/pid"); }

 private:
  VmLayout() = default;
  std::string below(std::string_view name) const { return directory_ + "/" + std::string(name); }

  std::string vm_name_;
  std::string directory_;
};

// Where VMs keep their state when the command line does not say: $LOCKSTEP_STATE_DIR, else
// $XDG_STATE_HOME/lockstep, else ~/.local/state/lockstep. `environment` looks a variable up, null
// when unset.
Result<std::string> default_state_directory(
    const std::function<const char*(const char* name)>& environment);

}  // namespace lockstep::config
