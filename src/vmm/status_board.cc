#include "vmm/status_board.h"

#include <chrono>
#include <fmt/chrono.h>
#include <utility>

#include "io/posix/process.h"
#include "riscv/guest_time.h"
#include "vmm/engine_choice.h"

namespace lockstep::vmm {
namespace {

constexpr uint64_t kRateWindowNs = 1'000'000'000;
constexpr uint64_t kSampleIntervalNs = 100'000'000;

std::string utc_now() {
  const auto now =
      std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
  const auto seconds = std::chrono::time_point_cast<std::chrono::seconds>(now);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", seconds, (now - seconds).count());
}

api::ReplicaState to_api(replication::VmState state) {
  switch (state) {
    case replication::VmState::kStarting:
      return api::ReplicaState::kStarting;
    case replication::VmState::kSolo:
      return api::ReplicaState::kSolo;
    case replication::VmState::kProtected:
      return api::ReplicaState::kProtected;
    case replication::VmState::kFailingOver:
      return api::ReplicaState::kFailingOver;
    case replication::VmState::kWaitingForArbiter:
      return api::ReplicaState::kWaitingForArbiter;
    case replication::VmState::kHalted:
      return api::ReplicaState::kHalted;
    case replication::VmState::kDiverged:
      return api::ReplicaState::kDiverged;
    case replication::VmState::kOff:
      return api::ReplicaState::kOff;
  }
  return api::ReplicaState::kStarting;
}

}  // namespace

StatusBoard::StatusBoard(std::string vm, std::string node) {
  status_.vm = std::move(vm);
  status_.node = std::move(node);
  status_.pid = posix::own_process_id();
  status_.reason = "starting";
}

void StatusBoard::update(const replication::View& view, const VcpuFigures& vcpu, HostTime now) {
  const std::lock_guard lock(mutex_);
  status_.role =
      view.role == replication::Role::kPrimary ? api::Role::kPrimary : api::Role::kBackup;
  status_.state = to_api(view.state);
  if (!view.reason.empty()) status_.reason = view.reason;
  status_.epoch = view.epoch.value;
  status_.step = vcpu.steps;
  status_.guest_time_s =
      static_cast<double>(vcpu.guest_ticks) / static_cast<double>(riscv::kTicksPerSecond);
  status_.peer_connected = !view.peer_node.empty();
  status_.heartbeat_age_ms =
      status_.peer_connected ? static_cast<double>(view.heartbeat_age_ns) / 1e6 : 0;
  status_.lag_ms = static_cast<double>(view.lag_ms);
  status_.unacknowledged_bytes = view.unacknowledged_bytes;
  status_.hold_time_p50_us = static_cast<double>(view.hold_p50_ns) / 1e3;
  status_.hold_time_p99_us = static_cast<double>(view.hold_p99_ns) / 1e3;
  status_.throttle_permille = view.throttle_permille;
  const double rate = status_.engine.steps_per_second;
  status_.engine = engine_status(vcpu.engine);
  status_.engine.steps_per_second = rate;
  if (samples_.empty() || now - samples_.back().when >= kSampleIntervalNs) {
    update_rates({now, vcpu});
  }
}

void StatusBoard::update_rates(const Sample& now) {
  while (samples_.size() > 1 && now.when - samples_.front().when > kRateWindowNs) {
    samples_.pop_front();
  }
  if (!samples_.empty()) {
    const Sample& then = samples_.front();
    const double seconds = static_cast<double>(now.when - then.when) / 1e9;
    const auto run_seconds = static_cast<double>(now.vcpu.run_ns - then.vcpu.run_ns) / 1e9;
    status_.engine.steps_per_second =
        run_seconds > 0 ? static_cast<double>(now.vcpu.steps - then.vcpu.steps) / run_seconds : 0;
    for (size_t i = 0; i < log::kEntryKinds; ++i) {
      const log::LogStatistics::Kind& kind = now.vcpu.log.kinds[i];
      if (kind.entries == 0) continue;
      const double bits = 8.0 * static_cast<double>(kind.bytes - then.vcpu.log.kinds[i].bytes);
      status_.log[log::to_string(static_cast<log::EntryKind>(i))] = {kind.entries, kind.bytes,
                                                                     bits / seconds};
    }
  }
  samples_.push_back(now);
}

void StatusBoard::set_channel_traffic(const Channel::Traffic& traffic) {
  const std::lock_guard lock(mutex_);
  status_.channel_sent_bytes = traffic.sent_bytes;
  status_.channel_received_bytes = traffic.received_bytes;
}

void StatusBoard::add_event(std::string kind, std::string text) {
  const std::lock_guard lock(mutex_);
  if (events_.size() >= kMaxEvents) events_.pop_front();
  events_.push_back({utc_now(), std::move(kind), std::move(text)});
}

void StatusBoard::add_failover(double blackout_ms, std::string reason) {
  const std::lock_guard lock(mutex_);
  status_.failovers.push_back({utc_now(), blackout_ms, std::move(reason)});
}

void StatusBoard::set_divergence(std::string report) {
  const std::lock_guard lock(mutex_);
  status_.divergence = std::move(report);
}

api::ReplicaStatus StatusBoard::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

std::vector<api::EventRecord> StatusBoard::events() const {
  const std::lock_guard lock(mutex_);
  return {events_.begin(), events_.end()};
}

}  // namespace lockstep::vmm
