// The way back from an Instruction to its 32-bit word: for the generators of random programs.
//
// Owner: none (a pure function). Invariant: decode(encode(i)) has every field of i but `length`
// and `bits`.
#pragma once

#include <cstdint>

#include "riscv/instruction.h"

namespace lockstep::riscv {

// A field that the format does not have is ignored, as are `length` and `bits`. That the opcode is
// not kIllegal, a register is below 32 and the immediate fits its format is the caller's duty
// (CHECK).
uint32_t encode(const Instruction& instruction);

}  // namespace lockstep::riscv
