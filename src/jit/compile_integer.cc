// RV64I and M: computation in integer registers.
#include "jit/block_compiler.h"

namespace lockstep::jit {

using riscv::Opcode;
using x64::at;

void BlockCompiler::binary(Alu operation, bool commutative) {
  const unsigned rd = in().rd;
  if (rd == 0) return;
  const unsigned left = in().rs1;
  const unsigned right = in().rs2;
  if (is_pinned(rd) && rd == right && rd != left) {
    if (commutative) return alu_guest(operation, host_of(rd), left);
    read_into(Reg::kRax, left);
    a_->alu(operation, Reg::kRax, host_of(rd));
    return finish(Reg::kRax);
  }
  if (operation == Alu::kAdd && is_pinned(rd) && is_pinned(left) && is_pinned(right) &&
      rd != left) {
    return a_->lea(host_of(rd), at(host_of(left), host_of(right), 0));
  }
  const Reg to = target();
  read_into(to, left);
  if (right != 0 || operation == Alu::kAnd) alu_guest(operation, to, right);
  finish(to);
}

void BlockCompiler::binary_word(Alu operation) {
  if (in().rd == 0) return;
  if (operation == Alu::kAdd && is_pinned(in().rs1) && is_pinned(in().rs2)) {
    a_->lea_l(Reg::kRax, at(host_of(in().rs1), host_of(in().rs2), 0));
  } else {
    read_low_into(Reg::kRax, in().rs1);
    alu_guest_low(operation, Reg::kRax, in().rs2);
  }
  finish_word(Reg::kRax);
}

void BlockCompiler::add_immediate() {
  const unsigned rd = in().rd;
  const unsigned rs1 = in().rs1;
  if (rd == 0) return;
  const int32_t value = in().immediate;
  if (rs1 == 0) {
    if (is_pinned(rd)) {
      a_->mov_imm(host_of(rd), static_cast<uint64_t>(int64_t{value}));
    } else {
      a_->mov_imm(x_place(rd), value);
    }
    return;
  }
  if (rd == rs1) {
    if (value == 0) return;
    if (is_pinned(rd)) {
      a_->alu_imm(Alu::kAdd, host_of(rd), value);
    } else {
      a_->alu_imm(Alu::kAdd, x_place(rd), value);
    }
    return;
  }
  const Reg to = target();
  if (is_pinned(rs1) && value != 0) {
    a_->lea(to, at(host_of(rs1), value));
  } else {
    read_into(to, rs1);
    if (value != 0) a_->alu_imm(Alu::kAdd, to, value);
  }
  finish(to);
}

void BlockCompiler::add_immediate_word() {
  const unsigned rs1 = in().rs1;
  const int32_t value = in().immediate;
  if (value == 0) {  // sext.w
    const Reg to = target();
    if (is_pinned(rs1)) {
      a_->movsxd(to, host_of(rs1));
    } else {
      a_->movsxd(to, x_place(rs1));
    }
    return finish(to);
  }
  if (is_pinned(rs1)) {
    a_->lea_l(Reg::kRax, at(host_of(rs1), value));
  } else {
    a_->mov_l(Reg::kRax, x_place(rs1));
    a_->alu_l_imm(Alu::kAdd, Reg::kRax, value);
  }
  finish_word(Reg::kRax);
}

void BlockCompiler::immediate(Alu operation) {
  if (in().rd == 0) return;
  const Reg to = target();
  read_into(to, in().rs1);
  a_->alu_imm(operation, to, in().immediate);
  finish(to);
}

void BlockCompiler::set_if(Cond condition) {
  if (in().rd == 0) return;
  const Reg left = read(in().rs1, Reg::kRcx);
  a_->zero(Reg::kRax);
  alu_guest(Alu::kCmp, left, in().rs2);
  a_->setcc(condition, Reg::kRax);
  finish(Reg::kRax);
}

void BlockCompiler::set_if_immediate(Cond condition) {
  if (in().rd == 0) return;
  const Reg left = read(in().rs1, Reg::kRcx);
  a_->zero(Reg::kRax);
  a_->alu_imm(Alu::kCmp, left, in().immediate);
  a_->setcc(condition, Reg::kRax);
  finish(Reg::kRax);
}

void BlockCompiler::shift(Shift operation, bool word) {
  if (in().rd == 0) return;
  const bool rotates = operation == Shift::kRol || operation == Shift::kRor;
  if (setup_.features.bmi2 && !rotates) {
    const Reg count = read(in().rs2, Reg::kRcx);
    const Reg from = read(in().rs1, Reg::kRax);
    const Reg to = word ? Reg::kRax : target();
    if (operation == Shift::kShl) a_->shlx(!word, to, from, count);
    if (operation == Shift::kShr) a_->shrx(!word, to, from, count);
    if (operation == Shift::kSar) a_->sarx(!word, to, from, count);
    return word ? finish_word(to) : finish(to);
  }
  read_into(Reg::kRcx, in().rs2);
  read_into(Reg::kRax, in().rs1);
  if (word) {
    a_->shift_l_cl(operation, Reg::kRax);
    return finish_word(Reg::kRax);
  }
  a_->shift_cl(operation, Reg::kRax);
  finish(Reg::kRax);
}

void BlockCompiler::shift_immediate(Shift operation, bool word) {
  if (in().rd == 0) return;
  const auto count = static_cast<uint8_t>(in().immediate);
  if (word) {
    read_low_into(Reg::kRax, in().rs1);
    if (count != 0) a_->shift_l_imm(operation, Reg::kRax, count);
    return finish_word(Reg::kRax);
  }
  const Reg to = target();
  read_into(to, in().rs1);
  if (count != 0) a_->shift_imm(operation, to, count);
  finish(to);
}

bool BlockCompiler::compile_integer() {
  switch (in().opcode) {
    case Opcode::kLui:
      if (in().rd == 0) return true;
      if (is_pinned(in().rd)) {
        a_->mov_imm(host_of(in().rd), static_cast<uint64_t>(int64_t{in().immediate}));
      } else {
        a_->mov_imm(x_place(in().rd), in().immediate);
      }
      return true;
    case Opcode::kAuipc:
      if (in().rd == 0) return true;
      a_->mov(Reg::kRax, state(offsetof(RuntimeState, page_va)));
      a_->lea(Reg::kRax, at(Reg::kRax, static_cast<int32_t>(here_->offset)));
      if (in().immediate != 0) a_->alu_imm(Alu::kAdd, Reg::kRax, in().immediate);
      finish(Reg::kRax);
      return true;
    case Opcode::kAddi:
      add_immediate();
      return true;
    case Opcode::kXori:
      immediate(Alu::kXor);
      return true;
    case Opcode::kOri:
      immediate(Alu::kOr);
      return true;
    case Opcode::kAndi:
      immediate(Alu::kAnd);
      return true;
    case Opcode::kSlti:
      set_if_immediate(Cond::kLess);
      return true;
    case Opcode::kSltiu:
      set_if_immediate(Cond::kBelow);
      return true;
    case Opcode::kSlli:
      shift_immediate(Shift::kShl, false);
      return true;
    case Opcode::kSrli:
      shift_immediate(Shift::kShr, false);
      return true;
    case Opcode::kSrai:
      shift_immediate(Shift::kSar, false);
      return true;
    case Opcode::kAdd:
      binary(Alu::kAdd, true);
      return true;
    case Opcode::kSub:
      binary(Alu::kSub, false);
      return true;
    case Opcode::kXor:
      binary(Alu::kXor, true);
      return true;
    case Opcode::kOr:
      binary(Alu::kOr, true);
      return true;
    case Opcode::kAnd:
      binary(Alu::kAnd, true);
      return true;
    case Opcode::kSlt:
      set_if(Cond::kLess);
      return true;
    case Opcode::kSltu:
      set_if(Cond::kBelow);
      return true;
    case Opcode::kSll:
      shift(Shift::kShl, false);
      return true;
    case Opcode::kSrl:
      shift(Shift::kShr, false);
      return true;
    case Opcode::kSra:
      shift(Shift::kSar, false);
      return true;
    default:
      return false;
  }
}

bool BlockCompiler::compile_word() {
  switch (in().opcode) {
    case Opcode::kAddiw:
      if (in().rd == 0) return true;
      if (in().rs1 == 0) {
        add_immediate();
        return true;
      }
      add_immediate_word();
      return true;
    case Opcode::kSlliw:
      shift_immediate(Shift::kShl, true);
      return true;
    case Opcode::kSrliw:
      shift_immediate(Shift::kShr, true);
      return true;
    case Opcode::kSraiw:
      shift_immediate(Shift::kSar, true);
      return true;
    case Opcode::kAddw:
      binary_word(Alu::kAdd);
      return true;
    case Opcode::kSubw:
      binary_word(Alu::kSub);
      return true;
    case Opcode::kSllw:
      shift(Shift::kShl, true);
      return true;
    case Opcode::kSrlw:
      shift(Shift::kShr, true);
      return true;
    case Opcode::kSraw:
      shift(Shift::kSar, true);
      return true;
    default:
      return false;
  }
}

// mulhsu: the unsigned product, less the right operand where the left one is negative.
void BlockCompiler::multiply_high(bool left_signed, bool right_signed) {
  if (in().rd == 0) return;
  read_into(Reg::kRax, in().rs1);
  const Reg right = read(in().rs2, Reg::kRcx);
  if (left_signed && right_signed) {
    a_->imul_wide(right);
  } else {
    a_->mul_wide(right);
  }
  if (left_signed && !right_signed) {
    read_into(Reg::kRax, in().rs1);
    a_->shift_imm(Shift::kSar, Reg::kRax, 63);
    a_->alu(Alu::kAnd, Reg::kRax, right);
    a_->alu(Alu::kSub, Reg::kRdx, Reg::kRax);
  }
  finish(Reg::kRdx);
}

// Division never traps: a divisor of 0, and the most negative number by -1, have results of their
// own (unprivileged specification, "M").
void BlockCompiler::divide(bool is_signed, bool wants_remainder, bool word) {
  if (in().rd == 0) return;
  x64::Label by_zero;
  x64::Label by_minus_one;
  x64::Label done;
  if (word) {
    read_low_into(Reg::kRcx, in().rs2);
    read_low_into(Reg::kRax, in().rs1);
    a_->test_l(Reg::kRcx, Reg::kRcx);
  } else {
    read_into(Reg::kRcx, in().rs2);
    read_into(Reg::kRax, in().rs1);
    a_->test(Reg::kRcx, Reg::kRcx);
  }
  a_->jcc(Cond::kEqual, by_zero);
  if (is_signed) {
    if (word) {
      a_->alu_l_imm(Alu::kCmp, Reg::kRcx, -1);
    } else {
      a_->alu_imm(Alu::kCmp, Reg::kRcx, -1);
    }
    a_->jcc(Cond::kEqual, by_minus_one);
    if (word) {
      a_->cdq();
      a_->idiv_l(Reg::kRcx);
    } else {
      a_->cqo();
      a_->idiv(Reg::kRcx);
    }
  } else {
    a_->zero(Reg::kRdx);
    if (word) {
      a_->div_l(Reg::kRcx);
    } else {
      a_->div(Reg::kRcx);
    }
  }
  if (wants_remainder) a_->mov(Reg::kRax, Reg::kRdx);
  a_->jmp(done);
  if (is_signed) {
    a_->bind(by_minus_one);
    if (wants_remainder) {
      a_->zero(Reg::kRax);
    } else {
      a_->neg(Reg::kRax);
    }
    a_->jmp(done);
  }
  a_->bind(by_zero);
  if (!wants_remainder) a_->mov_imm(Reg::kRax, ~uint64_t{0});
  a_->bind(done);
  if (word) {
    finish_word(Reg::kRax);
  } else {
    finish(Reg::kRax);
  }
}

bool BlockCompiler::compile_multiply() {
  switch (in().opcode) {
    case Opcode::kMul: {
      if (in().rd == 0) return true;
      const Reg right = read(in().rs2, Reg::kRcx);
      read_into(Reg::kRax, in().rs1);
      a_->imul(Reg::kRax, right);
      finish(Reg::kRax);
      return true;
    }
    case Opcode::kMulw: {
      if (in().rd == 0) return true;
      const Reg right = read(in().rs2, Reg::kRcx);
      read_into(Reg::kRax, in().rs1);
      a_->imul_l(Reg::kRax, right);
      finish_word(Reg::kRax);
      return true;
    }
    case Opcode::kMulh:
      multiply_high(true, true);
      return true;
    case Opcode::kMulhu:
      multiply_high(false, false);
      return true;
    case Opcode::kMulhsu:
      multiply_high(true, false);
      return true;
    case Opcode::kDiv:
      divide(true, false, false);
      return true;
    case Opcode::kDivu:
      divide(false, false, false);
      return true;
    case Opcode::kRem:
      divide(true, true, false);
      return true;
    case Opcode::kRemu:
      divide(false, true, false);
      return true;
    case Opcode::kDivw:
      divide(true, false, true);
      return true;
    case Opcode::kDivuw:
      divide(false, false, true);
      return true;
    case Opcode::kRemw:
      divide(true, true, true);
      return true;
    case Opcode::kRemuw:
      divide(false, true, true);
      return true;
    default:
      return false;
  }
}

}  // namespace lockstep::jit
