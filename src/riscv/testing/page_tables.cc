#include "riscv/testing/page_tables.h"

#include "base/check.h"
#include "riscv/csr_numbers.h"

namespace lockstep::riscv::testing {
namespace {

constexpr unsigned kTopLevel = 2;
constexpr unsigned kPpnShift = 10;
constexpr uint64_t kPpnMask = (uint64_t{1} << 44) - 1;
constexpr unsigned kIndexBits = 9;
constexpr uint64_t kPteSize = 8;

uint64_t index_at(uint64_t virtual_address, unsigned level) {
  return virtual_address >> (kPageShift + kIndexBits * level) & ((1u << kIndexBits) - 1);
}

GuestAddress target_of(uint64_t pte) {
  return GuestAddress((pte >> kPpnShift & kPpnMask) << kPageShift);
}

}  // namespace

uint64_t make_pte(GuestAddress target, uint64_t flags) {
  return target.value >> kPageShift << kPpnShift | flags;
}

uint64_t make_satp(GuestAddress root) {
  return kSatpModeSv39 << kSatpModeShift | root.value >> kPageShift;
}

void PageTables::map(uint64_t virtual_address, GuestAddress target, uint64_t flags,
                     unsigned level) {
  GuestAddress table = root_;
  for (unsigned at = kTopLevel; at > level; --at) {
    const GuestAddress place = table + index_at(virtual_address, at) * kPteSize;
    if ((memory_.load<uint64_t>(place) & kPteValid) == 0) {
      memory_.store(place, make_pte(next_page_, kPteValid));
      next_page_ += kPageSize;
    }
    table = target_of(memory_.load<uint64_t>(place));
  }
  memory_.store(table + index_at(virtual_address, level) * kPteSize, make_pte(target, flags));
}

GuestAddress PageTables::pte_place(uint64_t virtual_address, unsigned level) const {
  GuestAddress table = root_;
  for (unsigned at = kTopLevel; at > level; --at) {
    const auto pte = memory_.load<uint64_t>(table + index_at(virtual_address, at) * kPteSize);
    CHECK((pte & kPteValid) != 0);
    table = target_of(pte);
  }
  return table + index_at(virtual_address, level) * kPteSize;
}

}  // namespace lockstep::riscv::testing
