// The backup's half of the protocol, until it goes live.
//
// Phases:
//   connecting -> following -> taking over -> live (then PrimaryRole::continue_solo)
//                     \-> ending (the VM was powered off)
// A backup acknowledges what it holds, checked, in memory; it need not have executed it. It goes
// live when both are done: the next epoch is won (R1), and all that it holds is executed. From the
// moment it asks the arbiter it acknowledges nothing more, so the primary can take any
// acknowledgement for a sign that the backup is still one (R5).
//
// Invariants
//   1. drained_ <= held_ <= delivered_.
//   2. What the primary reports as released is below the horizon of what is held.
//
// A primary that breaks the protocol is left to itself: the backup says why and halts; the arbiter
// decides whether the primary goes on. Pure state. Owner: the core. Source: design §4 to §6.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "replication/failure_detector.h"
#include "replication/replica.h"
#include "replication/view.h"

namespace lockstep::replication {

// A primary stops when the backup's buffer is full. Past this many times what it may have sent
// until then, it does not mean to.
inline constexpr uint64_t kBufferOverrun = 2;

class BackupRole {
 public:
  explicit BackupRole(Replica& replica);

  void before_event() { detector_.awake(replica_.now()); }
  void after_event();

  void on(const Started& event);
  void on(const ArbiterAnswered& event);
  void on(const PeerConnected& event);
  void on(const PeerDisconnected& event);
  void on(MessageReceived& event);
  void on(const MalformedMessage& event);
  void on(const FrameHeld& event);
  void on(const FrameRejected& event);
  void on(OutputProduced& event);
  void on(const Replayed& event);
  void on(const Diverged& event);
  void on(const PoweredOff& event);
  void on(const FailoverRequested& event);
  void on(const FailoverReached& event);
  void on(const LocalFailure& event);
  void on(const Tick& event);
  // A primary's: a backup's vCPU never appends.
  void on(const FrameAppended& event);

  // Set once, by the step whose actions hold GoLive: how the machine came to be here.
  const std::optional<std::string>& went_live_because() const { return went_live_because_; }

  void fill(View& view) const;

 private:
  enum class Phase : uint8_t { kConnecting, kFollowing, kTakingOver, kEnding };

  struct HeldFrame {
    LogPosition position;
    uint64_t bytes = 0;
  };

  void hear_primary(Message& message);
  void take(const Welcome& welcome);
  void take(LogFrame& frame);
  void take(const Heartbeat& heartbeat);
  void take(const Goodbye& goodbye);
  bool accept_report(Epoch epoch, Step released_before);
  void acknowledge();
  void lose_primary(std::string reason);
  void take_over(std::string reason);
  void won(Epoch epoch);
  void go_live_when_ready();
  void leave(VmState state, GoodbyeReason goodbye, std::string reason);
  void hang_up(const std::string& reason);

  Replica& replica_;
  FailureDetector detector_;
  Phase phase_ = Phase::kConnecting;
  std::optional<ConnectionId> connection_;
  std::string primary_node_;
  LogPosition delivered_;  // handed out by HoldFrame
  LogPosition held_;
  Step held_horizon_;
  Step executed_;
  GuestTicks executed_ticks_;
  LogPosition drained_;
  std::deque<HeldFrame> buffered_;  // held, not drained: bounded by kBufferOverrun
  uint64_t buffered_bytes_ = 0;
  uint64_t heartbeat_seen_ = 0;
  Step primary_horizon_;
  HostTime last_acknowledge_;
  std::optional<Epoch> won_;
  std::string taking_over_because_;
  std::optional<std::string> went_live_because_;
};

}  // namespace lockstep::replication
