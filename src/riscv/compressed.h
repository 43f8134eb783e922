// The decoder of 16-bit instructions; riscv/instruction.h says what it gives.
//
// Owner: none (a pure function). Source: the RISC-V unprivileged specification, "C" extension,
// tables "RVC opcode map" and "Instruction listing for RVC, Quadrant 0/1/2", columns of RV64.
#pragma once

#include <cstdint>

#include "riscv/instruction.h"

namespace lockstep::riscv {

// `bits` is compressed: its low two bits are not 11.
Instruction decode_compressed(uint16_t bits);

}  // namespace lockstep::riscv
