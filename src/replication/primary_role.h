// The primary's half of the protocol, and the life of a solo VM.
//
// Phases:
//   claiming -> awaiting backup -> protected -> asking -> solo
//                       \-----------------------------------^
// A node is live only from the claim that it has won on (R1). From the moment a Welcome is sent the
// backup may go live, so the gate is closed, and it opens again only when this side has won the
// next epoch (R4). Without an answer it stays shut and the guest runs on to the bounds of the
// buffers (R3). Who loses ends (R2).
//
// R5: after an absence of its own the primary does not trust acknowledgements that may have waited
// in a socket: it sends a heartbeat, and releases only when an acknowledgement shows that the
// backup has read it as a backup.
//
// Pure state. Owner: the core. Source: design §5, §6.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "replication/failure_detector.h"
#include "replication/lag_controller.h"
#include "replication/replica.h"
#include "replication/view.h"

namespace lockstep::replication {

// Connections that have not said Hello yet: how many, and for how long.
inline constexpr size_t kMaxStrangers = 8;
inline constexpr uint64_t kHelloTimeoutMs = 5'000;

// How long a primary that has stopped for an ordered failover waits for the backup's word.
inline constexpr uint64_t kFailoverPatienceMs = 2'000;

class PrimaryRole {
 public:
  explicit PrimaryRole(Replica& replica);

  // A backup that went live and owns `epoch`: solo, and the machine runs already.
  void continue_solo(Epoch epoch, std::string reason);

  void before_event();  // at each step, before its event
  void after_event();

  void on(const Started& event);
  void on(const ArbiterAnswered& event);
  void on(const PeerConnected& event);
  void on(const PeerDisconnected& event);
  void on(MessageReceived& event);
  void on(const MalformedMessage& event);
  void on(FrameAppended& event);
  void on(OutputProduced& event);
  void on(const PoweredOff& event);
  void on(const FailoverRequested& event);
  void on(const FailoverReached& event);
  void on(const LocalFailure& event);
  void on(const Tick& event);
  // A backup's: may still arrive from a vCPU that has just gone live.
  template <typename BackupEvent>
  void on(const BackupEvent&) {}

  void fill(View& view) const;

 private:
  enum class Phase : uint8_t { kClaiming, kAwaitingBackup, kProtected, kAsking, kSolo };

  struct Stranger {
    ConnectionId connection;
    HostTime since;
  };
  struct Backup {
    ConnectionId connection;
    std::string node;
    bool has_spoken = false;  // since the Welcome
    uint64_t heartbeats_sent = 0;
    uint64_t heartbeat_seen = 0;
    HostTime last_beat;
    Step executed;
    GuestTicks executed_ticks;
    uint64_t buffered_bytes = 0;
  };

  void admit(ConnectionId connection, const Hello& hello);
  std::optional<std::string> objection_to(const Hello& hello) const;
  void welcome_or_wait();
  void hear_backup(Message& message);
  void take(const Acknowledge& acknowledge);
  void take(const Goodbye& goodbye);
  std::optional<std::string> violation_in(const Acknowledge& acknowledge) const;
  void beat();
  void watch_backup();
  void lose_backup(std::string reason);
  void ask_to_go_on(std::string reason);
  void become_solo(Epoch epoch, std::string reason);
  void drop_strangers();
  void update_stops();
  void finish_power_off();
  void end(VmState state, std::string reason);
  uint64_t lag_ticks() const;

  Replica& replica_;
  FailureDetector detector_;
  LagController lag_controller_;
  Phase phase_ = Phase::kClaiming;
  std::vector<Stranger> strangers_;  // at most kMaxStrangers
  std::optional<Backup> backup_;     // said Hello (awaiting backup), or protected
  HostTime start_deadline_;
  std::optional<uint64_t> trust_from_heartbeat_;  // R5: set after an absence
  std::string lost_because_;
  GuestTicks horizon_ticks_;
  bool executing_ = false;
  bool powered_off_ = false;
  bool failover_requested_ = false;
  std::optional<HostTime> failover_deadline_;
};

}  // namespace lockstep::replication
