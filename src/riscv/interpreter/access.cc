// Memory access off the fast path: TLB misses, guarded pages, devices, misaligned and split access.
#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include "riscv/interpreter/context.h"

namespace lockstep::riscv::interpreter {
namespace {

bool crosses_page(uint64_t address, unsigned size) {
  return (address & (kPageSize - 1)) + size > kPageSize;
}

}  // namespace

Context::Outcome Context::load(uint64_t pc, uint64_t address, unsigned size, uint64_t& value) {
  if (crosses_page(address, size)) return load_split(pc, address, size, value);
  const Translation found = mmu.fill_data(address, Access::kLoad);
  if (found.fault) {
    trap(pc, *found.fault, address);
    return Outcome::kTrapped;
  }
  value = 0;
  if (memory.contains(found.address, size)) {
    std::memcpy(&value, memory.host(found.address), size);
    return Outcome::kDone;
  }
  sync_step();
  if ((address & (size - 1)) == 0 && bus.read(found.address, size, value)) return Outcome::kLeave;
  trap(pc, Cause::kLoadAccess, address);
  return Outcome::kTrapped;
}

Context::Outcome Context::load_split(uint64_t pc, uint64_t address, unsigned size,
                                     uint64_t& value) {
  const uint64_t second_page = (address + size) & ~(kPageSize - 1);
  const auto first_size = static_cast<unsigned>(second_page - address);
  const std::array<std::pair<uint64_t, unsigned>, 2> parts = {
      {{address, first_size}, {second_page, size - first_size}}};
  std::array<GuestAddress, 2> places;
  for (size_t i = 0; i < parts.size(); ++i) {
    const Translation found = mmu.translate(parts[i].first, Access::kLoad);
    if (found.fault || !memory.contains(found.address, parts[i].second)) {
      trap(pc, found.fault.value_or(Cause::kLoadAccess), parts[i].first);
      return Outcome::kTrapped;
    }
    places[i] = found.address;
  }
  value = 0;
  const std::span<std::byte> bytes = std::as_writable_bytes(std::span(&value, 1));
  std::memcpy(bytes.data(), memory.host(places[0]), first_size);
  std::memcpy(bytes.data() + first_size, memory.host(places[1]), size - first_size);
  return Outcome::kDone;
}

Context::Outcome Context::store(uint64_t pc, uint64_t address, unsigned size, uint64_t value) {
  if (crosses_page(address, size)) return store_split(pc, address, size, value);
  const Translation found = mmu.fill_data(address, Access::kStore);
  if (found.fault) {
    trap(pc, *found.fault, address);
    return Outcome::kTrapped;
  }
  if (memory.contains(found.address, size)) {
    if (std::byte* place = memory.write_pointer(found.address); place != nullptr) {
      std::memcpy(place, &value, size);
      return Outcome::kDone;
    }
    memory.write(found.address, std::as_bytes(std::span(&value, 1)).first(size));
    return Outcome::kChanged;
  }
  sync_step();
  if ((address & (size - 1)) == 0 && bus.write(found.address, size, value)) return Outcome::kLeave;
  trap(pc, Cause::kStoreAccess, address);
  return Outcome::kTrapped;
}

Context::Outcome Context::store_split(uint64_t pc, uint64_t address, unsigned size,
                                      uint64_t value) {
  const uint64_t second_page = (address + size) & ~(kPageSize - 1);
  const auto first_size = static_cast<unsigned>(second_page - address);
  const Translation first = mmu.translate(address, Access::kStore);
  const Translation second = mmu.translate(second_page, Access::kStore);
  // Both pages are translated before either is written.
  if (first.fault || !memory.contains(first.address, first_size)) {
    trap(pc, first.fault.value_or(Cause::kStoreAccess), address);
    return Outcome::kTrapped;
  }
  if (second.fault || !memory.contains(second.address, size - first_size)) {
    trap(pc, second.fault.value_or(Cause::kStoreAccess), second_page);
    return Outcome::kTrapped;
  }
  const ByteView bytes = std::as_bytes(std::span(&value, 1)).first(size);
  memory.write(first.address, bytes.first(first_size));
  memory.write(second.address, bytes.subspan(first_size));
  return Outcome::kChanged;
}

Context::Outcome Context::zero_block(uint64_t pc, uint64_t address) {
  static constexpr std::array<std::byte, kCacheBlockSize> kZeroes{};
  const Translation found = mmu.fill_data(address, Access::kStore);
  const GuestAddress block(found.address.value & ~(kCacheBlockSize - 1));
  if (found.fault || !memory.contains(block, kCacheBlockSize)) {
    // What the specification has reported is rs1 itself, not the block ("CMO", "Traps").
    trap(pc, found.fault.value_or(Cause::kStoreAccess), address);
    return Outcome::kTrapped;
  }
  if (std::byte* place = memory.write_pointer(block); place != nullptr) {
    std::memset(place, 0, kCacheBlockSize);
    return Outcome::kDone;
  }
  memory.write(block, kZeroes);
  return Outcome::kChanged;
}

bool Context::locate(uint64_t pc, uint64_t address, unsigned size, Access access,
                     GuestAddress& place) {
  const bool loads = access == Access::kLoad;
  if ((address & (size - 1)) != 0) {
    trap(pc, loads ? Cause::kLoadMisaligned : Cause::kStoreMisaligned, address);
    return false;
  }
  const Translation found = mmu.fill_data(address, access);
  if (found.fault || !memory.contains(found.address, size)) {
    const Cause no_memory = loads ? Cause::kLoadAccess : Cause::kStoreAccess;
    trap(pc, found.fault.value_or(no_memory), address);
    return false;
  }
  place = found.address;
  return true;
}

}  // namespace lockstep::riscv::interpreter
