#include "replication/schedule_machine.h"

#include <utility>

#include "base/hash.h"

namespace lockstep::replication::schedule {

Bytes ToyFrame::encoded() const {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.varint(position.value);
  writer.varint(horizon.value);
  writer.varint(entries.size());
  for (const ToyEntry& entry : entries) {
    writer.varint(entry.step.value);
    writer.fixed(static_cast<uint8_t>(entry.kind));
    writer.fixed(entry.value);
  }
  return bytes;
}

std::optional<ToyFrame> ToyFrame::decoded(ByteView bytes) {
  ByteReader reader(bytes);
  ToyFrame frame;
  frame.position = LogPosition(reader.varint());
  frame.horizon = Step(reader.varint());
  for (uint64_t count = reader.varint(); count > 0 && !reader.failed(); --count) {
    ToyEntry entry;
    entry.step = Step(reader.varint());
    entry.kind = static_cast<ToyEntry::Kind>(reader.fixed<uint8_t>());
    entry.value = reader.fixed<uint64_t>();
    frame.entries.push_back(entry);
  }
  if (reader.failed() || reader.remaining() != 0) return std::nullopt;
  return frame;
}

void ToyMachine::mix(uint64_t value) {
  state_ = hash64(std::as_bytes(std::span(&value, 1)), state_);
}

void ToyMachine::apply(const ToyEntry& entry) {
  if (entry.kind == ToyEntry::Kind::kInput) mix(entry.value);
}

void ToyMachine::execute(std::vector<Output>& outputs) {
  mix(step_.value);
  const auto raw = std::as_bytes(std::span(&state_, 1));
  if (state_ % 8 == 0) {
    outputs.push_back(
        {step_, OutputKind::kFrame, DeviceIndex{0}, frames_sent_++, Bytes(raw.begin(), raw.end())});
  }
  if (state_ % 16 < 2) {
    const size_t size = 1 + state_ / 16 % 7;
    outputs.push_back({step_, OutputKind::kConsole, DeviceIndex{0}, console_bytes_,
                       Bytes(raw.begin(), raw.begin() + static_cast<std::ptrdiff_t>(size))});
    console_bytes_ += size;
  }
  ++step_;
}

}  // namespace lockstep::replication::schedule
