#include "replication/primary_role.h"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

#include "base/check.h"

namespace lockstep::replication {

PrimaryRole::PrimaryRole(Replica& replica)
    : replica_(replica),
      detector_(replica.options().heartbeat_ms, replica.options().suspect_after_ms,
                FailureDetector::kPrimaryPatiencePermille),
      lag_controller_(replica.options().target_lag_ms * replica.options().guest_ticks_per_ms) {
}

void PrimaryRole::continue_solo(Epoch epoch, std::string reason) {
  executing_ = true;
  become_solo(epoch, std::move(reason));
}

void PrimaryRole::before_event() {
  const bool absent = detector_.awake(replica_.now());
  if (phase_ == Phase::kProtected && absent &&
      !replica_.planted(PlantedBug::kReleaseAfterAbsence)) {
    replica_.gate().suspend();
    beat();
    trust_from_heartbeat_ = backup_->heartbeats_sent;
  }
  const uint64_t solo_absence_ns = replica_.options().solo_absence_ms * kNsPerMs;
  if (phase_ == Phase::kSolo && replica_.own_gap_ns() >= solo_absence_ns &&
      !replica_.planted(PlantedBug::kReleaseAfterAbsence)) {
    replica_.gate().close();
    ask_to_go_on(
        fmt::format("this process stood still for {} ms", replica_.own_gap_ns() / kNsPerMs));
  }
}

void PrimaryRole::after_event() {
  if (replica_.ended()) return;
  replica_.release();
  finish_power_off();
  if (!replica_.ended()) update_stops();
}

// --- Start --------------------------------------------------------------------------------------

void PrimaryRole::on(const Started& event) {
  replica_.enter(VmState::kStarting, "asking the arbiter for the first epoch");
  replica_.ask_arbiter(event.register_epoch);
}

void PrimaryRole::on(const ArbiterAnswered& event) {
  using Kind = Replica::Verdict::Kind;
  const Replica::Verdict verdict = replica_.read_answer(event.result);
  if (verdict.kind == Kind::kUnreachable) {
    const std::string why = lost_because_.empty() ? "not started" : lost_because_;
    replica_.enter(VmState::kWaitingForArbiter,
                   fmt::format("{}; the arbiter does not answer: {}", why, verdict.text));
    return;
  }
  if (verdict.kind == Kind::kLost) {
    return end(VmState::kHalted,
               fmt::format("{}; start this node again as a backup", verdict.text));
  }
  if (phase_ == Phase::kAsking) return become_solo(verdict.epoch, lost_because_);
  replica_.set_epoch(verdict.epoch);
  phase_ = Phase::kAwaitingBackup;
  start_deadline_ = replica_.now() + replica_.options().start_wait_ms * kNsPerMs;
  replica_.enter(VmState::kStarting, "waiting for the backup");
  welcome_or_wait();
}

void PrimaryRole::welcome_or_wait() {
  if (phase_ != Phase::kAwaitingBackup) return;
  if (!backup_) {
    if (replica_.now() < start_deadline_) return;
    return become_solo(replica_.epoch(), fmt::format("no backup came within {} ms",
                                                     replica_.options().start_wait_ms));
  }
  phase_ = Phase::kProtected;
  detector_.start(replica_.now());
  replica_.send(backup_->connection,
                Welcome{replica_.epoch(), replica_.options().node, replica_.gate().appended() + 1});
  replica_.enter(VmState::kProtected, fmt::format("{} is the backup", backup_->node));
  executing_ = true;
  replica_.act(StartExecuting{replica_.epoch()});
}

// --- Connections --------------------------------------------------------------------------------

void PrimaryRole::on(const PeerConnected& event) {
  if (strangers_.size() >= kMaxStrangers) {
    replica_.act(CloseChannel{event.connection, "too many connections that said nothing"});
    return;
  }
  strangers_.push_back({event.connection, replica_.now()});
}

void PrimaryRole::on(const PeerDisconnected& event) {
  std::erase_if(strangers_, [&](const Stranger& s) { return s.connection == event.connection; });
  if (!backup_ || backup_->connection != event.connection) return;
  if (phase_ == Phase::kProtected) {
    lose_backup(fmt::format("the backup {} is gone: {}", backup_->node, event.reason));
  } else {
    backup_.reset();
  }
}

void PrimaryRole::on(MessageReceived& event) {
  if (backup_ && backup_->connection == event.connection) {
    if (phase_ == Phase::kProtected) return hear_backup(event.message);
    // It said Hello and has to wait for its Welcome.
    replica_.act(CloseChannel{event.connection, "a message out of turn"});
    backup_.reset();
    return;
  }
  const auto stranger = std::ranges::find(strangers_, event.connection, &Stranger::connection);
  if (stranger == strangers_.end()) return;
  strangers_.erase(stranger);
  if (const auto* hello = std::get_if<Hello>(&event.message)) {
    admit(event.connection, *hello);
  } else {
    replica_.act(CloseChannel{event.connection,
                              fmt::format("a {} before the hello", name_of(event.message))});
  }
}

void PrimaryRole::on(const MalformedMessage& event) {
  std::erase_if(strangers_, [&](const Stranger& s) { return s.connection == event.connection; });
  if (!backup_ || backup_->connection != event.connection) {
    replica_.act(CloseChannel{event.connection, event.error.text()});
  } else if (phase_ == Phase::kProtected) {
    replica_.act(CloseChannel{event.connection, event.error.text()});
    lose_backup(fmt::format("the backup {} sent {}", backup_->node, event.error.text()));
  } else {
    replica_.act(CloseChannel{event.connection, event.error.text()});
    backup_.reset();
  }
}

std::optional<std::string> PrimaryRole::objection_to(const Hello& hello) const {
  const Options& own = replica_.options();
  if (hello.protocol_version != kProtocolVersion) {
    return fmt::format("the primary speaks protocol version {}, the backup {}", kProtocolVersion,
                       hello.protocol_version);
  }
  if (hello.vm != own.vm) {
    return fmt::format("the primary runs VM {}, the backup is for VM {}", own.vm, hello.vm);
  }
  if (hello.node == own.node) {
    return fmt::format("primary and backup are both named {}: give each node its name", own.node);
  }
  if (hello.build_version != own.build_version) {
    return fmt::format("the primary is Lockstep {}, the backup is {}: install the same version",
                       own.build_version, hello.build_version);
  }
  if (hello.machine_fingerprint != own.machine_fingerprint) {
    return fmt::format(
        "the machines differ (primary {:016x}{:016x}, backup {:016x}{:016x}): use the same VM file "
        "and images",
        own.machine_fingerprint.high, own.machine_fingerprint.low, hello.machine_fingerprint.high,
        hello.machine_fingerprint.low);
  }
  if (hello.epoch > replica_.epoch() && phase_ != Phase::kClaiming) {
    return fmt::format("the backup knows of epoch {}, the primary is of epoch {}",
                       hello.epoch.value, replica_.epoch().value);
  }
  return std::nullopt;
}

void PrimaryRole::admit(ConnectionId connection, const Hello& hello) {
  if (auto objection = objection_to(hello)) return replica_.refuse(connection, *objection);
  if (backup_) {
    return replica_.refuse(connection,
                           fmt::format("the VM has a backup already: {}", backup_->node));
  }
  if (phase_ == Phase::kAsking || phase_ == Phase::kSolo) {
    return replica_.refuse(connection,
                           "the VM runs already: a backup needs a clone of the running machine, "
                           "which this version cannot make; stop the VM and start it protected");
  }
  backup_ = Backup{};
  backup_->connection = connection;
  backup_->node = hello.node;
  welcome_or_wait();
}

void PrimaryRole::drop_strangers() {
  std::erase_if(strangers_, [&](const Stranger& stranger) {
    const bool overdue = replica_.now() >= stranger.since + kHelloTimeoutMs * kNsPerMs;
    if (overdue) replica_.act(CloseChannel{stranger.connection, "no hello in time"});
    return overdue;
  });
}

// --- The protected phase ------------------------------------------------------------------------

void PrimaryRole::hear_backup(Message& message) {
  detector_.heard(replica_.now());
  if (const auto* acknowledge = std::get_if<Acknowledge>(&message)) return take(*acknowledge);
  if (const auto* goodbye = std::get_if<Goodbye>(&message)) return take(*goodbye);
  replica_.act(CloseChannel{backup_->connection, "a message that only a primary sends"});
  lose_backup(fmt::format("the backup {} broke the protocol: it sent a {}", backup_->node,
                          name_of(message)));
}

std::optional<std::string> PrimaryRole::violation_in(const Acknowledge& acknowledge) const {
  const OutputGate& gate = replica_.gate();
  if (acknowledge.epoch != replica_.epoch()) {
    return fmt::format("it acknowledged in epoch {}, this is epoch {}", acknowledge.epoch.value,
                       replica_.epoch().value);
  }
  if (acknowledge.position > gate.appended()) {
    return fmt::format("it acknowledged frame {} of {}", acknowledge.position.value,
                       gate.appended().value);
  }
  if (acknowledge.position < gate.acknowledged()) {
    return fmt::format("it acknowledged frame {} after frame {}", acknowledge.position.value,
                       gate.acknowledged().value);
  }
  if (acknowledge.heartbeat_seen > backup_->heartbeats_sent ||
      acknowledge.heartbeat_seen < backup_->heartbeat_seen) {
    return fmt::format("it has seen heartbeat {} of {}", acknowledge.heartbeat_seen,
                       backup_->heartbeats_sent);
  }
  if (acknowledge.executed < backup_->executed || acknowledge.executed > gate.appended_horizon() ||
      acknowledge.executed_ticks < backup_->executed_ticks) {
    return fmt::format("it stands before step {}, the log ends at step {}",
                       acknowledge.executed.value, gate.appended_horizon().value);
  }
  return std::nullopt;
}

void PrimaryRole::take(const Acknowledge& acknowledge) {
  if (const auto violation = violation_in(acknowledge)) {
    replica_.act(CloseChannel{backup_->connection, *violation});
    return lose_backup(
        fmt::format("the backup {} broke the protocol: {}", backup_->node, *violation));
  }
  backup_->has_spoken = true;
  backup_->heartbeat_seen = acknowledge.heartbeat_seen;
  backup_->executed = acknowledge.executed;
  backup_->executed_ticks = acknowledge.executed_ticks;
  backup_->buffered_bytes = acknowledge.buffered_bytes;
  replica_.gate().acknowledge(acknowledge.position);
  if (trust_from_heartbeat_ && acknowledge.heartbeat_seen >= *trust_from_heartbeat_) {
    trust_from_heartbeat_.reset();
    replica_.gate().resume();
  }
}

void PrimaryRole::take(const Goodbye& goodbye) {
  replica_.act(CloseChannel{backup_->connection, "the backup said goodbye"});
  switch (goodbye.reason) {
    case GoodbyeReason::kSuperseded: {
      std::string reason =
          fmt::format("{} went live in this node's place: {}", backup_->node, goodbye.text);
      backup_.reset();
      return end(VmState::kHalted, std::move(reason));
    }
    case GoodbyeReason::kDiverged:
      return lose_backup(fmt::format("the backup {} diverged: {}", backup_->node, goodbye.text));
    case GoodbyeReason::kPoweredOff:
    case GoodbyeReason::kFailed:
      return lose_backup(fmt::format("the backup {} left: {}", backup_->node, goodbye.text));
  }
}

void PrimaryRole::on(FrameAppended& event) {
  CHECK(executing_);
  replica_.gate().append(event.position, event.horizon, event.frame.size());
  horizon_ticks_ = std::max(horizon_ticks_, event.horizon_ticks);
  if (phase_ != Phase::kProtected) return;
  replica_.send(backup_->connection,
                LogFrame{replica_.epoch(), event.position, replica_.gate().released_before(),
                         std::move(event.frame)});
}

void PrimaryRole::on(OutputProduced& event) {
  CHECK(executing_);
  replica_.gate().hold(std::move(event.output), replica_.now());
}

void PrimaryRole::on(const Tick&) {
  drop_strangers();
  replica_.retry_arbiter_when_due();
  welcome_or_wait();
  if (phase_ == Phase::kProtected) watch_backup();
}

void PrimaryRole::watch_backup() {
  if (failover_deadline_) {
    if (replica_.now() < *failover_deadline_) return;
    replica_.act(CloseChannel{backup_->connection, "no word of the failover"});
    return lose_backup(fmt::format("the backup {} did not take over within {} ms", backup_->node,
                                   kFailoverPatienceMs));
  }
  if (detector_.suspects(replica_.now())) {
    const uint64_t silence_ms = detector_.silence_ns(replica_.now()) / kNsPerMs;
    replica_.act(CloseChannel{backup_->connection, "silence"});
    return lose_backup(
        fmt::format("the backup {} has been silent for {} ms", backup_->node, silence_ms));
  }
  if (replica_.now() >= backup_->last_beat + replica_.options().heartbeat_ms * kNsPerMs) beat();
  if (lag_controller_.update(replica_.now(), lag_ticks())) {
    replica_.act(SetThrottle{lag_controller_.throttle_permille()});
  }
}

void PrimaryRole::beat() {
  backup_->last_beat = replica_.now();
  replica_.send(backup_->connection,
                Heartbeat{replica_.epoch(), ++backup_->heartbeats_sent,
                          replica_.gate().released_before(), replica_.gate().appended_horizon()});
}

uint64_t PrimaryRole::lag_ticks() const {
  if (!backup_ || horizon_ticks_ <= backup_->executed_ticks) return 0;
  return horizon_ticks_ - backup_->executed_ticks;
}

// A limit that was passed holds until half of it is left.
void PrimaryRole::update_stops() {
  const OutputGate& gate = replica_.gate();
  const uint64_t max_unacknowledged = replica_.options().max_unacknowledged_bytes;
  if (gate.unacknowledged_bytes() > max_unacknowledged) {
    replica_.set_stop(Replica::kUnacknowledged, true);
  } else if (gate.unacknowledged_bytes() <= max_unacknowledged / 2) {
    replica_.set_stop(Replica::kUnacknowledged, false);
  }
  if (gate.full()) {
    replica_.set_stop(Replica::kOutputHeld, true);
  } else if (gate.below_half()) {
    replica_.set_stop(Replica::kOutputHeld, false);
  }
  const uint64_t max_buffer = replica_.options().max_backup_buffer_bytes;
  const uint64_t buffered = phase_ == Phase::kProtected ? backup_->buffered_bytes : 0;
  if (buffered > max_buffer) {
    replica_.set_stop(Replica::kBackupBuffer, true);
  } else if (buffered <= max_buffer / 2) {
    replica_.set_stop(Replica::kBackupBuffer, false);
  }
}

// --- Losing the backup --------------------------------------------------------------------------

void PrimaryRole::lose_backup(std::string reason) {
  CHECK(phase_ == Phase::kProtected);
  const bool has_spoken = backup_->has_spoken;
  backup_.reset();
  trust_from_heartbeat_.reset();
  failover_deadline_.reset();
  if (lag_controller_.reset()) replica_.act(SetThrottle{0});
  if (replica_.planted(PlantedBug::kSoloWithoutArbiter) ||
      (replica_.planted(PlantedBug::kFailedProtectionOpensGate) && !has_spoken)) {
    return become_solo(replica_.epoch(), std::move(reason));
  }
  ask_to_go_on(std::move(reason));
}

void PrimaryRole::ask_to_go_on(std::string reason) {
  phase_ = Phase::kAsking;
  lost_because_ = std::move(reason);
  replica_.enter(VmState::kWaitingForArbiter,
                 fmt::format("{}; asking the arbiter whether to go on alone", lost_because_));
  replica_.ask_arbiter(replica_.epoch());
}

void PrimaryRole::become_solo(Epoch epoch, std::string reason) {
  phase_ = Phase::kSolo;
  replica_.set_epoch(epoch);
  replica_.gate().open();
  failover_requested_ = false;
  replica_.enter(VmState::kSolo, std::move(reason));
  if (!executing_) {
    executing_ = true;
    replica_.act(StartExecuting{epoch});
  }
  replica_.set_stop(Replica::kFailoverOrdered, false);
}

// --- Controlled ends ----------------------------------------------------------------------------

void PrimaryRole::on(const PoweredOff&) {
  powered_off_ = true;
}

void PrimaryRole::finish_power_off() {
  if (!powered_off_) return;
  if (phase_ == Phase::kSolo) return end(VmState::kOff, "the VM is powered off");
  if (phase_ != Phase::kProtected) return;
  const OutputGate& gate = replica_.gate();
  if (gate.released() != gate.appended() &&
      !replica_.planted(PlantedBug::kPowerOffBeforeAcknowledgement)) {
    return;
  }
  replica_.send(backup_->connection, Goodbye{GoodbyeReason::kPoweredOff, "the VM is powered off"});
  replica_.act(CloseChannel{backup_->connection, "the VM is powered off"});
  backup_.reset();
  end(VmState::kOff, "the VM is powered off");
}

void PrimaryRole::on(const FailoverRequested&) {
  if (phase_ != Phase::kProtected || powered_off_ || failover_requested_) {
    return replica_.act(
        RequestRefused{fmt::format("a failover needs a protected VM; this one is {} ({})",
                                   to_string(replica_.state()), replica_.reason())});
  }
  failover_requested_ = true;
  replica_.act(LogFailover{});
}

void PrimaryRole::on(const FailoverReached&) {
  replica_.set_stop(Replica::kFailoverOrdered, true);
  if (phase_ == Phase::kSolo) return replica_.set_stop(Replica::kFailoverOrdered, false);
  if (phase_ != Phase::kProtected) return;
  failover_deadline_ = replica_.now() + kFailoverPatienceMs * kNsPerMs;
  replica_.enter(VmState::kFailingOver,
                 fmt::format("the operator hands the VM over to {}", backup_->node));
}

void PrimaryRole::on(const LocalFailure& event) {
  end(VmState::kHalted, fmt::format("this node failed: {}", event.reason));
}

void PrimaryRole::end(VmState state, std::string reason) {
  if (backup_) {
    replica_.send(backup_->connection, Goodbye{GoodbyeReason::kFailed, clip_text(reason)});
    replica_.act(CloseChannel{backup_->connection, reason});
    backup_.reset();
  }
  for (const Stranger& stranger : strangers_) {
    replica_.act(CloseChannel{stranger.connection, reason});
  }
  strangers_.clear();
  replica_.end(state, std::move(reason));
}

void PrimaryRole::fill(View& view) const {
  view.role = Role::kPrimary;
  view.lag_ms =
      phase_ == Phase::kProtected ? lag_ticks() / replica_.options().guest_ticks_per_ms : 0;
  view.throttle_permille = lag_controller_.throttle_permille();
  if (!backup_) return;
  view.peer_node = backup_->node;
  view.backup_buffer_bytes = backup_->buffered_bytes;
  if (phase_ != Phase::kProtected) return;
  view.heartbeat_age_ns = detector_.silence_ns(replica_.now());
  view.suspicion_after_ns = detector_.timeout_ns();
}

}  // namespace lockstep::replication
