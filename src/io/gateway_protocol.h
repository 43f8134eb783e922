// Messages between a replica and its VM's gateway, the codec: no I/O. The specification is
// docs/formats/gateway.md.
//
// A replica says hello, then, once it is live, Live; from then on its outputs are heard and it is
// fed the inputs. Each message travels as one message of io/posix/message_socket.h.
//
// Decoded messages borrow the bytes they were decoded from. Decoding is strict: any byte too few,
// too many or out of range is kCorrupt. Owner: none (values).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <variant>

#include "base/bytes.h"
#include "base/error.h"
#include "base/types.h"

namespace lockstep::gateway {

inline constexpr uint32_t kProtocolVersion = 1;
inline constexpr size_t kMaxNameBytes = 64;  // of a VM, of a node
inline constexpr size_t kMaxReasonBytes = 512;
inline constexpr size_t kMaxFrameBytes = 65'536;
inline constexpr size_t kMaxConsoleBytes = 16'384;  // in one message
inline constexpr uint32_t kMaxNics = 8;
inline constexpr uint32_t kMaxConsolePorts = 4;
inline constexpr size_t kMaxHeadBytes = 80;  // what precedes a message's body
inline constexpr size_t kMaxMessageBytes = kMaxHeadBytes + kMaxFrameBytes;

// Inputs of a VM from its gateway, in the order in which they enter its log.
using InputSequence = Ordinal<struct InputSequenceTag>;
// Frames that one NIC has sent since power-on.
using FrameIndex = Ordinal<struct FrameIndexTag>;
// Bytes that one console port has put out since power-on.
using ConsoleOffset = Ordinal<struct ConsoleOffsetTag>;

// From a replica.

// The first message. When `version` is not kProtocolVersion the names are not decoded: empty.
struct Hello {
  uint32_t version = kProtocolVersion;
  std::string_view vm;
  std::string_view node;
  bool operator==(const Hello&) const = default;
};

// This replica is live in `epoch` and has every input below `next_input` in its log.
struct Live {
  Epoch epoch;
  InputSequence next_input;
  bool operator==(const Live&) const = default;
};

struct FrameOut {
  Epoch epoch;
  DeviceIndex nic;
  FrameIndex index;
  ByteView frame;
};

struct ConsoleOut {
  Epoch epoch;
  DeviceIndex port;
  ConsoleOffset offset;  // of the first byte
  ByteView bytes;
};

// Every input below `next_input` is safe in every log that it has to be in: the gateway need not
// keep it.
struct InputHeld {
  InputSequence next_input;
  bool operator==(const InputHeld&) const = default;
};

// From the gateway.

struct Welcome {
  uint32_t version = kProtocolVersion;
  bool operator==(const Welcome&) const = default;
};

// The connection ends after it.
struct Refused {
  std::string_view reason;
  bool operator==(const Refused&) const = default;
};

enum class InputKind : uint8_t { kFrame = 0, kConsole = 1 };

// To the live replica only. One that was sent before comes again after a Live: the receiver skips
// what it has.
struct Input {
  InputSequence sequence;
  InputKind kind = InputKind::kFrame;
  DeviceIndex device;  // NIC or console port
  ByteView bytes;
};

// Somebody is live in `epoch`, which is not older than yours: you are not heard.
struct Superseded {
  Epoch epoch;
  bool operator==(const Superseded&) const = default;
};

using ReplicaMessage = std::variant<Hello, Live, FrameOut, ConsoleOut, InputHeld>;
using GatewayMessage = std::variant<Welcome, Refused, Input, Superseded>;

// A message ready to be sent as two parts: a head of its own, and the body where it already is.
class EncodedMessage {
 public:
  std::array<ByteView, 2> parts() const { return {head(), body_}; }
  ByteView head() const { return ByteView(head_).first(head_size_); }

 private:
  friend class MessageEncoder;
  std::array<std::byte, kMaxHeadBytes> head_;
  size_t head_size_ = 0;
  ByteView body_;
};

// The message must be within the bounds above. What it borrows must outlive the result.
EncodedMessage encode(const ReplicaMessage& message);
EncodedMessage encode(const GatewayMessage& message);

Result<ReplicaMessage> decode_replica_message(ByteView bytes);
Result<GatewayMessage> decode_gateway_message(ByteView bytes);

// 1 to kMaxNameBytes printable ASCII characters without spaces.
bool is_valid_name(std::string_view name);

}  // namespace lockstep::gateway
