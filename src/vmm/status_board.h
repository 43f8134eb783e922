// What the API shows: a copy that the loop's thread keeps current and the API's threads read.
//
// Thread-safe.
#pragma once

#include <deque>
#include <mutex>
#include <string>
#include <vector>

#include "api/status.h"
#include "base/types.h"
#include "log/statistics.h"
#include "replication/view.h"
#include "vmm/channel.h"
#include "vmm/vcpu_figures.h"

namespace lockstep::vmm {

class StatusBoard {
 public:
  static constexpr size_t kMaxEvents = 1'000;  // the oldest are forgotten

  StatusBoard(std::string vm, std::string node);

  // `now` never goes back from one call to the next.
  void update(const replication::View& view, const VcpuFigures& vcpu, HostTime now);
  void set_channel_traffic(const Channel::Traffic& traffic);
  void add_event(std::string kind, std::string text);
  void add_failover(double blackout_ms, std::string reason);
  void set_divergence(std::string report);

  api::ReplicaStatus status() const;
  std::vector<api::EventRecord> events() const;

 private:
  // A moment to compute rates from.
  struct Sample {
    HostTime when;
    VcpuFigures vcpu;
  };

  void update_rates(const Sample& now);

  mutable std::mutex mutex_;
  api::ReplicaStatus status_;
  std::deque<api::EventRecord> events_;
  std::deque<Sample> samples_;  // of the last second or so
};

}  // namespace lockstep::vmm
