#include "replication/schedule_checker.h"

#include <fmt/format.h>

namespace lockstep::replication::schedule {

void ScheduleChecker::violated(std::string what) {
  if (violation_.empty()) violation_ = std::move(what);
}

std::string ScheduleChecker::who(size_t node) const {
  return node == 0 ? "A" : "B";
}

void ScheduleChecker::on_acquired(size_t node, Epoch epoch) {
  if (epoch != epoch_ + 1) violated("the register skipped an epoch");
  epoch_ = epoch;
  owner_ = node;
  nodes_[node].back_from_absence_when_not_owner = false;
}

void ScheduleChecker::on_told_lost(size_t node) {
  nodes_[node].told_lost = true;
}

void ScheduleChecker::on_welcomed(size_t node, Epoch epoch) {
  nodes_[node].welcomed_in = epoch;
}

void ScheduleChecker::on_held(size_t node, Step horizon) {
  nodes_[node].held_horizon = horizon;
}

void ScheduleChecker::on_back_from_absence(size_t node) {
  if (owner_ && owner_ != node) nodes_[node].back_from_absence_when_not_owner = true;
}

void ScheduleChecker::on_start_executing(size_t node) {
  if (owner_ != node) violated(fmt::format("R1: {} started without owning an epoch", who(node)));
}

void ScheduleChecker::on_go_live(size_t node, Epoch epoch) {
  if (owner_ != node || epoch_ != epoch) {
    violated(fmt::format("R1: {} went live in epoch {} without owning it", who(node), epoch.value));
  }
  if (powered_off_) violated(fmt::format("{} went live after the power-off", who(node)));
}

void ScheduleChecker::on_halt(size_t node, VmState state) {
  nodes_[node].ended = true;
  if (state == VmState::kOff) powered_off_ = true;
}

void ScheduleChecker::on_release(size_t node, const Output& output) {
  const Node& other = nodes_[1 - node];
  if (nodes_[node].told_lost) violated(fmt::format("R2: {} emitted after it lost", who(node)));
  if (nodes_[node].ended) violated(fmt::format("{} emitted after its end", who(node)));
  if (nodes_[node].back_from_absence_when_not_owner) {
    violated(fmt::format("R5: {} slept while it was replaced, and emitted", who(node)));
  }
  // Alone: it owns the register, and nobody may go live in its place.
  const bool alone = owner_ == node && !welcomed(1 - node);
  if (!alone && other.held_horizon <= output.step) {
    violated(fmt::format("output rule: {} emitted the output of step {}, {} holds the log up to {}",
                         who(node), output.step.value, who(1 - node), other.held_horizon.value));
  }
  check_first_release(node, output);
}

void ScheduleChecker::check_first_release(size_t node, const Output& output) {
  const Name name{output.kind, output.offset};
  if (const auto known = released_.find(name); known != released_.end()) {
    if (known->second != output.data) {
      violated(fmt::format("{} contradicts output {} that has left", who(node), output.offset));
    }
    return;
  }
  uint64_t& next = next_offset_[output.kind];
  if (output.offset != next) {
    violated(fmt::format("{} emitted output {}, but {} never left: lost or contradicted", who(node),
                         output.offset, next));
  }
  next = output.offset + (output.kind == OutputKind::kConsole ? output.data.size() : 1);
  released_.emplace(name, output.data);
}

}  // namespace lockstep::replication::schedule
