#include "replication/backup_role.h"

#include <fmt/format.h>
#include <utility>

#include "base/check.h"

namespace lockstep::replication {

BackupRole::BackupRole(Replica& replica)
    : replica_(replica),
      detector_(replica.options().heartbeat_ms, replica.options().suspect_after_ms,
                FailureDetector::kBackupPatiencePermille) {
}

void BackupRole::after_event() {
  if (replica_.ended() || went_live_because_) return;
  CHECK(drained_ <= held_ && held_ <= delivered_);
  const bool following = phase_ == Phase::kFollowing;
  if (following && replica_.gate().full()) {
    replica_.set_stop(Replica::kOutputHeld, true);
  } else if (!following || replica_.gate().below_half()) {
    replica_.set_stop(Replica::kOutputHeld, false);
  }
}

// --- Connecting ---------------------------------------------------------------------------------

void BackupRole::on(const Started&) {
  replica_.enter(VmState::kStarting, "connecting to the primary");
}

void BackupRole::on(const PeerConnected& event) {
  if (connection_ || phase_ != Phase::kConnecting) {
    replica_.act(CloseChannel{event.connection, "this backup has, or had, its primary already"});
    return;
  }
  connection_ = event.connection;
  const Options& own = replica_.options();
  replica_.enter(VmState::kStarting, "waiting for the primary's welcome");
  replica_.send(event.connection, Hello{kProtocolVersion, own.vm, own.node, replica_.epoch(),
                                        own.machine_fingerprint, own.build_version});
}

void BackupRole::on(const PeerDisconnected& event) {
  if (connection_ != event.connection) return;
  connection_.reset();
  if (phase_ == Phase::kConnecting) {
    replica_.enter(
        VmState::kStarting,
        fmt::format("the primary closed the channel ({}); connecting again", event.reason));
  } else if (phase_ == Phase::kFollowing) {
    lose_primary(fmt::format("the primary {} is gone: {}", primary_node_, event.reason));
  }
}

void BackupRole::on(MessageReceived& event) {
  if (connection_ == event.connection) hear_primary(event.message);
}

void BackupRole::on(const MalformedMessage& event) {
  if (connection_ != event.connection) return;
  leave(VmState::kHalted, GoodbyeReason::kFailed,
        fmt::format("the primary {} sent {}", primary_node_, event.error.text()));
}

void BackupRole::hear_primary(Message& message) {
  if (phase_ == Phase::kConnecting) {
    if (const auto* welcome = std::get_if<Welcome>(&message)) return take(*welcome);
    if (const auto* refuse = std::get_if<Refuse>(&message)) {
      return leave(VmState::kHalted, GoodbyeReason::kFailed,
                   fmt::format("the primary refuses this backup: {}", refuse->reason));
    }
  } else {
    detector_.heard(replica_.now());
    if (const auto* goodbye = std::get_if<Goodbye>(&message)) return take(*goodbye);
    if (const auto* heartbeat = std::get_if<Heartbeat>(&message)) return take(*heartbeat);
    if (auto* frame = std::get_if<LogFrame>(&message)) return take(*frame);
  }
  leave(VmState::kHalted, GoodbyeReason::kFailed,
        fmt::format("the primary {} broke the protocol: a {} out of turn", primary_node_,
                    name_of(message)));
}

void BackupRole::take(const Welcome& welcome) {
  if (welcome.epoch == Epoch() || welcome.first_position != delivered_ + 1) {
    return leave(VmState::kHalted, GoodbyeReason::kFailed,
                 fmt::format("the primary {} starts at epoch {}, frame {}; this backup holds the "
                             "machine before frame {}",
                             welcome.node, welcome.epoch.value, welcome.first_position.value,
                             delivered_.value + 1));
  }
  primary_node_ = welcome.node;
  replica_.set_epoch(welcome.epoch);
  phase_ = Phase::kFollowing;
  detector_.start(replica_.now());
  replica_.enter(VmState::kProtected, fmt::format("follows the primary {}", primary_node_));
  acknowledge();
}

// --- Following ----------------------------------------------------------------------------------

bool BackupRole::accept_report(Epoch epoch, Step released_before) {
  std::string violation;
  if (epoch != replica_.epoch()) {
    violation =
        fmt::format("it speaks of epoch {} in epoch {}", epoch.value, replica_.epoch().value);
  } else if (released_before > held_horizon_ ||
             released_before < replica_.gate().released_before()) {
    violation = fmt::format(
        "it has released outputs up to step {}; this side holds the log up to "
        "step {}, and knew of {}",
        released_before.value, held_horizon_.value, replica_.gate().released_before().value);
  }
  if (violation.empty()) {
    replica_.gate().released_elsewhere(released_before);
    return true;
  }
  leave(VmState::kHalted, GoodbyeReason::kFailed,
        fmt::format("the primary {} broke the protocol: {}", primary_node_, violation));
  return false;
}

void BackupRole::take(LogFrame& frame) {
  if (phase_ != Phase::kFollowing) return;
  if (frame.position != delivered_ + 1) {
    return leave(VmState::kHalted, GoodbyeReason::kFailed,
                 fmt::format("the primary {} broke the protocol: frame {} follows frame {}",
                             primary_node_, frame.position.value, delivered_.value));
  }
  if (!accept_report(frame.epoch, frame.released_before)) return;
  delivered_ = frame.position;
  replica_.act(HoldFrame{frame.position, std::move(frame.frame)});
}

void BackupRole::take(const Heartbeat& heartbeat) {
  if (phase_ != Phase::kFollowing) return;
  if (heartbeat.sequence != heartbeat_seen_ + 1) {
    return leave(VmState::kHalted, GoodbyeReason::kFailed,
                 fmt::format("the primary {} broke the protocol: heartbeat {} follows {}",
                             primary_node_, heartbeat.sequence, heartbeat_seen_));
  }
  if (!accept_report(heartbeat.epoch, heartbeat.released_before)) return;
  heartbeat_seen_ = heartbeat.sequence;
  primary_horizon_ = heartbeat.horizon;
}

void BackupRole::take(const Goodbye& goodbye) {
  const bool ended = goodbye.reason == GoodbyeReason::kPoweredOff &&
                     !replica_.planted(PlantedBug::kPowerOffLooksLikeFailure);
  hang_up("the primary said goodbye");
  if (phase_ != Phase::kFollowing) return;
  if (!ended) {
    return lose_primary(fmt::format("the primary {} left: {}", primary_node_, goodbye.text));
  }
  phase_ = Phase::kEnding;
  replica_.enter(VmState::kProtected, "the VM was powered off; replaying to its end");
}

void BackupRole::on(const FrameHeld& event) {
  CHECK(event.position == held_ + 1 && event.position <= delivered_);
  CHECK(event.horizon >= held_horizon_);
  held_ = event.position;
  held_horizon_ = event.horizon;
  buffered_.push_back({event.position, event.bytes});
  buffered_bytes_ += event.bytes;
  if (phase_ != Phase::kFollowing) return;
  const Options& limits = replica_.options();
  const uint64_t most =
      kBufferOverrun * (limits.max_backup_buffer_bytes + limits.max_unacknowledged_bytes);
  if (buffered_bytes_ > most) {
    return leave(VmState::kHalted, GoodbyeReason::kFailed,
                 fmt::format("the primary {} broke the protocol: it does not stop while {} bytes "
                             "wait for replay; give both nodes the same limits",
                             primary_node_, buffered_bytes_));
  }
  acknowledge();
}

void BackupRole::on(const FrameRejected& event) {
  if (phase_ == Phase::kFollowing) {
    return leave(VmState::kHalted, GoodbyeReason::kFailed,
                 fmt::format("frame {} of the log from {} is bad: {}", event.position.value,
                             primary_node_, event.error.text()));
  }
  // Never acknowledged: nobody outside has seen anything that follows from it.
  CHECK(event.position == held_ + 1);
  delivered_ = held_;
  go_live_when_ready();
}

void BackupRole::acknowledge() {
  last_acknowledge_ = replica_.now();
  replica_.send(*connection_, Acknowledge{replica_.epoch(), held_, heartbeat_seen_, executed_,
                                          executed_ticks_, buffered_bytes_});
}

void BackupRole::on(OutputProduced& event) {
  replica_.gate().hold(std::move(event.output), replica_.now());
}

void BackupRole::on(const Replayed& event) {
  CHECK(event.step >= executed_ && event.drained >= drained_ && event.drained <= held_);
  executed_ = event.step;
  executed_ticks_ = event.ticks;
  drained_ = event.drained;
  while (!buffered_.empty() && buffered_.front().position <= drained_) {
    buffered_bytes_ -= buffered_.front().bytes;
    buffered_.pop_front();
  }
  if (phase_ == Phase::kEnding && drained_ == delivered_) {
    return leave(VmState::kHalted, GoodbyeReason::kFailed,
                 "the primary said that the VM is powered off, but its log does not");
  }
  go_live_when_ready();
}

void BackupRole::on(const FrameAppended&) {
  constexpr bool kABackupAppends = false;
  CHECK(kABackupAppends);
}

void BackupRole::on(const Tick&) {
  replica_.retry_arbiter_when_due();
  if (phase_ != Phase::kFollowing) return;
  if (detector_.suspects(replica_.now())) {
    return lose_primary(fmt::format("the primary {} has been silent for {} ms", primary_node_,
                                    detector_.silence_ns(replica_.now()) / kNsPerMs));
  }
  if (replica_.now() >= last_acknowledge_ + replica_.options().heartbeat_ms * kNsPerMs) {
    acknowledge();
  }
}

// --- Taking over --------------------------------------------------------------------------------

void BackupRole::lose_primary(std::string reason) {
  hang_up(reason);
  take_over(std::move(reason));
}

void BackupRole::take_over(std::string reason) {
  phase_ = Phase::kTakingOver;
  taking_over_because_ = std::move(reason);
  replica_.enter(VmState::kFailingOver, taking_over_because_);
  if (replica_.planted(PlantedBug::kGoLiveWithoutArbiter)) return won(replica_.epoch() + 1);
  replica_.ask_arbiter(replica_.epoch());
}

void BackupRole::on(const ArbiterAnswered& event) {
  using Kind = Replica::Verdict::Kind;
  const Replica::Verdict verdict = replica_.read_answer(event.result);
  switch (verdict.kind) {
    case Kind::kWon:
      replica_.enter(VmState::kFailingOver, taking_over_because_);
      return won(verdict.epoch);
    case Kind::kLost:
      return leave(VmState::kHalted, GoodbyeReason::kFailed,
                   fmt::format("{}; {}; start this node again as a backup", taking_over_because_,
                               verdict.text));
    case Kind::kUnreachable:
      return replica_.enter(
          VmState::kWaitingForArbiter,
          fmt::format("{}; the arbiter does not answer: {}", taking_over_because_, verdict.text));
  }
}

void BackupRole::won(Epoch epoch) {
  won_ = epoch;
  if (connection_) {
    replica_.send(*connection_,
                  Goodbye{GoodbyeReason::kSuperseded,
                          fmt::format("{} owns epoch {}", replica_.options().node, epoch.value)});
    hang_up("the failover is done");
  }
  go_live_when_ready();
}

void BackupRole::go_live_when_ready() {
  if (phase_ != Phase::kTakingOver || !won_) return;
  if (drained_ != delivered_ && !replica_.planted(PlantedBug::kGoLiveBeforeDrained)) return;
  if (replica_.planted(PlantedBug::kDropHeldAtGoLive)) replica_.gate().drop_held();
  replica_.set_stop(Replica::kOutputHeld, false);
  replica_.gate().continue_log_after(drained_, executed_);
  went_live_because_ = fmt::format("went live: {}", taking_over_because_);
  replica_.set_epoch(*won_);
  replica_.act(GoLive{*won_});
}

// --- Ends ---------------------------------------------------------------------------------------

void BackupRole::on(const Diverged& event) {
  leave(VmState::kDiverged, GoodbyeReason::kDiverged, event.report);
}

void BackupRole::on(const PoweredOff&) {
  if (replica_.planted(PlantedBug::kPowerOffLooksLikeFailure)) return;
  leave(VmState::kOff, GoodbyeReason::kPoweredOff, "the VM is powered off");
}

void BackupRole::on(const FailoverRequested&) {
  replica_.act(RequestRefused{"this is the backup: ask the primary"});
}

void BackupRole::on(const FailoverReached&) {
  if (phase_ == Phase::kFollowing) take_over("the operator asked for a failover");
}

void BackupRole::on(const LocalFailure& event) {
  leave(VmState::kHalted, GoodbyeReason::kFailed,
        fmt::format("this node failed: {}", event.reason));
}

void BackupRole::leave(VmState state, GoodbyeReason goodbye, std::string reason) {
  if (connection_) replica_.send(*connection_, Goodbye{goodbye, clip_text(reason)});
  hang_up(reason);
  replica_.end(state, std::move(reason));
}

void BackupRole::hang_up(const std::string& reason) {
  if (connection_) replica_.act(CloseChannel{*connection_, reason});
  connection_.reset();
}

void BackupRole::fill(View& view) const {
  view.role = Role::kBackup;
  view.peer_node = primary_node_;
  view.backup_buffer_bytes = buffered_bytes_;
  if (primary_horizon_ > executed_) view.steps_behind = primary_horizon_ - executed_;
  if (phase_ != Phase::kFollowing) return;
  view.heartbeat_age_ns = detector_.silence_ns(replica_.now());
  view.suspicion_after_ns = detector_.timeout_ns();
}

}  // namespace lockstep::replication
