// Zba, Zbb, Zbs and Zicond.
#include "jit/block_compiler.h"

namespace lockstep::jit {

using riscv::Opcode;
using x64::at;

// andn, orn, xnor: the second operand inverted.
void BlockCompiler::negated_operand(Alu operation, bool invert_result) {
  if (in().rd == 0) return;
  read_into(Reg::kRax, in().rs2);
  if (!invert_result) a_->not_(Reg::kRax);
  alu_guest(operation, Reg::kRax, in().rs1);
  if (invert_result) a_->not_(Reg::kRax);
  finish(Reg::kRax);
}

void BlockCompiler::count_bits() {
  const HostFeatures& host = setup_.features;
  const Opcode opcode = in().opcode;
  const bool word = opcode == Opcode::kClzw || opcode == Opcode::kCtzw || opcode == Opcode::kCpopw;
  const bool leading = opcode == Opcode::kClz || opcode == Opcode::kClzw;
  const bool trailing = opcode == Opcode::kCtz || opcode == Opcode::kCtzw;
  if (!(leading ? host.lzcnt : trailing ? host.bmi1 : host.popcnt)) return step_by_interpreter();
  if (in().rd == 0) return;
  const Reg from = read(in().rs1, Reg::kRax);
  if (leading) word ? a_->lzcnt_l(Reg::kRax, from) : a_->lzcnt(Reg::kRax, from);
  if (trailing) word ? a_->tzcnt_l(Reg::kRax, from) : a_->tzcnt(Reg::kRax, from);
  if (!leading && !trailing) {
    word ? a_->popcnt_l(Reg::kRax, from) : a_->popcnt(Reg::kRax, from);
  }
  finish(Reg::kRax);
}

void BlockCompiler::min_max(Cond keep_first) {
  if (in().rd == 0) return;
  read_into(Reg::kRax, in().rs1);
  const Reg second = read(in().rs2, Reg::kRcx);
  a_->alu(Alu::kCmp, Reg::kRax, second);
  a_->cmov(x64::negated(keep_first), Reg::kRax, second);
  finish(Reg::kRax);
}

void BlockCompiler::add_shifted(unsigned amount, bool word_operand) {
  if (in().rd == 0) return;
  if (word_operand) {
    read_low_into(Reg::kRax, in().rs1);
  } else {
    read_into(Reg::kRax, in().rs1);
  }
  const Reg other = read(in().rs2, Reg::kRcx);
  const Reg to = target();
  a_->lea(to, at(other, Reg::kRax, amount));
  finish(to);
}

void BlockCompiler::single_bit(void (x64::Assembler::*operation)(Reg, Reg),
                               bool immediate_operand) {
  if (in().rd == 0) return;
  read_into(Reg::kRax, in().rs1);
  Reg bit = Reg::kRcx;
  if (immediate_operand) {
    a_->mov_imm(Reg::kRcx, static_cast<uint64_t>(in().immediate));
  } else {
    bit = read(in().rs2, Reg::kRcx);
  }
  (a_->*operation)(Reg::kRax, bit);
  if (operation == &x64::Assembler::bt) {
    a_->setcc(Cond::kBelow, Reg::kRax);
    a_->movzx_b(Reg::kRax, Reg::kRax);
  }
  finish(Reg::kRax);
}

void BlockCompiler::conditional_zero(Cond zero_when) {
  if (in().rd == 0) return;
  read_into(Reg::kRax, in().rs1);
  const Reg condition = read(in().rs2, Reg::kRcx);
  a_->zero(Reg::kRdx);
  a_->test(condition, condition);
  a_->cmov(zero_when, Reg::kRax, Reg::kRdx);
  finish(Reg::kRax);
}

bool BlockCompiler::compile_bits() {
  using x64::Assembler;
  switch (in().opcode) {
    case Opcode::kAddUw:
      add_shifted(0, true);
      return true;
    case Opcode::kSh1add:
      add_shifted(1, false);
      return true;
    case Opcode::kSh2add:
      add_shifted(2, false);
      return true;
    case Opcode::kSh3add:
      add_shifted(3, false);
      return true;
    case Opcode::kSh1addUw:
      add_shifted(1, true);
      return true;
    case Opcode::kSh2addUw:
      add_shifted(2, true);
      return true;
    case Opcode::kSh3addUw:
      add_shifted(3, true);
      return true;
    case Opcode::kSlliUw:
      if (in().rd == 0) return true;
      read_low_into(Reg::kRax, in().rs1);
      if (in().immediate != 0) {
        a_->shift_imm(Shift::kShl, Reg::kRax, static_cast<uint8_t>(in().immediate));
      }
      finish(Reg::kRax);
      return true;
    case Opcode::kAndn:
      negated_operand(Alu::kAnd, false);
      return true;
    case Opcode::kOrn:
      negated_operand(Alu::kOr, false);
      return true;
    case Opcode::kXnor:
      negated_operand(Alu::kXor, true);
      return true;
    case Opcode::kClz:
    case Opcode::kClzw:
    case Opcode::kCtz:
    case Opcode::kCtzw:
    case Opcode::kCpop:
    case Opcode::kCpopw:
      count_bits();
      return true;
    case Opcode::kMax:
      min_max(Cond::kNotLess);
      return true;
    case Opcode::kMaxu:
      min_max(Cond::kNotBelow);
      return true;
    case Opcode::kMin:
      min_max(Cond::kNotGreater);
      return true;
    case Opcode::kMinu:
      min_max(Cond::kNotAbove);
      return true;
    case Opcode::kSextB:
    case Opcode::kSextH:
    case Opcode::kZextH:
      if (in().rd == 0) return true;
      read_into(Reg::kRax, in().rs1);
      if (in().opcode == Opcode::kSextB) a_->movsx_b(Reg::kRax, Reg::kRax);
      if (in().opcode == Opcode::kSextH) a_->movsx_w(Reg::kRax, Reg::kRax);
      if (in().opcode == Opcode::kZextH) a_->movzx_w(Reg::kRax, Reg::kRax);
      finish(Reg::kRax);
      return true;
    case Opcode::kRol:
      shift(Shift::kRol, false);
      return true;
    case Opcode::kRolw:
      shift(Shift::kRol, true);
      return true;
    case Opcode::kRor:
      shift(Shift::kRor, false);
      return true;
    case Opcode::kRorw:
      shift(Shift::kRor, true);
      return true;
    case Opcode::kRori:
      shift_immediate(Shift::kRor, false);
      return true;
    case Opcode::kRoriw:
      shift_immediate(Shift::kRor, true);
      return true;
    case Opcode::kOrcB:
      if (in().rd == 0) return true;
      // Bytes that equal 0 become all ones, and the result is the inverse.
      a_->movq(Xmm::k0, read(in().rs1, Reg::kRax));
      a_->sse(0x66, 0xef, Xmm::k1, Xmm::k1);  // pxor
      a_->sse(0x66, 0x74, Xmm::k0, Xmm::k1);  // pcmpeqb
      a_->movq(Reg::kRax, Xmm::k0);
      a_->not_(Reg::kRax);
      finish(Reg::kRax);
      return true;
    case Opcode::kRev8:
      if (in().rd == 0) return true;
      read_into(Reg::kRax, in().rs1);
      a_->bswap(Reg::kRax);
      finish(Reg::kRax);
      return true;
    case Opcode::kBclr:
      single_bit(&Assembler::btr, false);
      return true;
    case Opcode::kBclri:
      single_bit(&Assembler::btr, true);
      return true;
    case Opcode::kBext:
      single_bit(&Assembler::bt, false);
      return true;
    case Opcode::kBexti:
      single_bit(&Assembler::bt, true);
      return true;
    case Opcode::kBinv:
      single_bit(&Assembler::btc, false);
      return true;
    case Opcode::kBinvi:
      single_bit(&Assembler::btc, true);
      return true;
    case Opcode::kBset:
      single_bit(&Assembler::bts, false);
      return true;
    case Opcode::kBseti:
      single_bit(&Assembler::bts, true);
      return true;
    case Opcode::kCzeroEqz:
      conditional_zero(Cond::kEqual);
      return true;
    case Opcode::kCzeroNez:
      conditional_zero(Cond::kNotEqual);
      return true;
    default:
      return false;
  }
}

}  // namespace lockstep::jit
