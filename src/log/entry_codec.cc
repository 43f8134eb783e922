#include "log/entry_codec.h"

#include <limits>
#include <type_traits>
#include <variant>

#include "base/check.h"
#include "log/format.h"

namespace lockstep::log {
namespace {

// The flag byte of a disk completion (§5.4).
constexpr uint8_t kDiskFailed = 1;
constexpr uint8_t kDiskHasData = 2;

class PayloadEncoder {
 public:
  explicit PayloadEncoder(Bytes& out) : writer_(out) {}

  void operator()(const TimeAnchor& anchor) { time(anchor.ticks, anchor.rate_q32); }
  void operator()(const Warp& warp) { time(warp.ticks, warp.rate_q32); }
  void operator()(const FrameIn& frame) {
    writer_.varint(frame.nic.value);
    writer_.blob(frame.frame);
  }
  void operator()(const DiskCompletion& completion) {
    writer_.varint(completion.disk.value);
    writer_.varint(completion.request);
    const unsigned failed = completion.status == DiskStatus::kIoError ? kDiskFailed : 0;
    const unsigned has_data = completion.has_data ? kDiskHasData : 0;
    writer_.fixed(static_cast<uint8_t>(failed | has_data));
    if (completion.has_data) writer_.blob(completion.data);
  }
  void operator()(const ConsoleInput& input) {
    writer_.varint(input.port.value);
    writer_.blob(input.bytes);
  }
  void operator()(const Entropy& entropy) { writer_.blob(entropy.bytes); }
  void operator()(const WallClockRead& read) { writer_.fixed(read.nanoseconds); }
  void operator()(const Control& control) {
    writer_.fixed(static_cast<uint8_t>(control.operation));
  }
  void operator()(const Digest& digest) {
    writer_.fixed(digest.value.low);
    writer_.fixed(digest.value.high);
  }
  void operator()(const Horizon&) {}

 private:
  void time(GuestTicks ticks, uint64_t rate_q32) {
    writer_.varint(ticks.value);
    writer_.varint(rate_q32);
  }

  ByteWriter writer_;
};

// What ByteReader could not read is reported once, by decode_entry(), after the payload.
class PayloadDecoder {
 public:
  explicit PayloadDecoder(ByteReader& reader) : reader_(reader) {}

  EntryFault decode(uint8_t tag, Payload& payload) {
    switch (tag) {
      case wire_tag(EntryKind::kTimeAnchor):
        return decode_time<TimeAnchor>(payload);
      case wire_tag(EntryKind::kWarp):
        return decode_time<Warp>(payload);
      case wire_tag(EntryKind::kFrameIn): {
        auto& frame = payload.emplace<FrameIn>();
        return device_data(frame.nic, kMaxPacketBytes, frame.frame);
      }
      case wire_tag(EntryKind::kDiskCompletion):
        return decode_disk(payload.emplace<DiskCompletion>());
      case wire_tag(EntryKind::kConsoleInput): {
        auto& input = payload.emplace<ConsoleInput>();
        return device_data(input.port, kMaxConsoleBytes, input.bytes);
      }
      case wire_tag(EntryKind::kEntropy):
        return data(kMaxEntropyBytes, payload.emplace<Entropy>().bytes);
      case wire_tag(EntryKind::kWallClockRead):
        payload.emplace<WallClockRead>().nanoseconds = reader_.fixed<uint64_t>();
        return EntryFault::kNone;
      case wire_tag(EntryKind::kControl):
        return decode_control(payload.emplace<Control>());
      case wire_tag(EntryKind::kDigest): {
        auto& digest = payload.emplace<Digest>();
        digest.value.low = reader_.fixed<uint64_t>();
        digest.value.high = reader_.fixed<uint64_t>();
        return EntryFault::kNone;
      }
      case wire_tag(EntryKind::kHorizon):
        payload.emplace<Horizon>();
        return EntryFault::kNone;
      default:
        return EntryFault::kUnknownKind;
    }
  }

 private:
  template <typename Time>
  EntryFault decode_time(Payload& payload) {
    auto& time = payload.emplace<Time>();
    time.ticks = GuestTicks(reader_.varint());
    time.rate_q32 = reader_.varint();
    return EntryFault::kNone;
  }

  EntryFault device(DeviceIndex& index) {
    const uint64_t value = reader_.varint();
    if (value > std::numeric_limits<uint32_t>::max()) return EntryFault::kBadValue;
    index.value = static_cast<uint32_t>(value);
    return EntryFault::kNone;
  }

