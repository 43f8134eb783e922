// Pairs: the second instruction overwrites the register of the first before anything can look at
// it, so that only the result is computed. Both are counted.
#include "jit/block_compiler.h"

namespace lockstep::jit {

using riscv::Instruction;
using riscv::Opcode;

void BlockCompiler::write_page_relative(int64_t offset) {
  const Reg to = target();
  a_->mov(to, state(offsetof(RuntimeState, page_va)));
  if (offset != 0) a_->alu_imm(Alu::kAdd, to, static_cast<int32_t>(offset));
  finish(to);
}

// lui or auipc, then addi, addiw or a jump by the same register.
bool BlockCompiler::compile_upper_pair(const Instruction& second) {
  const bool relative = in().opcode == Opcode::kAuipc;
  const int64_t upper = int64_t{in().immediate} + (relative ? here_->offset : 0);
  const int64_t value = upper + second.immediate;
  if (value != static_cast<int32_t>(value)) return false;
  switch (second.opcode) {
    case Opcode::kAddi:
      if (second.rd != in().rd) return false;
      if (relative) {
        write_page_relative(value);
      } else if (is_pinned(in().rd)) {
        a_->mov_imm(host_of(in().rd), static_cast<uint64_t>(value));
      } else {
        a_->mov_imm(x_place(in().rd), static_cast<int32_t>(value));
      }
      ++index_;
      return true;
    case Opcode::kAddiw:
      if (second.rd != in().rd || relative) return false;
      if (is_pinned(in().rd)) {
        a_->mov_imm(host_of(in().rd), static_cast<uint64_t>(value));
      } else {
        a_->mov_imm(x_place(in().rd), static_cast<int32_t>(value));
      }
      ++index_;
      return true;
    case Opcode::kJalr: {
      if (!relative) return false;
      if (second.rd != in().rd) write_page_relative(upper);
      ++index_;
      here_ = &run_->instructions[index_];
      write_link();
      ended_ = true;
      settle_steps();
      jump_relative(value & ~int64_t{1});
      return true;
    }
    default:
      return false;
  }
}

// slli by n, then srli by m: the low 64 - n bits, moved to where they belong.
bool BlockCompiler::compile_shift_pair(const Instruction& second) {
  if (second.opcode != Opcode::kSrli || second.rd != in().rd) return false;
  const int32_t left = in().immediate;
  const int32_t right = second.immediate;
  if (left < 32 || right > left) return false;
  const Reg to = target();
  if (left == 32) {
    read_low_into(to, in().rs1);
  } else if (left == 48) {
    const Reg from = read(in().rs1, Reg::kRax);
    a_->movzx_w(to, from);
  } else if (left == 56) {
    const Reg from = read(in().rs1, Reg::kRax);
    a_->movzx_b(to, from);
  } else {
    return false;
  }
  if (left != right) a_->shift_imm(Shift::kShl, to, static_cast<uint8_t>(left - right));
  finish(to);
  ++index_;
  return true;
}

bool BlockCompiler::compile_pair() {
  if (last() || in().rd == 0) return false;
  const PlacedInstruction& next = run_->instructions[index_ + 1];
  if (next.instruction.rs1 != in().rd || next.offset != here_->next_offset()) return false;
  switch (in().opcode) {
    case Opcode::kLui:
    case Opcode::kAuipc:
      return compile_upper_pair(next.instruction);
    case Opcode::kSlli:
      return compile_shift_pair(next.instruction);
    default:
      return false;
  }
}

}  // namespace lockstep::jit
