// The vCPU thread of a backup: the replay driver's source and target, and the way to going live.
#include <algorithm>
#include <fmt/format.h>
#include <utility>

#include "base/check.h"
#include "io/posix/host_clock.h"
#include "replay/replayer.h"
#include "replay/source.h"
#include "vmm/vcpu.h"

namespace lockstep::vmm {

// The queue that the channel fills. When the replay has taken a frame whole, and is about to wait
// or has not reported for a while, it says how far it is.
class ReportingSource final : public replay::EntrySource {
 public:
  explicit ReportingSource(Vcpu& vcpu) : vcpu_(vcpu), queue_(vcpu.replay_queue_, LogPosition(0)) {}

  Result<replay::SourceState> next(log::Entry& entry) override {
    if (whole_frame_) {
      report_when_due();
      vcpu_.inbox_.wait_for([](const Orders& orders) { return !orders.stand_still; });
    }
    Result<replay::SourceState> state = queue_.next(entry);
    whole_frame_ =
        state && *state == replay::SourceState::kEntry && entry.kind() == log::EntryKind::kHorizon;
    return state;
  }
  LogPosition position() const override { return queue_.position(); }

 private:
  void report_when_due() {
    const HostTime now = posix::monotonic_now();
    const bool about_to_wait = vcpu_.replay_queue_.entries() == 0;
    if (!about_to_wait && now - last_report_ < kReportIntervalNs) return;
    last_report_ = now;
    vcpu_.report_replayed(queue_.position());
  }

  Vcpu& vcpu_;
  replay::QueueSource queue_;
  bool whole_frame_ = false;
  HostTime last_report_;
};

// The machine, with this replica's own answers to what the log does not carry.
class ReplicaTarget final : public replay::ReplayTarget {
 public:
  explicit ReplicaTarget(Vcpu& vcpu) : vcpu_(vcpu) {}

  Step step() const override { return vcpu_.machine_->step(); }

  Result<machine::StopReason> run_until(Step target) override {
    const HostTime start = posix::monotonic_now();
    Result<machine::StopReason> reason = vcpu_.machine_->run_until(target);
    vcpu_.update_figures(start, posix::monotonic_now());
    return reason;
  }

  Status apply(log::Entry entry) override {
    if (auto* completion = std::get_if<log::DiskCompletion>(&entry.payload)) {
      Result<log::DiskCompletion> own = vcpu_.disks_.take_result(*completion);
      if (!own) return std::unexpected(own.error());
      // Data that travelled is what the primary's guest was given.
      if (!completion->has_data) *completion = std::move(*own);
    }
    if (entry.kind() == log::EntryKind::kEntropy && !vcpu_.entropy_outstanding_.empty()) {
      vcpu_.entropy_outstanding_.pop_front();
    }
    vcpu_.record(entry);
    if (Status applied = vcpu_.machine_->apply(entry); !applied) return applied;
    if (const auto* control = std::get_if<log::Control>(&entry.payload);
        control != nullptr && control->operation == log::ControlOperation::kFailover) {
      vcpu_.notice(replication::FailoverReached{vcpu_.machine_->step()});
    }
    return {};
  }

  Hash128 digest() override {
    const Hash128 digest = vcpu_.machine_->digest();
    vcpu_.record({vcpu_.machine_->step(), log::Digest{digest}});
    return digest;
  }

  Status inputs() const override {
    if (!vcpu_.unlogged_clock_read_) return {};
    return fail(ErrorCode::kDiverged, "the guest read a clock that the log does not have, at step",
                fmt::format("{}", vcpu_.unlogged_clock_read_->value));
  }

 private:
  Vcpu& vcpu_;
};

void Vcpu::report_replayed(LogPosition drained) {
  if (console_chunk_) {
    notice(replication::OutputProduced{std::move(*console_chunk_)});
    console_chunk_.reset();
  }
  if (machine_->power() != machine::PowerState::kOn && !std::exchange(off_reported_, true)) {
    notice(replication::PoweredOff{machine_->step()});
  }
  notice(replication::Replayed{machine_->step(), machine_->guest_time(), drained});
  send_notices();
}

void Vcpu::run_backup() {
  ReportingSource source(*this);
  ReplicaTarget target(*this);
  replay::Replayer replayer(source, target);
  const Result<replay::ReplayStop> stop = replayer.run();
  if (!stop) {
    if (replayer.divergence()) {
      notice(replication::Diverged{replayer.divergence()->report()});
      return await_end();
    }
    fail_locally(stop.error().text());
    return await_end();
  }
  // The loop ends the queue when it has ordered to go live, and stops it to end everything.
  if (inbox_.wait_for([](const Orders& orders) { return orders.live; }).end) return;
  CHECK(*stop == replay::ReplayStop::kEnd);
  disks_.go_live();
  run_live();
}

}  // namespace lockstep::vmm
