// F and D by the host's SSE2 and FMA3, where those give what RISC-V asks for; the rest is left to
// the interpreter's softfloat.
//
// What differs, and how it is settled:
//   NaN results    RISC-V has one NaN: a result that is not equal to itself is replaced. fma may
//                  also raise other flags then, so that it is done again by softfloat.
//   Singles        An operand that is not NaN-boxed goes to softfloat, as NaN.
//   Rounding       MXCSR has the guest's dynamic mode (RuntimeState::fp_ready); a static mode runs
//                  inline only while it is the dynamic one, or where it says to truncate.
//   Conversions    x86 gives one value for all that does not fit: softfloat decides.
// Flags gather in MXCSR, whose tininess is judged after rounding, as RISC-V's is.
//
// Source: unprivileged specification, "F" and "D"; Intel 64 SDM, volume 1, 11.5 and 14.5.
#include "jit/block_compiler.h"

namespace lockstep::jit {

using riscv::Opcode;
using riscv::RoundingMode;

namespace {

constexpr uint64_t kBox = ~uint64_t{0} << 32;
constexpr uint8_t kScalarSingle = 0xf3;
constexpr uint8_t kScalarDouble = 0xf2;
constexpr uint8_t prefix_of(bool wide) {
  return wide ? kScalarDouble : kScalarSingle;
}
constexpr x64::Mem upper_half(unsigned f) {
  x64::Mem place = f_place(f);
  place.displacement += 4;
  return place;
}

}  // namespace

void BlockCompiler::float_step() {
  a_->mov_imm(Reg::kRcx, site());
  a_->call_to(setup_.routines.float_step);
}

// Behind it, and until FS or frm is written, floating point may run inline.
void BlockCompiler::require_float() {
  if (float_checked_) return;
  float_checked_ = true;
  ColdExit& exit = cold_exit(ColdExit::To::kStep, here_->offset, steps_before());
  a_->alu_l_imm(Alu::kCmp, state(offsetof(RuntimeState, fp_ready)), 0);
  a_->jcc(Cond::kEqual, exit.label);
}

// Whether MXCSR has the instruction's rounding mode, as far as that is known when translating;
// emits the check for what is known when running.
bool BlockCompiler::rounding_settled() {
  const uint8_t mode = in().rounding_mode;
  if (static_cast<RoundingMode>(mode) == RoundingMode::kDynamic) return true;
  if (mode > static_cast<uint8_t>(RoundingMode::kUp)) return false;
  if (checked_mode_ == mode) return true;
  checked_mode_ = mode;
  ColdExit& exit = cold_exit(ColdExit::To::kStep, here_->offset, steps_before());
  a_->cmp_b_imm(hart_field(offsetof(riscv::Hart, frm)), mode);
  a_->jcc(Cond::kNotEqual, exit.label);
  return true;
}

void BlockCompiler::require_boxed(unsigned f, ColdStep& otherwise) {
  a_->alu_l_imm(Alu::kCmp, upper_half(f), -1);
  a_->jcc(Cond::kNotEqual, otherwise.label);
}

void BlockCompiler::finish_float(Xmm from, bool wide) {
  if (wide) {
    a_->movsd(f_place(in().rd), from);
  } else {
    a_->movd(Reg::kRax, from);
    a_->mov_imm(Reg::kRcx, kBox);
    a_->alu(Alu::kOr, Reg::kRax, Reg::kRcx);
    a_->mov(f_place(in().rd), Reg::kRax);
  }
}

void BlockCompiler::finish_checked(Xmm from, bool wide) {
  ColdNan& nan = nans_.emplace_back(ColdNan{{}, {}, in().rd, wide});
  a_->sse(wide ? 0x66 : 0, 0x2e, from, from);  // ucomis: no flags for a quiet NaN
  a_->jcc(Cond::kParity, nan.label);
  finish_float(from, wide);
  a_->bind(nan.resume);
}

void BlockCompiler::float_binary(uint8_t opcode, bool wide) {
  if (wide) {
    a_->movsd(Xmm::k0, f_place(in().rs1));
    a_->sse(kScalarDouble, opcode, Xmm::k0, f_place(in().rs2));
    return finish_checked(Xmm::k0, true);
  }
  ColdStep& cold = cold_step(setup_.routines.float_step);
  require_boxed(in().rs1, cold);
  if (in().rs2 != in().rs1) require_boxed(in().rs2, cold);
  a_->movss(Xmm::k0, f_place(in().rs1));
  a_->sse(kScalarSingle, opcode, Xmm::k0, f_place(in().rs2));
  finish_checked(Xmm::k0, false);
  a_->bind(cold.resume);
}

void BlockCompiler::float_square_root(bool wide) {
  constexpr uint8_t kSqrt = 0x51;
  if (wide) {
    a_->sse(kScalarDouble, kSqrt, Xmm::k0, f_place(in().rs1));
    return finish_checked(Xmm::k0, true);
  }
  ColdStep& cold = cold_step(setup_.routines.float_step);
  require_boxed(in().rs1, cold);
  a_->sse(kScalarSingle, kSqrt, Xmm::k0, f_place(in().rs1));
  finish_checked(Xmm::k0, false);
  a_->bind(cold.resume);
}

// `opcode`: of the 213 form, VFMADD, VFMSUB, VFNMADD or VFNMSUB.
void BlockCompiler::float_fused(uint8_t opcode, bool wide) {
  if (!setup_.features.fma) return float_step();
  ColdStep& cold = cold_step(setup_.routines.float_step);
  if (wide) {
    a_->movsd(Xmm::k0, f_place(in().rs1));
    a_->movsd(Xmm::k1, f_place(in().rs2));
    a_->movsd(Xmm::k2, f_place(in().rs3));
  } else {
    for (const uint8_t f : {in().rs1, in().rs2, in().rs3}) require_boxed(f, cold);
    a_->movss(Xmm::k0, f_place(in().rs1));
    a_->movss(Xmm::k1, f_place(in().rs2));
    a_->movss(Xmm::k2, f_place(in().rs3));
  }
  a_->vex_fused(opcode, wide, Xmm::k0, Xmm::k1, Xmm::k2);
  a_->sse(wide ? 0x66 : 0, 0x2e, Xmm::k0, Xmm::k0);
  a_->jcc(Cond::kParity, cold.label);
  finish_float(Xmm::k0, wide);
  a_->bind(cold.resume);
}

// flt and fle signal for every NaN (comis), feq for signalling ones only (ucomis).
void BlockCompiler::float_compare(bool wide) {
  constexpr uint8_t kUcomis = 0x2e;
  constexpr uint8_t kComis = 0x2f;
  ColdStep* cold = nullptr;
  if (!wide) {
    cold = &cold_step(setup_.routines.float_step);
    require_boxed(in().rs1, *cold);
    require_boxed(in().rs2, *cold);
  }
  const bool equal = in().opcode == Opcode::kFeqD || in().opcode == Opcode::kFeqS;
  const bool less = in().opcode == Opcode::kFltD || in().opcode == Opcode::kFltS;
  // b ? a: "above" is a < b and false when unordered.
  const uint8_t left = equal ? in().rs1 : in().rs2;
  const uint8_t right = equal ? in().rs2 : in().rs1;
  if (wide) {
    a_->movsd(Xmm::k0, f_place(left));
  } else {
    a_->movss(Xmm::k0, f_place(left));
  }
  a_->zero(Reg::kRax);
  a_->sse(wide ? 0x66 : 0, equal ? kUcomis : kComis, Xmm::k0, f_place(right));
  if (equal) {
    a_->mov_imm(Reg::kRcx, 0);
    a_->setcc(Cond::kEqual, Reg::kRax);
    a_->cmov(Cond::kParity, Reg::kRax, Reg::kRcx);
  } else {
    a_->setcc(less ? Cond::kAbove : Cond::kNotBelow, Reg::kRax);
  }
  finish(Reg::kRax);
  if (cold != nullptr) a_->bind(cold->resume);
}

void BlockCompiler::float_sign(bool wide) {
  const unsigned sign = wide ? 63 : 31;
  ColdStep* cold = nullptr;
  if (!wide) {
    cold = &cold_step(setup_.routines.float_step);
    require_boxed(in().rs1, *cold);
    require_boxed(in().rs2, *cold);
  }
  const bool negated = in().opcode == Opcode::kFsgnjnD || in().opcode == Opcode::kFsgnjnS;
  const bool combined = in().opcode == Opcode::kFsgnjxD || in().opcode == Opcode::kFsgnjxS;
  a_->mov(Reg::kRax, f_place(in().rs1));
  if (in().rs1 == in().rs2) {
    a_->mov_imm(Reg::kRcx, sign);
    if (negated) a_->btc(Reg::kRax, Reg::kRcx);
    if (combined) a_->btr(Reg::kRax, Reg::kRcx);
  } else {
    // rdx: the sign bit that the result takes from the second operand.
    a_->mov(Reg::kRdx, f_place(in().rs2));
    if (negated) a_->not_(Reg::kRdx);
    a_->mov_imm(Reg::kRcx, uint64_t{1} << sign);
    a_->alu(Alu::kAnd, Reg::kRdx, Reg::kRcx);
    if (!combined) {
      a_->mov_imm(Reg::kRcx, sign);
      a_->btr(Reg::kRax, Reg::kRcx);
    }
    a_->alu(Alu::kXor, Reg::kRax, Reg::kRdx);
  }
  a_->mov(f_place(in().rd), Reg::kRax);
  if (cold != nullptr) a_->bind(cold->resume);
}

// Signed ones only: x86 has no others, and what does not fit goes to softfloat.
void BlockCompiler::float_to_integer(bool wide_float, bool wide_integer) {
  const bool truncate = static_cast<RoundingMode>(in().rounding_mode) == RoundingMode::kTowardZero;
  if (!truncate && !rounding_settled()) return float_step();
  ColdStep& cold = cold_step(setup_.routines.float_step);
  if (wide_float) {
    a_->movsd(Xmm::k0, f_place(in().rs1));
  } else {
    require_boxed(in().rs1, cold);
    a_->movss(Xmm::k0, f_place(in().rs1));
  }
  a_->cvt_to_integer(prefix_of(wide_float), wide_integer, truncate, Reg::kRax, Xmm::k0);
  if (wide_integer) {
    a_->mov_imm(Reg::kRcx, uint64_t{1} << 63);
    a_->alu(Alu::kCmp, Reg::kRax, Reg::kRcx);
    a_->jcc(Cond::kEqual, cold.label);
    finish(Reg::kRax);
  } else {
    a_->alu_l_imm(Alu::kCmp, Reg::kRax, INT32_MIN);
    a_->jcc(Cond::kEqual, cold.label);
    finish_word(Reg::kRax);
  }
  a_->bind(cold.resume);
}

void BlockCompiler::float_from_integer(bool wide_float, bool wide_integer, bool is_unsigned) {
  const bool exact = wide_float && !wide_integer;
  const bool reserved = in().rounding_mode == 5 || in().rounding_mode == 6;
  if (reserved || (!exact && !rounding_settled())) return float_step();
  ColdStep* cold = nullptr;
  bool wide_operand = wide_integer;
  if (wide_integer || !is_unsigned) {
    read_into(Reg::kRax, in().rs1);
  } else {
    read_low_into(Reg::kRax, in().rs1);  // zero-extended: fits a signed 64-bit number
    wide_operand = true;
  }
  if (wide_integer && is_unsigned) {
    cold = &cold_step(setup_.routines.float_step);
    a_->test(Reg::kRax, Reg::kRax);
    a_->jcc(Cond::kSign, cold->label);
  }
  a_->sse(0, 0x57, Xmm::k0, Xmm::k0);  // xorps: no dependency on what stood there
  a_->cvt_from_integer(prefix_of(wide_float), wide_operand, Xmm::k0, Reg::kRax);
  finish_float(Xmm::k0, wide_float);
  if (cold != nullptr) a_->bind(cold->resume);
}

bool BlockCompiler::compile_float_memory() {
  const auto load = [this](LoadKind kind, bool wide) {
    ColdAccess& cold = cold_access(ColdAccess::Data::kToFloat,
                                   setup_.routines.load[static_cast<size_t>(kind)], in().rd);
    const Mem from = place_of_access(false, wide ? 8 : 4, cold);
    if (wide) {
      a_->mov(Reg::kRax, from);
    } else {
      a_->mov_l(Reg::kRax, from);
      a_->mov_imm(Reg::kRcx, kBox);
      a_->alu(Alu::kOr, Reg::kRax, Reg::kRcx);
    }
    a_->mov(f_place(in().rd), Reg::kRax);
    a_->bind(cold.resume);
  };
  const auto store = [this](bool wide) {
    ColdAccess& cold =
        cold_access(ColdAccess::Data::kFromFloat, setup_.routines.store[wide ? 3 : 2], in().rs2);
    const Mem to = place_of_access(true, wide ? 8 : 4, cold);
    a_->mov(Reg::kRcx, f_place(in().rs2));
    if (wide) {
      a_->mov(to, Reg::kRcx);
    } else {
      a_->mov_l(to, Reg::kRcx);
    }
    a_->bind(cold.resume);
  };
  switch (in().opcode) {
    case Opcode::kFlw:
      require_float();
      load(LoadKind::kBoxedW, false);
      return true;
    case Opcode::kFld:
      require_float();
      load(LoadKind::kD, true);
      return true;
    case Opcode::kFsw:
      require_float();
      store(false);
      return true;
    case Opcode::kFsd:
      require_float();
      store(true);
      return true;
    default:
      return false;
  }
}

bool BlockCompiler::compile_float_arithmetic() {
  struct Row {
    Opcode opcode;
    uint8_t host;
    bool wide;
    enum { kBinary, kRoot, kFused } shape;
  };
  static constexpr Row kRows[] = {
      {Opcode::kFaddS, 0x58, false, Row::kBinary},  {Opcode::kFaddD, 0x58, true, Row::kBinary},
      {Opcode::kFsubS, 0x5c, false, Row::kBinary},  {Opcode::kFsubD, 0x5c, true, Row::kBinary},
      {Opcode::kFmulS, 0x59, false, Row::kBinary},  {Opcode::kFmulD, 0x59, true, Row::kBinary},
      {Opcode::kFdivS, 0x5e, false, Row::kBinary},  {Opcode::kFdivD, 0x5e, true, Row::kBinary},
      {Opcode::kFsqrtS, 0, false, Row::kRoot},      {Opcode::kFsqrtD, 0, true, Row::kRoot},
      {Opcode::kFmaddS, 0xa9, false, Row::kFused},  {Opcode::kFmaddD, 0xa9, true, Row::kFused},
      {Opcode::kFmsubS, 0xab, false, Row::kFused},  {Opcode::kFmsubD, 0xab, true, Row::kFused},
      {Opcode::kFnmsubS, 0xad, false, Row::kFused}, {Opcode::kFnmsubD, 0xad, true, Row::kFused},
      {Opcode::kFnmaddS, 0xaf, false, Row::kFused}, {Opcode::kFnmaddD, 0xaf, true, Row::kFused},
  };
  for (const Row& row : kRows) {
    if (row.opcode != in().opcode) continue;
    require_float();
    if (!rounding_settled()) {
      float_step();
    } else if (row.shape == Row::kBinary) {
      float_binary(row.host, row.wide);
    } else if (row.shape == Row::kRoot) {
      float_square_root(row.wide);
    } else {
      float_fused(row.host, row.wide);
    }
    return true;
  }
  return false;
}

bool BlockCompiler::compile_float_moves() {
  switch (in().opcode) {
    case Opcode::kFsgnjS:
    case Opcode::kFsgnjnS:
    case Opcode::kFsgnjxS:
      require_float();
      float_sign(false);
      return true;
    case Opcode::kFsgnjD:
    case Opcode::kFsgnjnD:
    case Opcode::kFsgnjxD:
      require_float();
      float_sign(true);
      return true;
    case Opcode::kFeqS:
    case Opcode::kFltS:
    case Opcode::kFleS:
      require_float();
      float_compare(false);
      return true;
    case Opcode::kFeqD:
    case Opcode::kFltD:
    case Opcode::kFleD:
      require_float();
      float_compare(true);
      return true;
    case Opcode::kFmvXW:
      require_float();
      a_->movsxd(Reg::kRax, f_place(in().rs1));
      finish(Reg::kRax);
      return true;
    case Opcode::kFmvXD:
      require_float();
      a_->mov(Reg::kRax, f_place(in().rs1));
      finish(Reg::kRax);
      return true;
    case Opcode::kFmvWX:
      require_float();
      read_low_into(Reg::kRax, in().rs1);
      a_->mov_imm(Reg::kRcx, kBox);
      a_->alu(Alu::kOr, Reg::kRax, Reg::kRcx);
      a_->mov(f_place(in().rd), Reg::kRax);
      return true;
    case Opcode::kFmvDX:
      require_float();
      a_->mov(f_place(in().rd), read(in().rs1, Reg::kRax));
      return true;
    default:
      return false;
  }
}

bool BlockCompiler::compile_float_conversions() {
  switch (in().opcode) {
    case Opcode::kFcvtWS:
      require_float();
      float_to_integer(false, false);
      return true;
    case Opcode::kFcvtLS:
      require_float();
      float_to_integer(false, true);
      return true;
    case Opcode::kFcvtWD:
      require_float();
      float_to_integer(true, false);
      return true;
    case Opcode::kFcvtLD:
      require_float();
      float_to_integer(true, true);
      return true;
    case Opcode::kFcvtSW:
      require_float();
      float_from_integer(false, false, false);
      return true;
    case Opcode::kFcvtSWu:
      require_float();
      float_from_integer(false, false, true);
      return true;
    case Opcode::kFcvtSL:
      require_float();
      float_from_integer(false, true, false);
      return true;
    case Opcode::kFcvtSLu:
      require_float();
      float_from_integer(false, true, true);
      return true;
    case Opcode::kFcvtDW:
      require_float();
      float_from_integer(true, false, false);
      return true;
    case Opcode::kFcvtDWu:
      require_float();
      float_from_integer(true, false, true);
      return true;
    case Opcode::kFcvtDL:
      require_float();
      float_from_integer(true, true, false);
      return true;
    case Opcode::kFcvtDLu:
      require_float();
      float_from_integer(true, true, true);
      return true;
    case Opcode::kFcvtSD:
      require_float();
      if (!rounding_settled()) {
        float_step();
        return true;
      }
      a_->sse(kScalarDouble, 0x5a, Xmm::k0, f_place(in().rs1));
      finish_checked(Xmm::k0, false);
      return true;
    case Opcode::kFcvtDS: {
      require_float();
      if (in().rounding_mode == 5 || in().rounding_mode == 6) {
        float_step();
        return true;
      }
      ColdStep& cold = cold_step(setup_.routines.float_step);
      require_boxed(in().rs1, cold);
      a_->sse(kScalarSingle, 0x5a, Xmm::k0, f_place(in().rs1));
      finish_checked(Xmm::k0, true);
      a_->bind(cold.resume);
      return true;
    }
    default:
      return false;
  }
}

bool BlockCompiler::compile_float() {
  if (compile_float_memory() || compile_float_arithmetic() || compile_float_moves() ||
      compile_float_conversions()) {
    return true;
  }
  // min, max, classify, conversions to unsigned numbers.
  switch (riscv::instruction_row(in().opcode).format) {
    case riscv::Format::kRFpExact:
    case riscv::Format::kFpToInteger:
    case riscv::Format::kFpExactToInteger:
      float_step();
      return true;
    default:
      return false;
  }
}

}  // namespace lockstep::jit
