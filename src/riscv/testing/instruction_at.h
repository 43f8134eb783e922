// What stands at an address of a guest, for reports: a look at its memory that changes nothing, as
// Mmu would, which guards the pages that it walks.
//
// Owner: none (a pure function).
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/types.h"

namespace lockstep::riscv::testing {

// Of RAM that starts at 0x80000000. Rights are not looked at. A compressed instruction is
// zero-extended.
std::optional<uint32_t> instruction_at(uint64_t pc, uint64_t satp, ByteView ram);

}  // namespace lockstep::riscv::testing
