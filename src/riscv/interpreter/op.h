// A predecoded instruction, and the contract of the function that executes it.
//
// A code page holds one Op for each halfword of a page of guest code. Op i describes the
// instruction that would start there, whether or not one ever does; it decodes itself when it first
// runs. So code needs no blocks and no links: the next Op is found by adding to a pointer, and a
// store to code makes just the Ops that it touches decode again.
//
// A handler executes exactly one step: the instruction retires, or a trap is taken. It returns the
// Op of the next instruction, or nullptr when something must be looked at first; then hart.pc is
// set.
//
// Owner: the vCPU thread.
#pragma once

#include <cstdint>

#include "riscv/instruction.h"
#include "riscv/physical_memory.h"

namespace lockstep::riscv::interpreter {

struct Context;
struct Op;

// `x` is hart.x, passed along in a register.
using Handler = const Op* (*)(Context& context, const Op* op, uint64_t* x);

struct Op {
  Handler run;
  int32_t immediate;  // of a jump inside the page: in Ops
  uint8_t rd;         // kSinkRegister for register 0, except for f registers
  uint8_t rs1;
  uint8_t rs2;
  uint8_t extra;  // rounding mode, and rs3 << 3
};
static_assert(sizeof(Op) == 16);

inline constexpr size_t kOpsPerPage = kPageSize / 2;

// The handler of an instruction, by length in Ops (1 or 2); nullptr when the group has none.
using HandlerPair = Handler[2];
struct Handlers {
  HandlerPair of{};
};
Handlers integer_handlers(Opcode opcode);
Handlers bits_handlers(Opcode opcode);
Handlers jump_handlers(Opcode opcode, bool inside_page);
Handlers memory_handlers(Opcode opcode);
Handlers atomic_handlers(Opcode opcode);
Handlers float_handlers(Opcode opcode);
Handlers system_handlers(Opcode opcode);

}  // namespace lockstep::riscv::interpreter
