// What a primary and a backup have in common: the state the operator sees, the gate, the one
// question to the arbiter that may be under way, the reasons for which the vCPU stands still, and
// the actions of the step in hand.
//
// Invariants
//   1. At most one AskArbiter is unanswered.
//   2. After end() no action follows in any later step, but for closing connections.
//   3. StopExecution and ResumeExecution alternate.
//
// Pure state. Owner: the core. Units: nanoseconds, host time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/types.h"
#include "replication/events.h"
#include "replication/options.h"
#include "replication/output_gate.h"

namespace lockstep::replication {

inline constexpr uint64_t kNsPerMs = 1'000'000;

// Retries of a question that the arbiter did not answer.
inline constexpr uint64_t kArbiterRetryMinMs = 50;
inline constexpr uint64_t kArbiterRetryMaxMs = 1'000;

class Replica {
 public:
  enum StopReason : uint8_t {
    kUnacknowledged = 1,
    kOutputHeld = 2,
    kBackupBuffer = 4,
    kFailoverOrdered = 8,
  };

  explicit Replica(Options options);

  const Options& options() const { return options_; }
  bool planted(PlantedBug bug) const { return options_.planted_bug == bug; }

  void begin_step(HostTime now);
  std::vector<Action> end_step() { return std::exchange(actions_, {}); }
  // Never goes back, whatever the caller's threads say.
  HostTime now() const { return now_; }
  uint64_t own_gap_ns() const { return own_gap_ns_; }

  void act(Action action) { actions_.push_back(std::move(action)); }
  void send(ConnectionId connection, Message message);
  // With the reason as Refuse.
  void refuse(ConnectionId connection, std::string reason);

  VmState state() const { return state_; }
  const std::string& reason() const { return reason_; }
  void enter(VmState state, std::string reason);
  void end(VmState state, std::string reason);
  bool ended() const { return ended_; }

  Epoch epoch() const { return epoch_; }
  void set_epoch(Epoch epoch);

  OutputGate& gate() { return gate_; }
  const OutputGate& gate() const { return gate_; }
  void release();

  void set_stop(StopReason why, bool stopped);

  // Asks for `from` + 1, now, and again by and by until there is an answer.
  void ask_arbiter(Epoch from);
  bool asking() const { return asked_from_.has_value(); }
  // What the answer means; kUnreachable has already arranged the next try.
  struct Verdict {
    enum class Kind : uint8_t { kWon, kLost, kUnreachable } kind = Kind::kUnreachable;
    Epoch epoch;
    std::string text;
  };
  Verdict read_answer(const io::AcquireResult& result);
  void retry_arbiter_when_due();

 private:
  const Options options_;
  HostTime now_;
  uint64_t own_gap_ns_ = 0;
  bool stepped_ = false;
  std::vector<Action> actions_;
  VmState state_ = VmState::kStarting;
  std::string reason_ = "not started yet";
  bool ended_ = false;
  Epoch epoch_;
  OutputGate gate_;
  uint8_t stop_reasons_ = 0;
  std::optional<Epoch> asked_from_;
  bool answer_pending_ = false;
  HostTime retry_at_;
  uint64_t retry_delay_ms_ = kArbiterRetryMinMs;
};

}  // namespace lockstep::replication
