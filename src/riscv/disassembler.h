// The text of an instruction, for reports of differences and traces.
//
//   addi x10, x11, -4      ld x1, 8(x2)      beq x1, x0, pc + 16      fadd.s f1, f2, f3, rtz
//
// Registers are numbered; a compressed instruction prints as its expansion; aq and rl are not
// shown; an instruction that does not exist prints as "illegal 0x…".
//
// Owner: none (a pure function).
#pragma once

#include <string>

#include "riscv/instruction.h"

namespace lockstep::riscv {

std::string disassemble(const Instruction& instruction);

}  // namespace lockstep::riscv
