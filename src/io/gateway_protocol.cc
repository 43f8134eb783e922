#include "io/gateway_protocol.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <optional>
#include <type_traits>

#include "base/check.h"

namespace lockstep::gateway {
namespace {

// The first byte of a message. Values are the format's and never change.
enum class MessageType : uint8_t {
  kHello = 0x01,
  kLive = 0x02,
  kFrameOut = 0x03,
  kConsoleOut = 0x04,
  kInputHeld = 0x05,
  kWelcome = 0x81,
  kRefused = 0x82,
  kInput = 0x83,
  kSuperseded = 0x84,
};

const char* to_string(MessageType type) {
  switch (type) {
    case MessageType::kHello:
      return "Hello";
    case MessageType::kLive:
      return "Live";
    case MessageType::kFrameOut:
      return "FrameOut";
    case MessageType::kConsoleOut:
      return "ConsoleOut";
    case MessageType::kInputHeld:
      return "InputHeld";
    case MessageType::kWelcome:
      return "Welcome";
    case MessageType::kRefused:
      return "Refused";
    case MessageType::kInput:
      return "Input";
    case MessageType::kSuperseded:
      return "Superseded";
  }
  return "unknown";
}

bool is_printable(char c) {
  return c >= 0x20 && c < 0x7f;
}

// The largest body of a frame or of console bytes.
size_t max_bytes_of(InputKind kind) {
  return kind == InputKind::kFrame ? kMaxFrameBytes : kMaxConsoleBytes;
}

uint32_t devices_of(InputKind kind) {
  return kind == InputKind::kFrame ? kMaxNics : kMaxConsolePorts;
}

// Reads one message; the first thing that is wrong is what the error names.
class Decoder {
 public:
  explicit Decoder(ByteView bytes) : size_(bytes.size()), reader_(bytes) {}

  MessageType type() {
    type_ = static_cast<MessageType>(reader_.fixed<uint8_t>());
    return type_;
  }

  template <typename Number>
  Number number() {
    return Number(reader_.fixed<uint64_t>());
  }
  uint32_t version() { return reader_.fixed<uint32_t>(); }
  uint8_t byte() { return reader_.fixed<uint8_t>(); }

  DeviceIndex device(InputKind kind) {
    const DeviceIndex index{reader_.fixed<uint32_t>()};
    if (!reader_.failed() && index.value >= devices_of(kind)) wrong_ = "its device does not exist";
    return index;
  }

  std::string_view name(size_t length) {
    const std::string_view text = as_text(reader_.bytes(length));
    if (!reader_.failed() && !is_valid_name(text)) wrong_ = "a name in it is not a name";
    return text;
  }
  size_t remaining() const { return reader_.remaining(); }

  ByteView rest(size_t limit) {
    if (remaining() > limit) wrong_ = "its body is too long";
    return reader_.bytes(remaining());
  }

  void reject(const char* why) { wrong_ = why; }

  template <typename Message>
  Result<Message> finish(Message message) {
    if (reader_.failed()) wrong_ = "it is cut short";
    if (wrong_ == nullptr && reader_.remaining() > 0) wrong_ = "bytes follow its end";
    if (wrong_ == nullptr) return message;
    return fail(ErrorCode::kCorrupt, "cannot read the gateway message",
                fmt::format("{} (type {:#04x}, {} bytes)", to_string(type_),
                            static_cast<unsigned>(type_), size_),
                fmt::format("{}; both ends must be of the same version", wrong_));
  }

 private:
  size_t size_;
  ByteReader reader_;
  MessageType type_{};
  const char* wrong_ = nullptr;
};

Hello decode_hello(Decoder& decoder) {
  Hello hello;
  hello.version = decoder.version();
  if (hello.version != kProtocolVersion) {
    decoder.rest(kMaxMessageBytes);
    return hello;
  }
  hello.vm = decoder.name(decoder.byte());
  hello.node = decoder.name(decoder.remaining());
  return hello;
}

Input decode_input(Decoder& decoder) {
  Input input;
  input.sequence = decoder.number<InputSequence>();
  const uint8_t kind = decoder.byte();
  if (kind > static_cast<uint8_t>(InputKind::kConsole)) {
    decoder.reject("its kind does not exist");
    decoder.rest(kMaxMessageBytes);
    return input;
  }
  input.kind = static_cast<InputKind>(kind);
  input.device = decoder.device(input.kind);
  input.bytes = decoder.rest(max_bytes_of(input.kind));
  return input;
}

std::string_view decode_reason(Decoder& decoder) {
  const std::string_view reason = as_text(decoder.rest(kMaxReasonBytes));
  if (!std::ranges::all_of(reason, is_printable)) decoder.reject("its reason is not text");
  return reason;
}

}  // namespace

// Fills the head of one message.
class MessageEncoder {
 public:
  explicit MessageEncoder(MessageType type) { fixed(static_cast<uint8_t>(type)); }

  template <typename T>
    requires std::is_integral_v<T>
  MessageEncoder& fixed(T value) {
    return copy(std::as_bytes(std::span(&value, 1)));
  }
  template <typename Tag>
  MessageEncoder& fixed(Ordinal<Tag> number) {
    return fixed(number.value);
  }
  MessageEncoder& device(InputKind kind, DeviceIndex index) {
    CHECK(index.value < devices_of(kind));
    return fixed(index.value);
  }
  MessageEncoder& short_text(std::string_view text) {
    return fixed(static_cast<uint8_t>(text.size())).copy(as_byte_view(text));
  }
  EncodedMessage done(ByteView body = {}) {
    message_.body_ = body;
    return message_;
  }

