#include "replication/output_gate.h"

#include <utility>

#include "base/check.h"

namespace lockstep::replication {

namespace {

uint64_t weight_of(const Output& output) {
  return output.data.size() + OutputGate::kOutputOverheadBytes;
}

}  // namespace

OutputGate::OutputGate(uint64_t max_held_bytes, PlantedBug planted_bug)
    : max_held_bytes_(max_held_bytes), planted_bug_(planted_bug) {
}

void OutputGate::append(LogPosition position, Step horizon, uint64_t bytes) {
  CHECK(position == appended_ + 1);
  CHECK(horizon >= appended_horizon_);
  appended_ = position;
  appended_horizon_ = horizon;
  if (open_) {
    acknowledged_ = position;
    acknowledged_horizon_ = horizon;
    return;
  }
  unacknowledged_.push_back({position, horizon, bytes});
  unacknowledged_bytes_ += bytes;
}

void OutputGate::acknowledge(LogPosition position) {
  CHECK(position >= acknowledged_ && position <= appended_);
  acknowledged_ = position;
  while (!unacknowledged_.empty() && unacknowledged_.front().position <= position) {
    acknowledged_horizon_ = unacknowledged_.front().horizon;
    unacknowledged_bytes_ -= unacknowledged_.front().bytes;
    unacknowledged_.pop_front();
  }
}

void OutputGate::hold(Output output, HostTime now) {
  CHECK(output.step >= newest_output_);
  CHECK(output.step >= appended_horizon_);
  newest_output_ = output.step;
  if (known_released(output.step)) return;
  held_bytes_ += weight_of(output);
  held_.push_back({std::move(output), now});
}

void OutputGate::released_elsewhere(Step before) {
  CHECK(before >= released_before_);
  released_before_ = before;
  while (!held_.empty() && known_released(held_.front().output.step)) {
    held_bytes_ -= weight_of(held_.front().output);
    held_.pop_front();
  }
}

void OutputGate::drop_held() {
  held_.clear();
  held_bytes_ = 0;
}

void OutputGate::open() {
  open_ = true;
  suspended_ = false;
  unacknowledged_.clear();
  unacknowledged_bytes_ = 0;
  acknowledged_ = appended_;
  acknowledged_horizon_ = appended_horizon_;
}

void OutputGate::close() {
  open_ = false;
}

void OutputGate::suspend() {
  suspended_ = true;
}

void OutputGate::resume() {
  suspended_ = false;
}

void OutputGate::continue_log_after(LogPosition position, Step horizon) {
  CHECK(position >= appended_);
  CHECK(unacknowledged_.empty());
  appended_ = acknowledged_ = position;
  appended_horizon_ = acknowledged_horizon_ = horizon;
}

bool OutputGate::may_leave(const Output& output) const {
  if (open_) return true;
  if (suspended_) return false;
  if (planted_bug_ == PlantedBug::kReleaseOnAppend) return output.step < appended_horizon_;
  if (planted_bug_ == PlantedBug::kReleaseAtHorizon) return output.step <= acknowledged_horizon_;
  return output.step < acknowledged_horizon_;
}

std::vector<Output> OutputGate::take_released(HostTime now) {
  std::vector<Output> leaving;
  while (!held_.empty() && may_leave(held_.front().output)) {
    Held& oldest = held_.front();
    hold_times_.add(now > oldest.since ? now - oldest.since : 0);
    held_bytes_ -= weight_of(oldest.output);
    leaving.push_back(std::move(oldest.output));
    held_.pop_front();
  }
  if (!suspended_) {
    released_ = acknowledged_;
    if (acknowledged_horizon_ > released_before_) released_before_ = acknowledged_horizon_;
  }
  check_invariants();
  return leaving;
}

bool OutputGate::known_released(Step step) const {
  if (planted_bug_ == PlantedBug::kForgetBeyondReport) return step <= released_before_;
  return step < released_before_;
}

void OutputGate::check_invariants() const {
  CHECK(released_ <= acknowledged_);
  CHECK(acknowledged_ <= appended_);
  CHECK(acknowledged_horizon_ <= appended_horizon_);
}

}  // namespace lockstep::replication