  EntryFault data(size_t limit, Bytes& out) {
    const uint64_t size = reader_.varint();
    if (size > limit) return EntryFault::kTooLarge;
    const ByteView bytes = reader_.bytes(static_cast<size_t>(size));
    out.assign(bytes.begin(), bytes.end());
    return EntryFault::kNone;
  }

  EntryFault device_data(DeviceIndex& index, size_t limit, Bytes& out) {
    const EntryFault fault = device(index);
    return fault != EntryFault::kNone ? fault : data(limit, out);
  }

  EntryFault decode_disk(DiskCompletion& completion);
  EntryFault decode_control(Control& control);

  ByteReader& reader_;
};

EntryFault PayloadDecoder::decode_disk(DiskCompletion& completion) {
  const EntryFault fault = device(completion.disk);
  if (fault != EntryFault::kNone) return fault;
  completion.request = reader_.varint();
  const auto flags = reader_.fixed<uint8_t>();
  if ((flags & ~(kDiskFailed | kDiskHasData)) != 0) return EntryFault::kBadValue;
  completion.status = (flags & kDiskFailed) != 0 ? DiskStatus::kIoError : DiskStatus::kOk;
  completion.has_data = (flags & kDiskHasData) != 0;
  return completion.has_data ? data(kMaxDiskDataBytes, completion.data) : EntryFault::kNone;
}

EntryFault PayloadDecoder::decode_control(Control& control) {
  control.operation = static_cast<ControlOperation>(reader_.fixed<uint8_t>());
  switch (control.operation) {
    case ControlOperation::kPowerOff:
    case ControlOperation::kReset:
    case ControlOperation::kFailover:
      return EntryFault::kNone;
  }
  return EntryFault::kBadValue;
}

}  // namespace

const char* to_string(EntryFault fault) {
  switch (fault) {
    case EntryFault::kNone:
      return "no fault";
    case EntryFault::kUnknownKind:
      return "an entry is of a kind that this version does not have";
    case EntryFault::kMalformed:
      return "an entry does not end where it should, or a number is not in its one encoding";
    case EntryFault::kBadValue:
      return "a field of an entry holds a value that it cannot have";
    case EntryFault::kTooLarge:
      return "an entry carries more bytes than its kind may";
    case EntryFault::kStepOverflow:
      return "an entry lies past the last step";
  }
  return "unknown fault";
}

size_t data_bytes(const Entry& entry) {
  return std::visit(
      [](const auto& payload) -> size_t {
        using Kind = std::decay_t<decltype(payload)>;
        if constexpr (std::is_same_v<Kind, FrameIn>) return payload.frame.size();
        if constexpr (std::is_same_v<Kind, DiskCompletion>) return payload.data.size();
        if constexpr (std::is_same_v<Kind, ConsoleInput> || std::is_same_v<Kind, Entropy>) {
          return payload.bytes.size();
        }
        return 0;
      },
      entry.payload);
}

bool encodable(const Entry& entry) {
  switch (entry.kind()) {
    case EntryKind::kFrameIn:
      return data_bytes(entry) <= kMaxPacketBytes;
    case EntryKind::kDiskCompletion:
      return data_bytes(entry) <= kMaxDiskDataBytes &&
             (std::get<DiskCompletion>(entry.payload).has_data || data_bytes(entry) == 0);
    case EntryKind::kConsoleInput:
      return data_bytes(entry) <= kMaxConsoleBytes;
    case EntryKind::kEntropy:
      return data_bytes(entry) <= kMaxEntropyBytes;
    default:
      return true;
  }
}

void encode_entry(const Entry& entry, Step previous, Bytes& out) {
  CHECK(encodable(entry));
  CHECK(entry.step >= previous);
  ByteWriter writer(out);
  writer.fixed(wire_tag(entry.kind()));
  writer.varint(entry.step - previous);
  std::visit(PayloadEncoder(out), entry.payload);
}

EntryFault decode_entry(ByteReader& reader, Step previous, Entry& entry) {
  const auto tag = reader.fixed<uint8_t>();
  const uint64_t delta = reader.varint();
  if (reader.failed()) return EntryFault::kMalformed;
  if (delta > std::numeric_limits<uint64_t>::max() - previous.value) {
    return EntryFault::kStepOverflow;
  }
  entry.step = previous + delta;
  const EntryFault fault = PayloadDecoder(reader).decode(tag, entry.payload);
  // A read past the end gives zeroes, which may look like a bad value: the end came first.
  return reader.failed() ? EntryFault::kMalformed : fault;
}

}  // namespace lockstep::log
