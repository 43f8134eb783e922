// Random guests for AuditGuest. Deterministic from the seed. Owner: the test.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/types.h"
#include "riscv/isa.h"

namespace lockstep::riscv::testing {

inline constexpr GuestAddress kAuditRam{0x8000'0000};
inline constexpr uint64_t kAuditPages = 256;
inline constexpr GuestAddress kAuditDevice{0x1000'0000};

// What an access to the device does beside giving a value, by bits 9 to 7 of the offset.
enum class DeviceEffect : uint8_t {
  kNone,
  kNoneEither,
  kRaiseLine,  // the external interrupt
  kLowerLine,
  kStop,  // ends the run behind the access
  kCopy,  // copies bytes of RAM over other bytes of RAM, as DMA does
  kTimer,
  kAbsent,  // an access fault
};
inline constexpr unsigned kDeviceEffectShift = 7;
inline constexpr uint64_t kDeviceEffects = 8;

// Pages of RAM that hold one kind of thing, so that copies among them keep a guest going.
struct PageRange {
  uint64_t first_page = 0;
  uint64_t pages = 0;
  uint64_t unit = 1;  // copies are multiples of it, and start at one
};

// What a guest runs: entered at the start of RAM in S-mode, without translation.
struct AuditProgram {
  Bytes image;
  std::vector<PageRange> writable;  // what inputs may overwrite
  IsaExtensions isa = kAllExtensions;
};

// Straight-line code of random instructions (random_program.h): each runs a few times.
AuditProgram cold_program(uint64_t seed);

// Loops, calls and tables of jumps that run many times, while they change: code that patches
// itself (with and without fence.i, from its own page and through an alias), page tables that
// remap code and data to other pages, and address spaces that are switched, in the same loops as
// every instruction of the table, devices, traps, waiting, and clocks.
AuditProgram hot_program(uint64_t seed);

}  // namespace lockstep::riscv::testing
