#include "gateway/held_inputs.h"

#include <utility>

#include "base/check.h"

namespace lockstep::gateway {
namespace {

constexpr size_t kMaxSpareBuffers = 1024;
constexpr size_t kMaxSpareBufferBytes = 2048;  // an Ethernet frame of the usual size

}  // namespace

bool HeldInputs::has_room(size_t bytes) const {
  return held_.size() < kMaxHeldInputs && bytes <= kMaxHeldBytes - bytes_;
}

bool HeldInputs::push(InputKind kind, DeviceIndex device, ByteView bytes) {
  if (!has_room(bytes.size())) return false;
  Bytes buffer;
  if (!spare_.empty()) {
    buffer = std::move(spare_.back());
    spare_.pop_back();
  }
  buffer.assign(bytes.begin(), bytes.end());
  held_.push_back({kind, device, std::move(buffer)});
  bytes_ += bytes.size();
  return true;
}

void HeldInputs::forget_below(InputSequence sequence) {
  CHECK(sequence <= next());
  while (oldest_ < sequence) {
    Bytes& buffer = held_.front().bytes;
    bytes_ -= buffer.size();
    if (spare_.size() < kMaxSpareBuffers && buffer.capacity() <= kMaxSpareBufferBytes) {
      spare_.push_back(std::move(buffer));
    }
    held_.pop_front();
    ++oldest_;
  }
}

Input HeldInputs::at(InputSequence sequence) const {
  CHECK(sequence >= oldest_ && sequence < next());
  const Held& held = held_[sequence - oldest_];
  return {.sequence = sequence, .kind = held.kind, .device = held.device, .bytes = held.bytes};
}

}  // namespace lockstep::gateway
