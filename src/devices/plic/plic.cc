#include "devices/plic/plic.h"

#include <bit>

#include "base/check.h"

namespace lockstep::devices {
namespace {

// The memory map, §3.
constexpr uint64_t kPriorityBase = 0x0;
constexpr uint64_t kPendingBase = 0x1000;
constexpr uint64_t kPendingEnd = 0x1080;
constexpr uint64_t kEnableBase = 0x2000;
constexpr uint64_t kEnableStride = 0x80;
constexpr uint64_t kEnableEnd = 0x1f2000;
constexpr uint64_t kContextBase = 0x200000;
constexpr uint64_t kContextStride = 0x1000;
constexpr uint64_t kThresholdOffset = 0;
constexpr uint64_t kClaimOffset = 4;

constexpr uint32_t bit_of(uint32_t source) {
  return uint32_t{1} << (source % 32);
}

template <typename Set>
bool has(const Set& set, uint32_t source) {
  return (set[source / 32] & bit_of(source)) != 0;
}

template <typename Set>
void assign(Set& set, uint32_t source, bool value) {
  uint32_t& word = set[source / 32];
  word = value ? word | bit_of(source) : word & ~bit_of(source);
}

}  // namespace

Plic::Plic(uint32_t source_count, std::vector<InterruptLine*> context_lines)
    : priority_(source_count + 1, 0), contexts_(context_lines.size()) {
  CHECK(source_count <= kMaxSources);
  CHECK(context_lines.size() <= kMaxContexts);
  lines_.reserve(source_count);
  for (uint32_t number = 1; number <= source_count; ++number) lines_.emplace_back(*this, number);
  for (size_t i = 0; i < contexts_.size(); ++i) contexts_[i].line = context_lines[i];
}

InterruptLine& Plic::source(uint32_t number) {
  CHECK(exists(number));
  return lines_[number - 1];
}

void Plic::reset() {
  for (uint32_t& priority : priority_) priority = 0;
  level_ = {};
  pending_ = {};
  claimed_ = {};
  for (Context& context : contexts_) {
    context.threshold = 0;
    context.enabled = {};
  }
  update_lines();
}

void Plic::set_level(uint32_t source, bool asserted) {
  if (has(level_, source) == asserted) return;
  assign(level_, source, asserted);
  // A request that the gateway has forwarded stays, even when the wire falls (§5).
  if (!asserted || has(claimed_, source) || has(pending_, source)) return;
  assign(pending_, source, true);
  update_lines();
}

uint32_t Plic::eligible_source(const Context& context, uint32_t threshold) const {
  uint32_t best = 0;
  uint32_t best_priority = threshold;
  const auto words = static_cast<uint32_t>((priority_.size() + 31) / 32);
  for (uint32_t word = 0; word < words; ++word) {
    uint32_t candidates = pending_[word] & context.enabled[word];
    while (candidates != 0) {
      const uint32_t source = word * 32 + static_cast<uint32_t>(std::countr_zero(candidates));
      candidates &= candidates - 1;
      // Equal priorities: the lowest number wins (§4).
      if (priority_[source] > best_priority) {
        best = source;
        best_priority = priority_[source];
      }
    }
  }
  return best;
}

uint32_t Plic::claim(Context& context) {
  // A claim is not affected by the threshold (§8); a source of priority 0 never interrupts.
  const uint32_t source = eligible_source(context, 0);
  if (source == 0) return 0;
  assign(pending_, source, false);
  assign(claimed_, source, true);
  update_lines();
  return source;
}

void Plic::complete(const Context& context, uint32_t source) {
  // A number that is not enabled for the context is ignored (§9).
  if (!exists(source) || !has(context.enabled, source) || !has(claimed_, source)) return;
  assign(claimed_, source, false);
  if (has(level_, source)) assign(pending_, source, true);
  update_lines();
}

void Plic::update_lines() {
  for (const Context& context : contexts_) {
    if (context.line == nullptr) continue;
    context.line->set(eligible_source(context, context.threshold) != 0);
  }
}

uint32_t Plic::implemented_mask(uint32_t word) const {
  uint32_t mask = 0;
  for (uint32_t bit = 0; bit < 32; ++bit) {
    if (exists(word * 32 + bit)) mask |= uint32_t{1} << bit;
  }
  return mask;
}

uint64_t Plic::read(uint64_t offset, AccessSize size) {
  if (size != AccessSize::k4 || offset % 4 != 0) return 0;
  return read_register(offset);
}

void Plic::write(uint64_t offset, AccessSize size, uint64_t value) {
  if (size != AccessSize::k4 || offset % 4 != 0) return;
  write_register(offset, static_cast<uint32_t>(value));
}

uint32_t Plic::read_register(uint64_t offset) {
  if (offset < kPendingBase) {
    const uint64_t source = (offset - kPriorityBase) / 4;
    return source < priority_.size() ? priority_[source] : 0;
  }
  if (offset < kPendingEnd) return pending_[(offset - kPendingBase) / 4];
  if (offset >= kEnableBase && offset < kEnableEnd) {
    const uint64_t index = (offset - kEnableBase) / kEnableStride;
    if (index >= contexts_.size()) return 0;
    return contexts_[index].enabled[((offset - kEnableBase) % kEnableStride) / 4];
  }
  if (offset < kContextBase) return 0;
  const uint64_t index = (offset - kContextBase) / kContextStride;
  if (index >= contexts_.size()) return 0;
  switch ((offset - kContextBase) % kContextStride) {
    case kThresholdOffset:
      return contexts_[index].threshold;
    case kClaimOffset:
      return claim(contexts_[index]);
    default:
      return 0;
  }
}

void Plic::write_register(uint64_t offset, uint32_t value) {
  if (offset < kPendingBase) {
    const uint64_t source = (offset - kPriorityBase) / 4;
    if (source != 0 && source < priority_.size()) priority_[source] = value & kMaxPriority;
  } else if (offset >= kEnableBase && offset < kEnableEnd) {
    const uint64_t index = (offset - kEnableBase) / kEnableStride;
    if (index >= contexts_.size()) return;
    const auto word = static_cast<uint32_t>(((offset - kEnableBase) % kEnableStride) / 4);
    contexts_[index].enabled[word] = value & implemented_mask(word);
  } else if (offset >= kContextBase) {
    const uint64_t index = (offset - kContextBase) / kContextStride;
    if (index >= contexts_.size()) return;
    switch ((offset - kContextBase) % kContextStride) {
      case kThresholdOffset:
        contexts_[index].threshold = value & kMaxPriority;
        break;
      case kClaimOffset:
        return complete(contexts_[index], value);
      default:
        return;
    }
  } else {
    return;  // pending bits are read-only
  }
  update_lines();
}

void Plic::visit_state(StateVisitor& visitor) {
  visitor.enter("plic", 0);
  bool possible = true;
  for (uint32_t& priority : priority_) {
    visitor.field("priority", priority);
    possible = possible && priority <= kMaxPriority;
  }
  visitor.raw("level", std::as_writable_bytes(std::span(level_)));
  visitor.raw("pending", std::as_writable_bytes(std::span(pending_)));
  visitor.raw("claimed", std::as_writable_bytes(std::span(claimed_)));
  for (uint32_t i = 0; i < contexts_.size(); ++i) {
    visitor.enter("context", i);
    visitor.field("threshold", contexts_[i].threshold);
    visitor.raw("enabled", std::as_writable_bytes(std::span(contexts_[i].enabled)));
    possible = possible && contexts_[i].threshold <= kMaxPriority;
    visitor.leave();
  }
  if (visitor.restoring()) {
    for (uint32_t word = 0; word < kWords; ++word) {
      const uint32_t mask = implemented_mask(word);
      uint32_t stray = (level_[word] | pending_[word] | claimed_[word]) & ~mask;
      for (const Context& context : contexts_) stray |= context.enabled[word] & ~mask;
      possible = possible && stray == 0;
    }
    if (!possible) {
      reset();
      visitor.reject("pending");
    }
    update_lines();
  }
  visitor.leave();
}

}  // namespace lockstep::devices
