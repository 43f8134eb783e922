#include "devices/virtio/virtqueue.h"

#include <algorithm>
#include <bit>

#include "base/check.h"

namespace lockstep::devices::virtio {
namespace {

// Descriptors, §2.7.5.
constexpr uint64_t kDescriptorSize = 16;
constexpr uint16_t kDescriptorNext = 1;
constexpr uint16_t kDescriptorWrite = 2;
constexpr uint16_t kDescriptorIndirect = 4;

// The available ring, §2.7.6: flags, idx, ring[size], used_event.
constexpr uint64_t kAvailableFlags = 0;
constexpr uint64_t kAvailableIndex = 2;
constexpr uint64_t kAvailableRing = 4;
constexpr uint16_t kAvailableNoInterrupt = 1;

// The used ring, §2.7.8: flags, idx, ring[size] of {id, len}, avail_event.
constexpr uint64_t kUsedIndex = 2;
constexpr uint64_t kUsedRing = 4;
constexpr uint64_t kUsedElementSize = 8;

// Alignments, §2.7.
constexpr uint64_t kDescriptorAlignment = 16;
constexpr uint64_t kAvailableAlignment = 2;
constexpr uint64_t kUsedAlignment = 4;

// Calls `visit(address, size)` for the parts of [offset, offset + limit) that the segments hold.
template <typename Visit>
size_t for_each_part(const Segments& segments, uint64_t offset, size_t limit, Visit visit) {
  size_t done = 0;
  for (const Segment& segment : segments) {
    if (done == limit) break;
    if (offset >= segment.length) {
      offset -= segment.length;
      continue;
    }
    const auto size =
        static_cast<size_t>(std::min<uint64_t>(segment.length - offset, limit - done));
    visit(segment.address + offset, done, size);
    done += size;
    offset = 0;
  }
  return done;
}

}  // namespace

uint64_t total_length(const Segments& segments) {
  uint64_t total = 0;
  for (const Segment& segment : segments) total += segment.length;
  return total;
}

size_t gather(const riscv::PhysicalMemory& memory, const Segments& segments, uint64_t offset,
              std::span<std::byte> out) {
  return for_each_part(segments, offset, out.size(),
                       [&](GuestAddress address, size_t done, size_t size) {
                         CHECK(memory.read(address, out.subspan(done, size)));
                       });
}

size_t scatter(riscv::PhysicalMemory& memory, const Segments& segments, uint64_t offset,
               ByteView data) {
  return for_each_part(segments, offset, data.size(),
                       [&](GuestAddress address, size_t done, size_t size) {
                         CHECK(memory.write(address, data.subspan(done, size)));
                       });
}

void visit_segments(StateVisitor& visitor, std::string_view name,
                    const riscv::PhysicalMemory& memory, Segments& segments) {
  visitor.enter(name, 0);
  segments.resize(visitor.count("count", segments.size(), kMaxChainSegments));
  bool possible = true;
  for (Segment& segment : segments) {
    visitor.field("address", segment.address);
    visitor.field("length", segment.length);
    possible = possible && memory.contains(segment.address, segment.length);
  }
  if (!possible) {
    segments.clear();
    visitor.reject("address");
  }
  visitor.leave();
}

Virtqueue::Virtqueue(riscv::PhysicalMemory& memory, uint16_t max_size)
    : memory_(memory), max_size_(max_size) {
  CHECK(max_size <= kMaxQueueSize && std::has_single_bit(max_size));
}

bool Virtqueue::layout_is_valid() const {
  const uint64_t size = layout_.size;
  if (size > max_size_ || !std::has_single_bit(size)) return false;
  if (layout_.descriptors % kDescriptorAlignment != 0) return false;
  if (layout_.available % kAvailableAlignment != 0) return false;
  if (layout_.used % kUsedAlignment != 0) return false;
  return memory_.contains(GuestAddress(layout_.descriptors), size * kDescriptorSize) &&
         memory_.contains(GuestAddress(layout_.available), kAvailableRing + size * 2 + 2) &&
         memory_.contains(GuestAddress(layout_.used), kUsedRing + size * kUsedElementSize + 2);
}

bool Virtqueue::make_ready() {
  if (!layout_is_valid()) return false;
  ready_ = true;
  broken_ = false;
  next_available_ = 0;
  next_used_ = 0;
  signalled_used_ = 0;
  return true;
}

void Virtqueue::reset() {
  layout_ = {};
  ready_ = false;
  broken_ = false;
  indirect_descriptors_ = false;
  event_index_ = false;
  next_available_ = 0;
  next_used_ = 0;
  signalled_used_ = 0;
}

void Virtqueue::negotiated(bool indirect_descriptors, bool event_index) {
  indirect_descriptors_ = indirect_descriptors;
  event_index_ = event_index;
}

Virtqueue::Descriptor Virtqueue::direct_descriptor(uint16_t index) const {
  const GuestAddress at(layout_.descriptors + uint64_t{index} * kDescriptorSize);
  return {memory_.load<uint64_t>(at), memory_.load<uint32_t>(at + 8),
          memory_.load<uint16_t>(at + 12), memory_.load<uint16_t>(at + 14)};
}

PopResult Virtqueue::pop(Chain& chain) {
  if (broken_) return PopResult::kBroken;
  if (!ready_) return PopResult::kEmpty;
  const GuestAddress available(layout_.available);
  const auto index = memory_.load<uint16_t>(available + kAvailableIndex);
  const auto waiting = static_cast<uint16_t>(index - next_available_);
  if (waiting == 0) return PopResult::kEmpty;
  if (waiting <= layout_.size) {
    const uint64_t slot = next_available_ & ring_mask();
    chain.head = memory_.load<uint16_t>(available + kAvailableRing + slot * 2);
    chain.readable.clear();
    chain.writable.clear();
    if (chain.head < layout_.size && walk(chain)) {
      ++next_available_;
      return PopResult::kChain;
    }
  }
  broken_ = true;
  return PopResult::kBroken;
}

bool Virtqueue::walk(Chain& chain) {
  uint16_t index = chain.head;
  // A chain that is longer than the table has a loop.
  for (uint32_t steps = 0; steps < layout_.size; ++steps) {
    const Descriptor descriptor = direct_descriptor(index);
    if ((descriptor.flags & kDescriptorIndirect) != 0) {
      // §2.7.5.3: an indirect descriptor ends the chain.
      return indirect_descriptors_ && (descriptor.flags & kDescriptorNext) == 0 &&
             walk_indirect(chain, descriptor);
    }
    if (!add_segment(chain, descriptor)) return false;
    if ((descriptor.flags & kDescriptorNext) == 0) return true;
    index = descriptor.next;
    if (index >= layout_.size) return false;
  }
  return false;
}

bool Virtqueue::walk_indirect(Chain& chain, const Descriptor& table) {
  if (table.length == 0 || table.length % kDescriptorSize != 0) return false;
  const GuestAddress base(table.address);
  if (!memory_.contains(base, table.length)) return false;
  const uint64_t entries = table.length / kDescriptorSize;
  uint64_t index = 0;
  for (uint64_t steps = 0; steps < entries; ++steps) {
    std::byte raw[kDescriptorSize];
    CHECK(memory_.read(base + index * kDescriptorSize, raw));
    ByteReader reader(raw);
    Descriptor descriptor;
    descriptor.address = reader.fixed<uint64_t>();
    descriptor.length = reader.fixed<uint32_t>();
    descriptor.flags = reader.fixed<uint16_t>();
    descriptor.next = reader.fixed<uint16_t>();
    if ((descriptor.flags & kDescriptorIndirect) != 0) return false;
    if (!add_segment(chain, descriptor)) return false;
    if ((descriptor.flags & kDescriptorNext) == 0) return true;
    index = descriptor.next;
    if (index >= entries) return false;
  }
  return false;
}

bool Virtqueue::add_segment(Chain& chain, const Descriptor& descriptor) {
  if (chain.readable.size() + chain.writable.size() >= kMaxChainSegments) return false;
  if (descriptor.length == 0) return false;
  const GuestAddress address(descriptor.address);
  if (!memory_.contains(address, descriptor.length)) return false;
  if ((descriptor.flags & kDescriptorWrite) != 0) {
    chain.writable.push_back({address, descriptor.length});
  } else {
    if (!chain.writable.empty()) return false;
    chain.readable.push_back({address, descriptor.length});
  }
  return true;
}

void Virtqueue::unpop(uint16_t count) {
  next_available_ = static_cast<uint16_t>(next_available_ - count);
}

void Virtqueue::push(uint16_t head, uint32_t written) {
  if (!ready_ || broken_) return;
  const GuestAddress used(layout_.used);
  const uint64_t slot = next_used_ & ring_mask();
  const uint64_t element = uint64_t{head} | uint64_t{written} << 32;
  memory_.store<uint64_t>(used + kUsedRing + slot * kUsedElementSize, element);
  ++next_used_;
  memory_.store<uint16_t>(used + kUsedIndex, next_used_);
}

bool Virtqueue::take_interrupt_wanted() {
  if (!ready_ || broken_) return false;
  const uint16_t before = signalled_used_;
  signalled_used_ = next_used_;
  const auto pushed = static_cast<uint16_t>(next_used_ - before);
  if (pushed == 0) return false;
  const GuestAddress available(layout_.available);
  if (!event_index_) {
    return (memory_.load<uint16_t>(available + kAvailableFlags) & kAvailableNoInterrupt) == 0;
  }
  // §2.7.7.2: wanted when used_event is one of the indices just used.
  const auto event =
      memory_.load<uint16_t>(available + kAvailableRing + uint64_t{layout_.size} * 2);
  return static_cast<uint16_t>(next_used_ - event - 1) < pushed;
}

void Virtqueue::request_notification() {
  if (!ready_ || broken_ || !event_index_) return;
  const GuestAddress event(layout_.used + kUsedRing + uint64_t{layout_.size} * kUsedElementSize);
  if (memory_.load<uint16_t>(event) != next_available_) {
    memory_.store<uint16_t>(event, next_available_);
  }
}

void Virtqueue::visit_state(StateVisitor& visitor) {
  visitor.field("size", layout_.size);
  visitor.field("descriptors", layout_.descriptors);
  visitor.field("available", layout_.available);
  visitor.field("used", layout_.used);
  visitor.field("ready", ready_);
  visitor.field("broken", broken_);
  visitor.field("next_available", next_available_);
  visitor.field("next_used", next_used_);
  visitor.field("signalled_used", signalled_used_);
  if (visitor.restoring() && ready_ && !layout_is_valid()) {
    reset();
    visitor.reject("ready");
  }
}

}  // namespace lockstep::devices::virtio
