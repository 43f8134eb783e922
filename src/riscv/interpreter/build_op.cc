// From a decoded instruction to the Op that executes it.
#include "base/check.h"
#include "riscv/interpreter/context.h"

namespace lockstep::riscv::interpreter {
namespace {

bool is_direct_jump(Opcode opcode) {
  return is_branch(opcode) || opcode == Opcode::kJal;
}

Handlers find_handlers(Opcode opcode, bool inside_page) {
  for (const Handlers& found :
       {integer_handlers(opcode), bits_handlers(opcode), jump_handlers(opcode, inside_page),
        memory_handlers(opcode), atomic_handlers(opcode), float_handlers(opcode),
        system_handlers(opcode)}) {
    if (found.of[1] != nullptr) return found;
  }
  return {};
}

// One look-up per opcode, and a second table for jumps that stay in their page.
struct HandlerTable {
  Handlers outside[kOpcodes];
  Handlers inside[kOpcodes];

  HandlerTable() {
    for (size_t i = 0; i < kOpcodes; ++i) {
      const auto opcode = static_cast<Opcode>(i);
      outside[i] = find_handlers(opcode, false);
      inside[i] = find_handlers(opcode, true);
      CHECK(outside[i].of[1] != nullptr && inside[i].of[1] != nullptr);
    }
  }
};

}  // namespace

void build_op(Op& op, const Instruction& instruction, uint64_t offset, bool may_stay_in_page) {
  static const HandlerTable table;
  const uint64_t target =
      offset + static_cast<uint64_t>(static_cast<int64_t>(instruction.immediate));
  const bool inside = may_stay_in_page && is_direct_jump(instruction.opcode) && target < kPageSize;
  const auto index = static_cast<size_t>(instruction.opcode);
  const Handlers& handlers = inside ? table.inside[index] : table.outside[index];
  const bool float_rd = writes_float_register(instruction_row(instruction.opcode).format);

  op.run = handlers.of[instruction.length == 2 ? 0 : 1];
  CHECK(op.run != nullptr);
  op.immediate = inside ? instruction.immediate / 2 : instruction.immediate;
  op.rd = instruction.rd == 0 && !float_rd ? kSinkRegister : instruction.rd;
  op.rs1 = instruction.rs1;
  op.rs2 = instruction.rs2;
  op.extra = static_cast<uint8_t>(instruction.rounding_mode | instruction.rs3 << 3);
}

}  // namespace lockstep::riscv::interpreter
