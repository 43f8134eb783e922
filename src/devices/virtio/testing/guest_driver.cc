#include "devices/virtio/testing/guest_driver.h"

#include "base/check.h"

namespace lockstep::devices::virtio::testing {

uint32_t GuestDriver::read(uint64_t offset) {
  return static_cast<uint32_t>(device_.read(offset, AccessSize::k4));
}

void GuestDriver::write(uint64_t offset, uint32_t value) {
  device_.write(offset, AccessSize::k4, value);
}

uint64_t GuestDriver::offered_features() {
  write(0x14, 0);
  const uint64_t low = read(0x10);
  write(0x14, 1);
  return low | uint64_t{read(0x10)} << 32;
}

uint32_t GuestDriver::start(uint64_t wanted_features, uint16_t queue_count, uint16_t queue_size) {
  queue_size_ = queue_size;
  queues_.assign(queue_count, {});
  write(0x70, 0);
  write(0x70, 1);
  write(0x70, 3);
  const uint64_t accepted = offered_features() & wanted_features;
  write(0x24, 0);
  write(0x20, static_cast<uint32_t>(accepted));
  write(0x24, 1);
  write(0x20, static_cast<uint32_t>(accepted >> 32));
  write(0x70, 0x0b);
  for (uint16_t i = 0; i < queue_count; ++i) {
    // Rings of an earlier start must not be taken for new ones.
    put(descriptor(i, 0), Bytes(kQueueStride));
    write(0x30, i);
    write(0x38, queue_size);
    write(0x80, static_cast<uint32_t>(descriptor(i, 0).value));
    write(0x84, static_cast<uint32_t>(descriptor(i, 0).value >> 32));
    write(0x90, static_cast<uint32_t>(available(i).value));
    write(0x94, static_cast<uint32_t>(available(i).value >> 32));
    write(0xa0, static_cast<uint32_t>(used(i).value));
    write(0xa4, static_cast<uint32_t>(used(i).value >> 32));
    write(0x44, 1);
  }
  write(0x70, 0x0f);
  return status();
}

GuestAddress GuestDriver::descriptor(uint16_t queue, uint16_t index) const {
  return kRamBase + (queue * kQueueStride + index * uint64_t{16});
}

GuestAddress GuestDriver::available(uint16_t queue) const {
  return kRamBase + (queue * kQueueStride + 0x6000);
}

GuestAddress GuestDriver::used(uint16_t queue) const {
  return kRamBase + (queue * kQueueStride + 0x8000);
}

void GuestDriver::set_descriptor(uint16_t queue, uint16_t index, GuestAddress address,
                                 uint32_t length, uint16_t flags, uint16_t next) {
  const GuestAddress at = descriptor(queue, index);
  memory_.store<uint64_t>(at, address.value);
  memory_.store<uint32_t>(at + 8, length);
  memory_.store<uint16_t>(at + 12, flags);
  memory_.store<uint16_t>(at + 14, next);
}

uint16_t GuestDriver::offer(uint16_t queue, uint16_t first, const std::vector<Buffer>& buffers) {
  for (size_t i = 0; i < buffers.size(); ++i) {
    const bool last = i + 1 == buffers.size();
    const auto index = static_cast<uint16_t>((first + i) % queue_size_);
    const auto next = static_cast<uint16_t>((index + 1) % queue_size_);
    const auto flags =
        static_cast<uint16_t>((buffers[i].device_writes ? kWrite : 0) | (last ? 0 : kNext));
    set_descriptor(queue, index, buffers[i].address, buffers[i].length, flags, next);
  }
  make_available(queue, first);
  return first;
}

uint16_t GuestDriver::offer_indirect(uint16_t queue, uint16_t first, GuestAddress table,
                                     const std::vector<Buffer>& buffers) {
  Bytes entries;
  ByteWriter writer(entries);
  for (size_t i = 0; i < buffers.size(); ++i) {
    const bool last = i + 1 == buffers.size();
    writer.fixed<uint64_t>(buffers[i].address.value);
    writer.fixed<uint32_t>(buffers[i].length);
    writer.fixed<uint16_t>(
        static_cast<uint16_t>((buffers[i].device_writes ? kWrite : 0) | (last ? 0 : kNext)));
    writer.fixed<uint16_t>(static_cast<uint16_t>(last ? 0 : i + 1));
  }
  put(table, entries);
  set_descriptor(queue, first, table, static_cast<uint32_t>(entries.size()), kIndirect, 0);
  make_available(queue, first);
  return first;
}

void GuestDriver::make_available(uint16_t queue, uint16_t head) {
  uint16_t& index = queues_[queue].available_index;
  memory_.store<uint16_t>(available(queue) + (4 + uint64_t{index} % queue_size_ * 2), head);
  ++index;
  memory_.store<uint16_t>(available(queue) + 2, index);
}

std::optional<UsedElement> GuestDriver::take_used(uint16_t queue) {
  uint16_t& index = queues_[queue].used_index;
  if (memory_.load<uint16_t>(used(queue) + 2) == index) return std::nullopt;
  const GuestAddress element = used(queue) + (4 + uint64_t{index} % queue_size_ * 8);
  ++index;
  return UsedElement{memory_.load<uint32_t>(element), memory_.load<uint32_t>(element + 4)};
}

void GuestDriver::set_used_event(uint16_t queue, uint16_t index) {
  memory_.store<uint16_t>(available(queue) + (4 + uint64_t{queue_size_} * 2), index);
}

uint16_t GuestDriver::available_event(uint16_t queue) {
  return memory_.load<uint16_t>(used(queue) + (4 + uint64_t{queue_size_} * 8));
}

void GuestDriver::put(GuestAddress address, ByteView bytes) {
  CHECK(memory_.write(address, bytes));
}

Bytes GuestDriver::get(GuestAddress address, size_t size) const {
  Bytes bytes(size);
  CHECK(memory_.read(address, bytes));
  return bytes;
}

}  // namespace lockstep::devices::virtio::testing
