#include "replication/messages.h"

#include <fmt/format.h>
#include <utility>

#include "base/check.h"

namespace lockstep::replication {

namespace {

// Room for the fixed fields of any message.
constexpr size_t kTypicalBytes = 64;

// The fields of each message, in their order on the wire: written once, walked by both directions.
template <typename Walker>
void walk(Walker& walker, Hello& hello) {
  walker.number(hello.protocol_version);
  if (hello.protocol_version != kProtocolVersion) return walker.skip_rest();
  walker.text(hello.vm, kMaxNameBytes);
  walker.text(hello.node, kMaxNameBytes);
  walker.ordinal(hello.epoch);
  walker.number(hello.machine_fingerprint.low);
  walker.number(hello.machine_fingerprint.high);
  walker.text(hello.build_version, kMaxNameBytes);
}

template <typename Walker>
void walk(Walker& walker, Welcome& welcome) {
  walker.ordinal(welcome.epoch);
  walker.text(welcome.node, kMaxNameBytes);
  walker.ordinal(welcome.first_position);
}

template <typename Walker>
void walk(Walker& walker, Refuse& refuse) {
  walker.text(refuse.reason, kMaxTextBytes);
}

template <typename Walker>
void walk(Walker& walker, LogFrame& frame) {
  walker.ordinal(frame.epoch);
  walker.ordinal(frame.position);
  walker.ordinal(frame.released_before);
  walker.rest(frame.frame);
}

template <typename Walker>
void walk(Walker& walker, Acknowledge& acknowledge) {
  walker.ordinal(acknowledge.epoch);
  walker.ordinal(acknowledge.position);
  walker.number(acknowledge.heartbeat_seen);
  walker.ordinal(acknowledge.executed);
  walker.ordinal(acknowledge.executed_ticks);
  walker.number(acknowledge.buffered_bytes);
}

template <typename Walker>
void walk(Walker& walker, Heartbeat& heartbeat) {
  walker.ordinal(heartbeat.epoch);
  walker.number(heartbeat.sequence);
  walker.ordinal(heartbeat.released_before);
  walker.ordinal(heartbeat.horizon);
}

template <typename Walker>
void walk(Walker& walker, Goodbye& goodbye) {
  walker.enumeration(goodbye.reason, GoodbyeReason::kPoweredOff, GoodbyeReason::kFailed);
  walker.text(goodbye.text, kMaxTextBytes);
}

class Encoder {
 public:
  explicit Encoder(Bytes& out) : writer_(out) {}

  template <typename T>
  void number(T& value) {
    writer_.fixed(value);
  }
  template <typename Tag>
  void ordinal(Ordinal<Tag>& value) {
    writer_.fixed(value.value);
  }
  template <typename E>
  void enumeration(E& value, E, E) {
    writer_.fixed(static_cast<uint8_t>(value));
  }
  void text(std::string& value, size_t limit) {
    CHECK(value.size() <= limit);
    writer_.fixed(static_cast<uint32_t>(value.size()));
    writer_.bytes(as_byte_view(value));
  }
  void rest(Bytes& value) { writer_.bytes(value); }
  void skip_rest() {}

 private:
  ByteWriter writer_;
};

class Decoder {
 public:
  explicit Decoder(ByteView bytes) : reader_(bytes) {}

  template <typename T>
  void number(T& value) {
    value = reader_.fixed<T>();
  }
  template <typename Tag>
  void ordinal(Ordinal<Tag>& value) {
    value = Ordinal<Tag>(reader_.fixed<uint64_t>());
  }
  template <typename E>
  void enumeration(E& value, E first, E last) {
    const auto raw = static_cast<E>(reader_.fixed<uint8_t>());
    if (raw < first || raw > last) failed_ = true;
    value = raw;
  }
  void text(std::string& value, size_t limit) {
    const uint32_t size = reader_.fixed<uint32_t>();
    if (size > limit) failed_ = true;
    if (!failed_) value = as_text(reader_.bytes(size));
  }
  void rest(Bytes& value) {
    const ByteView all = reader_.bytes(reader_.remaining());
    value.assign(all.begin(), all.end());
  }
  void skip_rest() { reader_.bytes(reader_.remaining()); }

  bool complete() const { return !failed_ && !reader_.failed() && reader_.remaining() == 0; }

 private:
  ByteReader reader_;
  bool failed_ = false;
};

template <size_t kIndex = 0>
bool decode_alternative(size_t index, Decoder& decoder, Message& message) {
  if constexpr (kIndex == std::variant_size_v<Message>) {
    return false;
  } else {
    if (index != kIndex) return decode_alternative<kIndex + 1>(index, decoder, message);
    walk(decoder, message.emplace<kIndex>());
    return decoder.complete();
  }
}

}  // namespace

Bytes encode(const Message& message) {
  Bytes bytes;
  const auto* frame = std::get_if<LogFrame>(&message);
  bytes.reserve(kTypicalBytes + (frame == nullptr ? 0 : frame->frame.size()));
  bytes.push_back(static_cast<std::byte>(message.index() + 1));
  Encoder encoder(bytes);
  // The walkers are shared with decoding, which writes; an encoder only reads.
  std::visit(
      [&](const auto& alternative) {
        walk(encoder, const_cast<std::remove_cvref_t<decltype(alternative)>&>(alternative));
      },
      message);
  CHECK(bytes.size() <= kMaxMessageBytes);
  return bytes;
}

Result<Message> decode(ByteView bytes) {
  if (bytes.empty() || bytes.size() > kMaxMessageBytes) {
    return fail(ErrorCode::kCorrupt, fmt::format("a message of {} bytes", bytes.size()),
                "on the logging channel", "the peer does not speak Lockstep's protocol");
  }
  const auto type = static_cast<uint8_t>(bytes[0]);
  Decoder decoder(bytes.subspan(1));
  Message message;
  // Type 0 wraps to an index that no alternative has.
  if (!decode_alternative(size_t{type} - 1, decoder, message)) {
    return fail(ErrorCode::kCorrupt, fmt::format("a malformed message of type {}", type),
                "on the logging channel", "the peer does not speak Lockstep's protocol");
  }
  return message;
}

const char* name_of(const Message& message) {
  static constexpr const char* kNames[] = {"hello",       "welcome",   "refuse", "log frame",
                                           "acknowledge", "heartbeat", "goodbye"};
  static_assert(std::size(kNames) == std::variant_size_v<Message>);
  return kNames[message.index()];
}

std::string clip_text(std::string text) {
  if (text.size() > kMaxTextBytes) text.resize(kMaxTextBytes);
  return text;
}

}  // namespace lockstep::replication
