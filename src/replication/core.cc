#include "replication/core.h"

#include <fmt/format.h>
#include <type_traits>
#include <utility>

#include "base/check.h"

namespace lockstep::replication {

Core::Core(Options options) : replica_(std::move(options)) {
}

std::vector<Action> Core::step(HostTime now, Event event) {
  replica_.begin_step(now);
  if (const auto* started = std::get_if<Started>(&event)) {
    CHECK(std::holds_alternative<std::monostate>(role_));
    if (started->role == Role::kPrimary) {
      role_.emplace<PrimaryRole>(replica_);
    } else {
      role_.emplace<BackupRole>(replica_);
    }
  }
  CHECK(!std::holds_alternative<std::monostate>(role_));
  if (replica_.ended()) {
    answer_after_end(event);
    return replica_.end_step();
  }
  std::visit(
      [&](auto& role) {
        if constexpr (!std::is_same_v<std::monostate&, decltype(role)>) {
          role.before_event();
          std::visit([&](auto& alternative) { role.on(alternative); }, event);
          role.after_event();
        }
      },
      role_);
  if (const auto* backup = std::get_if<BackupRole>(&role_); backup && backup->went_live_because()) {
    std::string reason = *backup->went_live_because();
    auto& solo = role_.emplace<PrimaryRole>(replica_);
    solo.continue_solo(replica_.epoch(), std::move(reason));
    solo.after_event();
  }
  return replica_.end_step();
}

void Core::answer_after_end(const Event& event) {
  if (const auto* connected = std::get_if<PeerConnected>(&event)) {
    replica_.refuse(
        connected->connection,
        fmt::format("this node is {}: {}", to_string(replica_.state()), replica_.reason()));
  } else if (std::holds_alternative<FailoverRequested>(event)) {
    replica_.act(RequestRefused{
        fmt::format("this node is {}: {}", to_string(replica_.state()), replica_.reason())});
  }
}

View Core::view() const {
  View view;
  view.state = replica_.state();
  view.reason = replica_.reason();
  view.epoch = replica_.epoch();
  const OutputGate& gate = replica_.gate();
  view.appended = gate.appended();
  view.acknowledged = gate.acknowledged();
  view.released = gate.released();
  view.unacknowledged_bytes = gate.unacknowledged_bytes();
  view.held_output_bytes = gate.held_bytes();
  view.hold_p50_ns = gate.hold_times().quantile_ns(500);
  view.hold_p99_ns = gate.hold_times().quantile_ns(990);
  std::visit(
      [&](const auto& role) {
        if constexpr (!std::is_same_v<const std::monostate&, decltype(role)>) role.fill(view);
      },
      role_);
  return view;
}

}  // namespace lockstep::replication
