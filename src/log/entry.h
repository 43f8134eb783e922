// Log entries: everything that enters a machine from outside.
//
// state' = machine(state, log). An entry at step S is applied before the instruction at S, in log
// order. A primary produces entries, a backup and a replay consume the same ones.
//
// Invariants
//   1. Steps never decrease along a log.
//   2. A Horizon at H says: every entry before step H precedes this one. A consumer runs the
//      machine while step < H and no further.
//   3. A machine that waits (WFI) at step S goes on only by entries at S.
//
// Values, immutable once appended. Owner: whoever holds them. Format: docs/formats/log.md.
#pragma once

#include <cstdint>
#include <variant>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/types.h"

namespace lockstep::log {

// Guest time from this step on: ticks(s) = ticks + ((s - step) * rate) >> 32 (design §3).
struct TimeAnchor {
  GuestTicks ticks;
  uint64_t rate_q32 = 0;  // ticks per step, 32 fractional bits
  bool operator==(const TimeAnchor&) const = default;
};

// As TimeAnchor, at the end of an idle wait: time jumps forward while no step runs.
struct Warp {
  GuestTicks ticks;
  uint64_t rate_q32 = 0;
  bool operator==(const Warp&) const = default;
};

// One Ethernet frame to the guest.
struct FrameIn {
  DeviceIndex nic;
  Bytes frame;
  bool operator==(const FrameIn&) const = default;
};

enum class DiskStatus : uint8_t { kOk = 0, kIoError = 1 };

// A disk request is done. `has_data`: a read whose data travels here; otherwise the consumer reads
// its own replica of the disk (M14).
struct DiskCompletion {
  DeviceIndex disk;
  uint64_t request = 0;  // numbered by the device from 0, in the order of submission
  DiskStatus status = DiskStatus::kOk;
  bool has_data = false;
  Bytes data;
  bool operator==(const DiskCompletion&) const = default;
};

struct ConsoleInput {
  DeviceIndex port;
  Bytes bytes;
  bool operator==(const ConsoleInput&) const = default;
};

// Entropy for the oldest outstanding request of virtio-rng.
struct Entropy {
  Bytes bytes;
  bool operator==(const Entropy&) const = default;
};

// What the instruction at this step reads from the real-time clock.
struct WallClockRead {
  uint64_t nanoseconds = 0;  // since 1970-01-01T00:00:00Z
  bool operator==(const WallClockRead&) const = default;
};

enum class ControlOperation : uint8_t {
  kPowerOff = 1,  // the operator ends the VM; both replicas stop, nobody fails over
  kReset = 2,     // the machine starts again from its power-on state at this step
  kFailover = 3,  // the backup goes live at this step, by the operator's wish
};

struct Control {
  ControlOperation operation = ControlOperation::kPowerOff;
  bool operator==(const Control&) const = default;
};

// The digest of the machine's state at this step (Machine::digest).
struct Digest {
  Hash128 value;
  bool operator==(const Digest&) const = default;
};

struct Horizon {
  bool operator==(const Horizon&) const = default;
};

// The order of the alternatives is the order of EntryKind.
using Payload = std::variant<TimeAnchor, Warp, FrameIn, DiskCompletion, ConsoleInput, Entropy,
                             WallClockRead, Control, Digest, Horizon>;

enum class EntryKind : uint8_t {
  kTimeAnchor,
  kWarp,
  kFrameIn,
  kDiskCompletion,
  kConsoleInput,
  kEntropy,
  kWallClockRead,
  kControl,
  kDigest,
  kHorizon,
};
inline constexpr size_t kEntryKinds = std::variant_size_v<Payload>;

struct Entry {
  Step step;
  Payload payload;

  EntryKind kind() const { return static_cast<EntryKind>(payload.index()); }
  bool operator==(const Entry&) const = default;
};

// "frame-in", "disk-completion", …: as in statistics and documents.
const char* to_string(EntryKind kind);

}  // namespace lockstep::log
