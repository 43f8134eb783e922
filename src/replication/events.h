// What the core is told (events) and what it wants done (actions).
//
// The caller ("the shell": a replica's process, or a simulator) keeps these promises:
//   1. Actions are carried out in their order, and before the next event.
//   2. Each AskArbiter is answered once; one that cannot be answered is kUnreachable.
//   3. The vCPU's events come in the order of the machine's life. An output comes before the
//      FrameAppended whose horizon passes it; PoweredOff and FailoverReached come after the
//      FrameAppended (the Replayed, on a backup: before) of the frame that holds their cause, and
//      the vCPU then stands still until it is resumed. Before it stands still for any reason it
//      appends a frame with its step as horizon, so that no output waits for a frame to come.
//   4. Tick comes at least every Options::heartbeat_ms.
//   5. CloseChannel lets what was sent before it leave first.
//
// Owner: whoever holds them (values). Source: design §4 to §6.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/types.h"
#include "io/arbiter.h"
#include "replication/messages.h"
#include "replication/output.h"

namespace lockstep::replication {

// One connection of the logging channel; never used again for another one.
using ConnectionId = Ordinal<struct ConnectionTag>;

enum class Role : uint8_t { kPrimary, kBackup };

// As the operator sees it (design §10).
enum class VmState : uint8_t {
  kStarting,
  kSolo,
  kProtected,
  kFailingOver,
  kWaitingForArbiter,
  kHalted,
  kDiverged,
  kOff,
};
const char* to_string(VmState state);

// --- Events -----------------------------------------------------------------------------------

// `register_epoch`: what the arbiter's register holds, read before (a primary).
struct Started {
  Role role = Role::kPrimary;
  Epoch register_epoch;
};
struct ArbiterAnswered {
  io::AcquireResult result;
};
struct PeerConnected {
  ConnectionId connection;
};
struct PeerDisconnected {
  ConnectionId connection;
  std::string reason;
};
struct MessageReceived {
  ConnectionId connection;
  Message message;
};
// decode() refused what came.
struct MalformedMessage {
  ConnectionId connection;
  Error error;
};
// The log has one more frame. Positions are consecutive.
struct FrameAppended {
  LogPosition position;
  Step horizon;
  GuestTicks horizon_ticks;
  Bytes frame;
};
struct OutputProduced {
  Output output;
};
// A backup: the frame of a HoldFrame is whole, in order, and in the replay queue; or it is not.
struct FrameHeld {
  LogPosition position;
  Step horizon;
  uint64_t bytes = 0;
};
struct FrameRejected {
  LogPosition position;
  Error error;
};
// A backup's vCPU: it stands before `step`, and has executed every frame up to `drained` whole.
struct Replayed {
  Step step;
  GuestTicks ticks;
  LogPosition drained;
};
// A state digest of the log is not that of this machine.
struct Diverged {
  std::string report;
};
// The VM has ended, by the guest's wish or the operator's. On a backup: by replay.
struct PoweredOff {
  Step step;
};
// The operator wants a test failover; allowed when protected.
struct FailoverRequested {};
// The vCPU has executed (a backup: replayed) the Control kFailover in the log.
struct FailoverReached {
  Step step;
};
// Something of this replica's own is broken for good.
struct LocalFailure {
  std::string reason;
};
struct Tick {};

using Event = std::variant<Started, ArbiterAnswered, PeerConnected, PeerDisconnected,
                           MessageReceived, MalformedMessage, FrameAppended, OutputProduced,
                           FrameHeld, FrameRejected, Replayed, Diverged, PoweredOff,
                           FailoverRequested, FailoverReached, LocalFailure, Tick>;

// --- Actions ----------------------------------------------------------------------------------

struct Send {
  ConnectionId connection;
  Message message;
};
struct CloseChannel {
  ConnectionId connection;
  std::string reason;
};
// To the outside, in this order.
struct Release {
  std::vector<Output> outputs;
};
struct DropHeldOutputs {
  uint64_t bytes = 0;
};
struct AskArbiter {
  Epoch from;
};
// A primary: the vCPU may run, from the start of the machine's life.
struct StartExecuting {
  Epoch epoch;
};
// A backup: the machine has replayed all there is and goes on by itself, as the owner of `epoch`.
// Comes before the first Release of that epoch, so that the outside can be told of it.
struct GoLive {
  Epoch epoch;
};
// The vCPU stands still, or goes on, because a bounded buffer is full, or not any more. Given once
// each, in turns.
struct StopExecution {
  std::string reason;
};
struct ResumeExecution {};
struct SetThrottle {
  uint32_t permille = 0;  // of the vCPU's time that it must not run
};
// A backup: check the frame (its own header says `position`) and queue it for replay; answer with
// FrameHeld or FrameRejected, before the next message is read.
struct HoldFrame {
  LogPosition position;
  Bytes frame;
};
// A primary: put a Control kFailover into the log.
struct LogFailover {};
struct RequestRefused {
  std::string reason;
};
struct StateChanged {
  VmState from = VmState::kStarting;
  VmState to = VmState::kStarting;
  std::string reason;
};
// The end: the vCPU stops for good and nothing more leaves. `state` is kHalted, kDiverged or kOff.
struct Halt {
  VmState state = VmState::kHalted;
  std::string reason;
};

using Action = std::variant<Send, CloseChannel, Release, DropHeldOutputs, AskArbiter,
                            StartExecuting, GoLive, StopExecution, ResumeExecution, SetThrottle,
                            HoldFrame, LogFailover, RequestRefused, StateChanged, Halt>;

}  // namespace lockstep::replication
