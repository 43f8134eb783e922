// The messages of the logging channel, and their one codec.
//
// A message is a type byte and its payload, all numbers little-endian and of fixed size. Each
// message has exactly one encoding: decode() refuses anything that encode() would not have
// written. The transport delimits messages (length-prefixed); no length of a whole message is here.
//
// Bounds: kMaxMessageBytes per message, kMaxNameBytes per name, kMaxTextBytes per reason.
// Owner: none (values, pure functions). Format: docs/formats/channel.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>

#include "base/bytes.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/types.h"

namespace lockstep::replication {

inline constexpr uint32_t kProtocolVersion = 1;
inline constexpr size_t kMaxMessageBytes = size_t{16} << 20;
inline constexpr size_t kMaxNameBytes = 255;
inline constexpr size_t kMaxTextBytes = 4096;

// A backup asks a primary to be taken. The layout of Hello, up to and with its version, and that
// of Refuse never change.
struct Hello {
  uint32_t protocol_version = kProtocolVersion;
  std::string vm;
  std::string node;
  Epoch epoch;  // the newest that the sender knows of, 0: none
  Hash128 machine_fingerprint;
  std::string build_version;
  bool operator==(const Hello&) const = default;
};

// From here on the sender may go live: it holds the machine's state before `first_position`.
struct Welcome {
  Epoch epoch;
  std::string node;
  LogPosition first_position;  // the first frame that will come
  bool operator==(const Welcome&) const = default;
};

struct Refuse {
  std::string reason;
  bool operator==(const Refuse&) const = default;
};

struct LogFrame {
  Epoch epoch;
  LogPosition position;
  Step released_before;  // every output of an earlier step has left the primary
  Bytes frame;           // as log/ wrote it
  bool operator==(const LogFrame&) const = default;
};

// The backup holds, in memory and checked, every frame up to `position`. Also its heartbeat.
struct Acknowledge {
  Epoch epoch;
  LogPosition position;
  uint64_t heartbeat_seen = 0;  // the newest Heartbeat::sequence that was read before this
  Step executed;
  GuestTicks executed_ticks;
  uint64_t buffered_bytes = 0;  // held, not yet executed
  bool operator==(const Acknowledge&) const = default;
};

// From the primary.
struct Heartbeat {
  Epoch epoch;
  uint64_t sequence = 0;  // grows by one
  Step released_before;
  Step horizon;  // of the newest frame
  bool operator==(const Heartbeat&) const = default;
};

enum class GoodbyeReason : uint8_t {
  kPoweredOff = 1,  // the VM has ended; nobody fails over
  kSuperseded = 2,  // the sender has won the epoch after this one
  kDiverged = 3,    // the sender's machine is in another state; it can not go live
  kFailed = 4,      // the sender gives up: something of its own is broken
};

struct Goodbye {
  GoodbyeReason reason = GoodbyeReason::kFailed;
  std::string text;
  bool operator==(const Goodbye&) const = default;
};

// The order of the alternatives is the order of the type bytes, from 1.
using Message = std::variant<Hello, Welcome, Refuse, LogFrame, Acknowledge, Heartbeat, Goodbye>;

// CHECKs the bounds: what is too long is a bug of the caller.
Bytes encode(const Message& message);
Result<Message> decode(ByteView bytes);
const char* name_of(const Message& message);

// `text`, cut to what a Refuse or Goodbye may carry.
std::string clip_text(std::string text);

}  // namespace lockstep::replication