 private:
  MessageEncoder& copy(ByteView bytes) {
    CHECK(bytes.size() <= kMaxHeadBytes - message_.head_size_);
    std::memcpy(message_.head_.data() + message_.head_size_, bytes.data(), bytes.size());
    message_.head_size_ += bytes.size();
    return *this;
  }

  EncodedMessage message_;
};

namespace {

EncodedMessage encode_one(const Hello& hello) {
  CHECK(is_valid_name(hello.vm) && is_valid_name(hello.node));
  return MessageEncoder(MessageType::kHello)
      .fixed(hello.version)
      .short_text(hello.vm)
      .done(as_byte_view(hello.node));
}

EncodedMessage encode_one(const Live& live) {
  return MessageEncoder(MessageType::kLive).fixed(live.epoch).fixed(live.next_input).done();
}

EncodedMessage encode_one(const FrameOut& out) {
  CHECK(out.frame.size() <= kMaxFrameBytes);
  return MessageEncoder(MessageType::kFrameOut)
      .fixed(out.epoch)
      .device(InputKind::kFrame, out.nic)
      .fixed(out.index)
      .done(out.frame);
}

EncodedMessage encode_one(const ConsoleOut& out) {
  CHECK(out.bytes.size() <= kMaxConsoleBytes);
  return MessageEncoder(MessageType::kConsoleOut)
      .fixed(out.epoch)
      .device(InputKind::kConsole, out.port)
      .fixed(out.offset)
      .done(out.bytes);
}

EncodedMessage encode_one(const InputHeld& held) {
  return MessageEncoder(MessageType::kInputHeld).fixed(held.next_input).done();
}

EncodedMessage encode_one(const Welcome& welcome) {
  return MessageEncoder(MessageType::kWelcome).fixed(welcome.version).done();
}

EncodedMessage encode_one(const Refused& refused) {
  CHECK(refused.reason.size() <= kMaxReasonBytes);
  CHECK(std::ranges::all_of(refused.reason, is_printable));
  return MessageEncoder(MessageType::kRefused).done(as_byte_view(refused.reason));
}

EncodedMessage encode_one(const Input& input) {
  CHECK(input.bytes.size() <= max_bytes_of(input.kind));
  return MessageEncoder(MessageType::kInput)
      .fixed(input.sequence)
      .fixed(static_cast<uint8_t>(input.kind))
      .device(input.kind, input.device)
      .done(input.bytes);
}

EncodedMessage encode_one(const Superseded& superseded) {
  return MessageEncoder(MessageType::kSuperseded).fixed(superseded.epoch).done();
}

}  // namespace

bool is_valid_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNameBytes &&
         std::ranges::all_of(name, [](char c) { return is_printable(c) && c != ' '; });
}

EncodedMessage encode(const ReplicaMessage& message) {
  return std::visit([](const auto& one) { return encode_one(one); }, message);
}

EncodedMessage encode(const GatewayMessage& message) {
  return std::visit([](const auto& one) { return encode_one(one); }, message);
}

Result<ReplicaMessage> decode_replica_message(ByteView bytes) {
  Decoder decoder(bytes);
  ReplicaMessage message;
  switch (decoder.type()) {
    case MessageType::kHello:
      message = decode_hello(decoder);
      break;
    case MessageType::kLive:
      message =
          Live{.epoch = decoder.number<Epoch>(), .next_input = decoder.number<InputSequence>()};
      break;
    case MessageType::kFrameOut:
      message = FrameOut{.epoch = decoder.number<Epoch>(),
                         .nic = decoder.device(InputKind::kFrame),
                         .index = decoder.number<FrameIndex>(),
                         .frame = decoder.rest(kMaxFrameBytes)};
      break;
    case MessageType::kConsoleOut:
      message = ConsoleOut{.epoch = decoder.number<Epoch>(),
                           .port = decoder.device(InputKind::kConsole),
                           .offset = decoder.number<ConsoleOffset>(),
                           .bytes = decoder.rest(kMaxConsoleBytes)};
      break;
    case MessageType::kInputHeld:
      message = InputHeld{.next_input = decoder.number<InputSequence>()};
      break;
    default:
      decoder.reject("a replica sends no such message");
      break;
  }
  return decoder.finish(message);
}

Result<GatewayMessage> decode_gateway_message(ByteView bytes) {
  Decoder decoder(bytes);
  GatewayMessage message;
  switch (decoder.type()) {
    case MessageType::kWelcome:
      message = Welcome{.version = decoder.version()};
      break;
    case MessageType::kRefused:
      message = Refused{.reason = decode_reason(decoder)};
      break;
    case MessageType::kInput:
      message = decode_input(decoder);
      break;
    case MessageType::kSuperseded:
      message = Superseded{.epoch = decoder.number<Epoch>()};
      break;
    default:
      decoder.reject("a gateway sends no such message");
      break;
  }
  return decoder.finish(message);
}

}  // namespace lockstep::gateway
