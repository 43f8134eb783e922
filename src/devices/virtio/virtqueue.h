// A split virtqueue, seen from the device (virtio 1.2 §2.7).
//
// The rings are guest memory and are never trusted: each field is read once and checked, a chain
// walk has bounds, and what breaks them makes the queue broken until it is reset. A broken queue
// yields nothing and takes nothing.
//
// Invariants
//   1. While ready, the three ring areas lie in RAM and are aligned; size is a power of two.
//   2. pop() yields at most size() chains beyond those pushed back, whatever the rings say.
//
// Writes to the rings are seen by guest memory's observer. There is one thread, so no barriers.
// Owner: the vCPU thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "devices/device.h"
#include "riscv/physical_memory.h"

namespace lockstep::devices::virtio {

inline constexpr uint16_t kMaxQueueSize = 1024;
// Descriptors of one chain, direct and indirect ones together.
inline constexpr size_t kMaxChainSegments = 1024;

// A run of guest memory that was in RAM when the chain was popped. RAM does not move.
struct Segment {
  GuestAddress address;
  uint32_t length = 0;
  bool operator==(const Segment&) const = default;
};

using Segments = std::vector<Segment>;

uint64_t total_length(const Segments& segments);
// Copies from the segments, as one run of bytes, from `offset` on. Returns how many bytes there
// were: less than out.size() when the segments end before.
size_t gather(const riscv::PhysicalMemory& memory, const Segments& segments, uint64_t offset,
              std::span<std::byte> out);
// Copies into the segments, as one run of bytes, from `offset` on. Returns how many bytes fit.
size_t scatter(riscv::PhysicalMemory& memory, const Segments& segments, uint64_t offset,
               ByteView data);
// For buffers that a device holds across guest accesses. A restored segment outside RAM is
// rejected.
void visit_segments(StateVisitor& visitor, std::string_view name,
                    const riscv::PhysicalMemory& memory, Segments& segments);

// One buffer: what the driver wrote, then what the device may write (§2.7.4.2).
struct Chain {
  uint16_t head = 0;
  Segments readable;
  Segments writable;
};

enum class PopResult : uint8_t { kChain, kEmpty, kBroken };

class Virtqueue {
 public:
  Virtqueue(riscv::PhysicalMemory& memory, uint16_t max_size);

  // What the transport's registers set. The addresses and the size may change only while not ready.
  struct Layout {
    uint32_t size = 0;
    uint64_t descriptors = 0;
    uint64_t available = 0;
    uint64_t used = 0;
  };
  Layout& layout() { return layout_; }
  uint16_t max_size() const { return max_size_; }
  // False, and still not ready, when the layout is not a valid one.
  bool make_ready();
  // Back to the power-on state.
  void reset();
  bool ready() const { return ready_; }
  bool broken() const { return broken_; }
  // Entries of the ring; 0 until ready.
  uint16_t size() const { return ready_ ? static_cast<uint16_t>(layout_.size) : 0; }
  void negotiated(bool indirect_descriptors, bool event_index);

  // Takes the next available chain. `chain` keeps its memory from call to call.
  PopResult pop(Chain& chain);
  // Gives back the last `count` chains popped, so that they are the next again.
  void unpop(uint16_t count);
  // Hands a buffer back, with the number of bytes written to its writable part (§2.7.8).
  void push(uint16_t head, uint32_t written);
  // Whether the driver wants an interrupt for what was pushed since this was last asked (§2.7.7).
  bool take_interrupt_wanted();
  // Asks the driver to notify of the next chain that it makes available (§2.7.10). With the event
  // index a driver notifies once per request; without, always.
  void request_notification();

  void visit_state(StateVisitor& visitor);

 private:
  struct Descriptor {
    uint64_t address = 0;
    uint32_t length = 0;
    uint16_t flags = 0;
    uint16_t next = 0;
  };

  bool layout_is_valid() const;
  uint16_t ring_mask() const { return static_cast<uint16_t>(layout_.size - 1); }
  Descriptor direct_descriptor(uint16_t index) const;
  bool walk(Chain& chain);
  bool walk_indirect(Chain& chain, const Descriptor& table);
  bool add_segment(Chain& chain, const Descriptor& descriptor);

  riscv::PhysicalMemory& memory_;
  uint16_t max_size_;

  Layout layout_;
  bool ready_ = false;
  bool broken_ = false;
  bool indirect_descriptors_ = false;
  bool event_index_ = false;
  uint16_t next_available_ = 0;  // last_avail_idx: of the chain that the next pop() takes
  uint16_t next_used_ = 0;       // the used ring's idx
  uint16_t signalled_used_ = 0;  // next_used_ when an interrupt was last considered
};

}  // namespace lockstep::devices::virtio
