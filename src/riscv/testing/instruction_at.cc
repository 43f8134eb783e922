#include "riscv/testing/instruction_at.h"

#include <cstring>

#include "riscv/csr_numbers.h"
#include "riscv/instruction.h"
#include "riscv/physical_memory.h"
#include "riscv/testing/page_tables.h"

namespace lockstep::riscv::testing {
namespace {

constexpr uint64_t kRamStart = 0x8000'0000;
constexpr unsigned kTopShift = kPageShift + 18;

template <typename T>
std::optional<T> load(ByteView ram, uint64_t address) {
  const uint64_t offset = address - kRamStart;
  if (offset > ram.size() || ram.size() - offset < sizeof(T)) return {};
  T value;
  std::memcpy(&value, ram.data() + offset, sizeof(T));
  return value;
}

// Sv39.
std::optional<uint64_t> walk(uint64_t address, uint64_t satp, ByteView ram) {
  if (satp >> kSatpModeShift == kSatpModeBare) return address;
  uint64_t table = (satp & kSatpPpnMask) << kPageShift;
  for (unsigned shift = kTopShift; shift >= kPageShift; shift -= 9) {
    const auto pte = load<uint64_t>(ram, table + (address >> shift & 511) * 8);
    if (!pte || (*pte & kPteValid) == 0) return {};
    table = *pte >> 10 << kPageShift;
    if ((*pte & (kPteRead | kPteWrite | kPteExecute)) != 0) {
      return table | (address & ((uint64_t{1} << shift) - 1));
    }
  }
  return {};
}

}  // namespace

std::optional<uint32_t> instruction_at(uint64_t pc, uint64_t satp, ByteView ram) {
  uint32_t bits = 0;
  for (unsigned half = 0; half < 2; ++half) {
    const std::optional<uint64_t> place = walk(pc + 2 * half, satp, ram);
    const auto found = place ? load<uint16_t>(ram, *place) : std::nullopt;
    if (!found) return {};
    bits |= static_cast<uint32_t>(*found) << 16 * half;
    if (is_compressed(bits)) break;
  }
  return bits;
}

}  // namespace lockstep::riscv::testing
