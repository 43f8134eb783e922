// A stand-in for lockstep-vmm: what the client sees of a replica, without a machine in it.
//
// It takes the same arguments, answers on the API, wins epochs from the arbiter, goes live when the
// primary's process has gone, and powers off with its peer. The primary writes "<node> <epoch>" at
// the start of its first disk, as a guest would change it. The VM's cmdline chooses a fault:
// "fake:exit-backup" ends the backup at once, "fake:silent" never becomes protected, "fake:solo"
// lets the primary go on without its backup, "fake:stubborn" ignores SIGTERM and power-off,
// "fake:exit-soon" ends a solo VM by itself with exit code 0.

#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <map>
#include <string>
#include <thread>
#include <unistd.h>

#include "api/server.h"
#include "base/diagnostics.h"
#include "config/engines.h"
#include "config/layout.h"
#include "config/load.h"
#include "io/posix/directory_arbiter.h"
#include "io/posix/host_files.h"
#include "io/posix/process_control.h"

namespace lockstep {
namespace {

using config::Node;
using config::VmLayout;

constexpr std::chrono::milliseconds kTick{10};

class FakeReplica {
 public:
  FakeReplica(config::VmConfig config, VmLayout layout, Node node, std::string role, Epoch from)
      : config_(std::move(config)),
        layout_(std::move(layout)),
        node_(node),
        role_(std::move(role)),
        from_(from),
        epoch_(role_ == "backup" ? from + 1 : from),  // the one that its primary wins
        arbiter_(layout_.arbiter_directory(config_)) {}

  int run() {
    if (has_fault("exit-backup") && role_ == "backup") {
      diagnose(Severity::kError, "cannot open the disk image: planted");
      return 3;
    }
    if (role_ != "backup" && !go_live()) return 4;
    auto server = api::ApiServer::start(
        layout_.api_socket(node_),
        {.status = [this] { return status(); },
         .events = [] { return std::vector<api::EventRecord>{{"now", "state", "started"}}; },
         .power_off = [this] { return power_off(); },
         .failover = []() -> Status {
           return fail(ErrorCode::kUnavailable, "cannot fail over", "vm", "it has no backup");
         }});
    if (!server) {
      diagnose(Severity::kError, "{}", server.error().text());
      return 5;
    }
    const auto begin = std::chrono::steady_clock::now();
    while (!std::filesystem::exists(power_off_marker())) {
      std::this_thread::sleep_for(kTick);
      if (role_ == "backup" && peer_has_gone() && !go_live()) return 6;
      if (has_fault("exit-soon") && std::chrono::steady_clock::now() - begin > 50 * kTick) return 0;
    }
    diagnose(Severity::kInfo, "powered off");
    return 0;
  }

 private:
  bool has_fault(const char* name) const { return config_.cmdline == std::string("fake:") + name; }
  // One for each start, so that a new pair does not find the old one's.
  std::string power_off_marker() const {
    return fmt::format("{}/powered-off-{}", layout_.directory(), from_.value);
  }

  Status power_off() {
    if (has_fault("stubborn")) return {};
    return posix::write_file_atomically(power_off_marker(), "");
  }

  bool peer_has_gone() const {
    std::ifstream file(layout_.replica_pid_file(config::other_node(node_)));
    posix::ProcessId peer;
    return static_cast<bool>(file >> peer.value) && !posix::process_alive(peer) &&
           !std::filesystem::exists(power_off_marker());
  }

  bool go_live() {
    const auto result = arbiter_.acquire(config_.name, epoch_, to_string(node_));
    if (!std::holds_alternative<io::AcquireResult::Won>(result.value)) {
      diagnose(Severity::kError, "lost the epoch after {}", epoch_.load().value);
      return false;
    }
    epoch_ = epoch_.load() + 1;
    live_alone_ = role_ != "primary";
    role_ = "primary";
    if (!config_.disks.empty()) {
      std::fstream disk(layout_.disk_image(config_, node_, 0));
      disk << to_string(node_) << ' ' << epoch_.load().value << '\n';
    }
    return true;
  }

  api::ReplicaStatus status() const {
    api::ReplicaStatus status;
    status.vm = config_.name;
    status.node = to_string(node_);
    status.pid = ::getpid();
    status.role = role_ == "backup" ? api::Role::kBackup : api::Role::kPrimary;
    status.state = has_fault("silent")                ? api::ReplicaState::kStarting
                   : live_alone_ || has_fault("solo") ? api::ReplicaState::kSolo
                                                      : api::ReplicaState::kProtected;
    status.reason = "as a fake";
    status.epoch = epoch_.load().value;
    status.engine.name = to_string(config::engine_of(config_, node_));
    return status;
  }

  const config::VmConfig config_;
  const VmLayout layout_;
  const Node node_;
  std::string role_;
  const Epoch from_;
  std::atomic<Epoch> epoch_;
  std::atomic<bool> live_alone_ = false;
  posix::DirectoryArbiter arbiter_;
};

int run(const std::map<std::string, std::string>& arguments) {
  const VmLayout layout = VmLayout::of_vm_directory(arguments.at("--state-dir"));
  config::Loaded config = config::load_config(arguments.at("--config"));
  if (!config) {
    diagnose(Severity::kError, "{}", config.error().text());
    return 2;
  }
  const std::string& role = arguments.at("--role");
  if (config->cmdline == "fake:stubborn") std::signal(SIGTERM, SIG_IGN);
  const Node node = config::parse_node(arguments.at("--node")).value();
  set_diagnostics_name(fmt::format("replica-{}", to_string(node)));
  return FakeReplica(*config, layout, node, role, Epoch(std::stoull(arguments.at("--from-epoch"))))
      .run();
}

}  // namespace
}  // namespace lockstep

int main(int argc, char** argv) {
  std::map<std::string, std::string> arguments;
  for (int i = 1; i + 1 < argc; i += 2) arguments[argv[i]] = argv[i + 1];
  return lockstep::run(arguments);
}
