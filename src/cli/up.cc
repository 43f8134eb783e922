// `lockstep up`: a gateway, a backup and a primary, or nothing.

#include <chrono>
#include <fmt/format.h>

#include "api/client.h"
#include "cli/commands.h"
#include "cli/disks.h"
#include "cli/launch.h"
#include "cli/processes.h"
#include "cli/view.h"

namespace lockstep::cli {
namespace {

// Beyond the primary's own wait for its backup: loading kernel and image on a busy host.
constexpr std::chrono::milliseconds kStartSlack{20'000};

struct Plan {
  config::Node primary = config::Node::kA;
  Epoch from_epoch;
  bool with_backup = true;
};

Result<bool> is_ready(const config::VmLayout& layout, const Plan& plan) {
  const auto wanted = plan.with_backup ? api::ReplicaState::kProtected : api::ReplicaState::kSolo;
  for (const config::Node node : config::kNodes) {
    if (node != plan.primary && !plan.with_backup) continue;
    const Result<api::ReplicaStatus> status = api::ApiClient(layout.api_socket(node)).status();
    if (!status && status.error().code == ErrorCode::kIncompatible) {
      return std::unexpected(status.error());
    }
    if (!status) return false;  // not listening yet
    switch (status->state) {
      case api::ReplicaState::kSolo:
      case api::ReplicaState::kHalted:
      case api::ReplicaState::kDiverged:
      case api::ReplicaState::kOff:
        if (status->state == wanted) break;
        return fail(
            ErrorCode::kUnavailable, "cannot protect", layout.vm_name(),
            fmt::format("replica {} is {}: {}\n{}", to_string(node), to_string(status->state),
                        status->reason, quote_log(layout.replica_log(node))));
      default:
        if (status->state != wanted) return false;
    }
  }
  return true;
}

Status start(const PreparedVm& vm, const Plan& plan, const posix::Interrupts& interrupts) {
  if (auto gateway = start_gateway(vm, interrupts); !gateway) {
    return std::unexpected(gateway.error());
  }
  std::vector<config::Node> nodes{plan.primary};
  if (plan.with_backup) {
    nodes.push_back(config::other_node(plan.primary));
    const auto backup = start_replica(vm, nodes.back(), ReplicaRole::kBackup, plan.from_epoch);
    if (!backup) return std::unexpected(backup.error());
  }
  const auto primary =
      start_replica(vm, plan.primary, plan.with_backup ? ReplicaRole::kPrimary : ReplicaRole::kSolo,
                    plan.from_epoch);
  if (!primary) return std::unexpected(primary.error());
  const auto timeout = std::chrono::milliseconds(vm.config.protection.start_wait_ms) + kStartSlack;
  return wait_for_replicas(vm.layout, nodes, timeout, interrupts,
                           [&] { return is_ready(vm.layout, plan); });
}

}  // namespace

Status run_up(const UpCommand& command, const std::string& state_directory) {
  Result<posix::Interrupts> interrupts = posix::Interrupts::create();
  if (!interrupts) return std::unexpected(interrupts.error());
  Result<PreparedVm> vm = prepare_vm(command.config_file, command.engines, state_directory);
  if (!vm) return std::unexpected(vm.error());
  const Result<Newest> newest = newest_replica(vm->config, vm->layout);
  if (!newest) return std::unexpected(newest.error());
  const Plan plan{newest->node, newest->epoch, vm->config.protection.backups != 0};
  if (plan.with_backup) {
    Status refreshed =
        refresh_other_disks(vm->config, vm->layout, newest->node,
                            [](const std::string& text) { fmt::print("{}\n", text); });
    if (!refreshed) return refreshed;
  }
  if (Status started = start(*vm, plan, *interrupts); !started) {
    Error error = started.error();
    if (const Status stopped = stop_everything(vm->layout); !stopped) {
      error.advice += fmt::format("\nalso: {}", stopped.error().text());
    }
    return std::unexpected(std::move(error));
  }
  fmt::print("{}", render_status(look_at(vm->layout)));
  fmt::print("console: lockstep console {}; stop: lockstep down {}\n", vm->config.name,
             vm->config.name);
  return {};
}

}  // namespace lockstep::cli
