// What a virtio device is apart from its transport: identity, features, configuration space, and
// what it does with its queues. And what the transport offers it.
//
// A device never sees a register; a transport never sees a request. Owner: the vCPU thread.
#pragma once

#include <span>
#include <vector>

#include "devices/device.h"
#include "devices/virtio/virtqueue.h"

namespace lockstep::devices::virtio {

// Device types, virtio 1.2 §5.
enum class DeviceType : uint32_t { kNetwork = 1, kBlock = 2, kConsole = 3, kEntropy = 4 };

// Feature bits of the transport and the rings, §6. A device's own are below 24.
inline constexpr uint64_t kFeatureIndirectDescriptors = uint64_t{1} << 28;
inline constexpr uint64_t kFeatureEventIndex = uint64_t{1} << 29;
inline constexpr uint64_t kFeatureVersion1 = uint64_t{1} << 32;

class Transport {
 public:
  virtual ~Transport() = default;
  virtual riscv::PhysicalMemory& memory() = 0;
  virtual Virtqueue& queue(uint16_t index) = 0;
  // The driver has set DRIVER_OK and the device is not broken: queues may be used.
  virtual bool running() const = 0;
  virtual bool negotiated(uint64_t feature) const = 0;
  // Interrupts the driver if it wants to hear of what was pushed to the queue.
  virtual void signal_used(uint16_t queue_index) = 0;
  // The configuration space has changed (§2.5): a new generation, and an interrupt.
  virtual void signal_configuration_change() = 0;
  // DEVICE_NEEDS_RESET (§2.1.2): the driver broke a rule that leaves no way on. The device stops
  // until it is reset.
  virtual void fail_device() = 0;
};

class Model {
 public:
  virtual ~Model() = default;

  virtual DeviceType type() const = 0;
  // The device's own feature bits; the transport adds its own.
  virtual uint64_t features() const = 0;
  // One maximum size (a power of two up to kMaxQueueSize) per queue.
  virtual std::vector<uint16_t> queue_sizes() const = 0;

  // Called once, by the transport's constructor; the transport outlives the model's use.
  virtual void attach(Transport& transport) = 0;
  // Bytes of the configuration space from `offset` on; beyond its end: zeroes.
  virtual void read_configuration(uint64_t offset, std::span<std::byte> out) const = 0;
  // Ignored where nothing is writable.
  virtual void write_configuration(uint64_t offset, ByteView data) {
    static_cast<void>(offset);
    static_cast<void>(data);
  }
  // The driver has made chains available. Only while running() and the queue is ready.
  virtual void notified(uint16_t queue_index) = 0;
  // The queue's rings are gone: buffers held from it must not be used again.
  virtual void queue_stopped(uint16_t queue_index) = 0;
  // A reset by the driver (§2.4.1) or of the machine. Queues are already reset. What was asked of
  // the outside before is answered later and must be recognised then.
  virtual void reset() = 0;
  virtual void visit_state(StateVisitor& visitor) = 0;
};

// For Model::read_configuration: copies from a configuration space laid out as bytes.
void read_from_bytes(ByteView space, uint64_t offset, std::span<std::byte> out);

// Pops up to queue.size() chains and calls `handle(chain)` for each; fails the device when the
// queue breaks. The bound holds even where a ring overlaps the buffers written. `handle` returns
// false to stop after this chain.
template <typename Handle>
void drain(Transport& transport, uint16_t queue_index, Handle handle) {
  Virtqueue& queue = transport.queue(queue_index);
  Chain chain;
  for (uint32_t budget = queue.size(); budget > 0 && transport.running(); --budget) {
    const PopResult result = queue.pop(chain);
    if (result == PopResult::kEmpty) return;
    if (result == PopResult::kBroken) return transport.fail_device();
    if (!handle(chain)) return;
  }
}

}  // namespace lockstep::devices::virtio
