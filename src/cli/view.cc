#include "cli/view.h"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>
#include <utility>

#include "api/client.h"
#include "cli/processes.h"
#include "io/posix/unix_socket_path.h"

namespace lockstep::cli {
namespace {

namespace fs = std::filesystem;

constexpr int kGatewayTimeoutMs = 2000;
constexpr size_t kMaxGatewayAnswer = size_t{1} << 20;

api::ReplicaView look_at_replica(const config::VmLayout& layout, config::Node node,
                                 const Recorded& process) {
  api::ReplicaView view;
  view.status.vm = layout.vm_name();
  view.status.node = to_string(node);
  view.status.pid = process.id.value;
  view.status.state = api::ReplicaState::kGone;
  if (!process.alive) {
    view.status.reason = fmt::format("process {} is gone; its last words are in {}",
                                     process.id.value, layout.replica_log(node));
    return view;
  }
  Result<api::ReplicaStatus> answer = api::ApiClient(layout.api_socket(node)).status();
  if (!answer) {
    view.status.reason = fmt::format("process {} runs but does not answer: {}", process.id.value,
                                     answer.error().text());
    return view;
  }
  view.alive = true;
  view.status = std::move(*answer);
  return view;
}

api::GatewayView look_at_gateway(const config::VmLayout& layout) {
  api::GatewayView view;
  const std::optional<Recorded> process = recorded_gateway(layout);
  if (!process) {
    view.problem = "not started";
    return view;
  }
  view.pid = process->id.value;
  if (!process->alive) {
    view.problem =
        fmt::format("process {} is gone; its last words are in {}", view.pid, layout.gateway_log());
    return view;
  }
  const Result<std::string> answer =
      posix::read_unix_socket(layout.gateway_status_socket(), kGatewayTimeoutMs, kMaxGatewayAnswer);
  if (!answer || !nlohmann::json::parse(*answer, nullptr, false).is_object()) {
    view.problem = fmt::format("process {} runs but does not answer: {}", view.pid,
                               answer ? "not a JSON object" : answer.error().text());
    return view;
  }
  view.alive = true;
  view.details_json = nlohmann::ordered_json::parse(*answer).dump();
  return view;
}

std::string rate(double per_second) {
  if (per_second >= 1e6) return fmt::format("{:.1f} M", per_second / 1e6);
  if (per_second >= 1e3) return fmt::format("{:.1f} k", per_second / 1e3);
  return fmt::format("{:.0f} ", per_second);
}

std::string render_replica(const api::ReplicaView& view) {
  const api::ReplicaStatus& status = view.status;
  std::string text = fmt::format("  replica {}  {}{}: {}\n", status.node,
                                 view.alive ? fmt::format("{}, ", to_string(status.role)) : "",
                                 to_string(status.state), status.reason);
  if (!view.alive) return text;
  text +=
      fmt::format("             pid {}, epoch {}, step {}, guest time {:.3f} s, {} at {}steps/s\n",
                  status.pid, status.epoch, status.step, status.guest_time_s, status.engine.name,
                  rate(status.engine.steps_per_second));
  if (status.peer_connected) {
    text += fmt::format(
        "             lag {:.1f} ms, unacknowledged {} bytes, last heartbeat {:.1f} "
        "ms ago, throttle {:.1f} %\n",
        status.lag_ms, status.unacknowledged_bytes, status.heartbeat_age_ms,
        status.throttle_permille / 10.0);
  }
  if (status.role == api::Role::kPrimary && !status.log.empty()) {
    text += fmt::format("             log {}bit/s, output held {:.0f} us (p50), {:.0f} us (p99)\n",
                        rate(status.log_bits_per_second()), status.hold_time_p50_us,
                        status.hold_time_p99_us);
  }
  for (const api::FailoverRecord& failover : status.failovers) {
    text += fmt::format("             failover {}: {:.1f} ms without a live replica, {}\n",
                        failover.when, failover.blackout_ms, failover.reason);
  }
  if (status.divergence) text += fmt::format("             divergence: {}\n", *status.divergence);
  return text;
}

// The gateway's answer is its own: what of it is known is shown, the rest is in --json.
std::string render_gateway(const api::GatewayView& gateway) {
  if (!gateway.alive) return fmt::format("  gateway    {}\n", gateway.problem);
  const auto details = nlohmann::json::parse(gateway.details_json, nullptr, false);
  std::vector<std::string> forwards;
  if (const auto nics = details.find("nics"); nics != details.end() && nics->is_array()) {
    for (const auto& nic : *nics) {
      if (!nic.contains("forward") || !nic["forward"].is_array()) continue;
      for (const auto& forward : nic["forward"]) {
        if (forward.is_string()) forwards.push_back(forward.get<std::string>());
      }
    }
  }
  return fmt::format("  gateway    pid {}{}{}\n", gateway.pid,
                     forwards.empty() ? "" : ", forwards ", fmt::join(forwards, ", "));
}

}  // namespace

std::vector<std::string> known_vms(const std::string& state_directory) {
  std::vector<std::string> names;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(state_directory, ignored)) {
    std::string name = entry.path().filename().string();
    if (fs::exists(config::VmLayout(state_directory, name).config_file(), ignored)) {
      names.push_back(std::move(name));
    }
  }
  std::ranges::sort(names);
  return names;
}

Result<config::VmLayout> find_vm(const std::string& state_directory, const std::string& vm) {
  const std::vector<std::string> names = known_vms(state_directory);
  if (std::ranges::find(names, vm) != names.end()) return config::VmLayout(state_directory, vm);
  return fail(ErrorCode::kNotFound, "no VM is called", vm,
              names.empty() ? fmt::format("there is none in {}", state_directory)
                            : fmt::format("there are: {}", fmt::join(names, ", ")));
}

api::VmStatus look_at(const config::VmLayout& layout) {
  api::VmStatus vm;
  vm.name = layout.vm_name();
  for (const config::Node node : config::kNodes) {
    if (const auto process = recorded_replica(layout, node)) {
      vm.replicas.push_back(look_at_replica(layout, node, *process));
    }
  }
  vm.gateway = look_at_gateway(layout);
  return vm;
}

std::string render_status(const api::VmStatus& vm) {
  std::string text = fmt::format("{}: {} ({})\n", vm.name, to_string(vm.state()), vm.reason());
  for (const api::ReplicaView& replica : vm.replicas) text += render_replica(replica);
  if (!vm.replicas.empty() || vm.gateway.alive) text += render_gateway(vm.gateway);
  return text;
}

std::string render_list(const std::vector<api::VmStatus>& vms) {
  size_t width = 4;
  for (const api::VmStatus& vm : vms) width = std::max(width, vm.name.size());
  std::string text = fmt::format("{:<{}}  {:<20}{}\n", "NAME", width, "STATE", "REASON");
  for (const api::VmStatus& vm : vms) {
    text += fmt::format("{:<{}}  {:<20}{}\n", vm.name, width, to_string(vm.state()), vm.reason());
  }
  return text;
}

}  // namespace lockstep::cli
