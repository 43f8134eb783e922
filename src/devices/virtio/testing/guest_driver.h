// The guest's side of a virtio-mmio device, for tests: drives the registers and keeps rings in
// guest RAM, honestly by default and with every field open to a test that wants to lie.
//
// Layout of the 1 MiB of RAM: queue i has its rings at i * 64 KiB; buffers() is free for the test
// from 512 KiB on.
//
// Owner: the test.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <vector>

#include "devices/testing/recording_ports.h"
#include "devices/virtio/mmio_transport.h"
#include "riscv/physical_memory.h"

namespace lockstep::devices::virtio::testing {

inline constexpr GuestAddress kRamBase{0x80000000};
inline constexpr size_t kRamSize = 1 << 20;

// Guest RAM that a test owns.
struct TestMemory {
  Bytes ram = Bytes(kRamSize);
  riscv::PhysicalMemory memory{kRamBase, ram};
};

inline constexpr uint16_t kNext = 1;
inline constexpr uint16_t kWrite = 2;
inline constexpr uint16_t kIndirect = 4;

struct Buffer {
  GuestAddress address;
  uint32_t length = 0;
  bool device_writes = false;
};

struct UsedElement {
  uint32_t head = 0;
  uint32_t written = 0;
  bool operator==(const UsedElement&) const = default;
};

class GuestDriver {
 public:
  static constexpr uint64_t kQueueStride = 64 * 1024;

  GuestDriver(riscv::PhysicalMemory& memory, MmioDevice& device)
      : memory_(memory), device_(device) {}

  uint32_t read(uint64_t offset);
  void write(uint64_t offset, uint32_t value);

  // The whole initialisation of virtio 1.2 §3.1.1, with the features that both sides know. Returns
  // the device status at its end.
  uint32_t start(uint64_t wanted_features, uint16_t queue_count, uint16_t queue_size = 16);
  uint64_t offered_features();

  static GuestAddress buffers() { return kRamBase + (kRamSize / 2); }
  GuestAddress descriptor(uint16_t queue, uint16_t index) const;
  GuestAddress available(uint16_t queue) const;
  GuestAddress used(uint16_t queue) const;
  void set_descriptor(uint16_t queue, uint16_t index, GuestAddress address, uint32_t length,
                      uint16_t flags, uint16_t next);

  // Chains the buffers from descriptor `first` on and makes the chain available, without
  // notifying. Returns the head.
  uint16_t offer(uint16_t queue, uint16_t first, const std::vector<Buffer>& buffers);
  // The same through an indirect table at `table`.
  uint16_t offer_indirect(uint16_t queue, uint16_t first, GuestAddress table,
                          const std::vector<Buffer>& buffers);
  // Puts a head into the available ring.
  void make_available(uint16_t queue, uint16_t head);
  void notify(uint16_t queue) { write(0x50, queue); }

  // The next buffer that came back, if any.
  std::optional<UsedElement> take_used(uint16_t queue);
  void set_used_event(uint16_t queue, uint16_t index);
  uint16_t available_event(uint16_t queue);

  uint32_t status() { return read(0x70); }
  bool needs_reset() { return (status() & 0x40) != 0; }
  void acknowledge_interrupts() { write(0x64, read(0x60)); }

  void put(GuestAddress address, ByteView bytes);
  Bytes get(GuestAddress address, size_t size) const;

 private:
  struct QueueState {
    uint16_t available_index = 0;
    uint16_t used_index = 0;
  };

  riscv::PhysicalMemory& memory_;
  MmioDevice& device_;
  uint16_t queue_size_ = 0;
  std::vector<QueueState> queues_;
};

}  // namespace lockstep::devices::virtio::testing
