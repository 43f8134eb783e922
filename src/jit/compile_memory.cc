// Loads, stores and atomic operations: the TLB's fast path inline, everything else by helpers.
#include <bit>

#include "jit/block_compiler.h"
#include "riscv/tlb.h"

namespace lockstep::jit {

using riscv::Opcode;
using x64::at;

void BlockCompiler::address_into_rax(unsigned base, int32_t displacement) {
  if (is_pinned(base) && displacement != 0) {
    a_->lea(Reg::kRax, at(host_of(base), displacement));
    return;
  }
  read_into(Reg::kRax, base);
  if (displacement != 0) a_->alu_imm(Alu::kAdd, Reg::kRax, displacement);
}

void BlockCompiler::probe(unsigned size, bool for_store, Alignment alignment, x64::Label& miss) {
  find_data_entry(*a_);
  // The offset in the page, if this is it; emit_cold_access() undoes it otherwise.
  a_->alu(Alu::kXor, Reg::kRax, data_entry(for_store, offsetof(riscv::DataEntry, tag)));
  if (alignment == Alignment::kNatural) {
    a_->test_sign_extended(
        Reg::kRax, -static_cast<int32_t>(riscv::kPageSize) | static_cast<int32_t>(size - 1));
    a_->jcc(Cond::kNotEqual, miss);
  } else {  // another page, or across its end
    a_->alu_imm(Alu::kCmp, Reg::kRax, static_cast<int32_t>(riscv::kPageSize - size));
    a_->jcc(Cond::kAbove, miss);
  }
  a_->alu(Alu::kAdd, Reg::kRax, data_entry(for_store, offsetof(riscv::DataEntry, host_page)));
}

void BlockCompiler::load(LoadKind kind) {
  static constexpr std::array<unsigned, 8> kSizes = {1, 2, 4, 8, 1, 2, 4, 4};
  const auto number = static_cast<size_t>(kind);
  ColdAccess& cold =
      cold_access(ColdAccess::Data::kToInteger, setup_.routines.load[number], in().rd);
  const Mem from = place_of_access(false, kSizes[number], cold);
  const Reg to = in().rd == 0 ? Reg::kRax : target();
  switch (kind) {
    case LoadKind::kB:
      a_->movsx_b(to, from);
      break;
    case LoadKind::kH:
      a_->movsx_w(to, from);
      break;
    case LoadKind::kW:
      a_->movsxd(to, from);
      break;
    case LoadKind::kD:
      a_->mov(to, from);
      break;
    case LoadKind::kBu:
      a_->movzx_b(to, from);
      break;
    case LoadKind::kHu:
      a_->movzx_w(to, from);
      break;
    case LoadKind::kWu:
    case LoadKind::kBoxedW:
      a_->mov_l(to, from);
      break;
  }
  finish(to);
  a_->bind(cold.resume);
}

void BlockCompiler::store(unsigned size) {
  ColdAccess& cold =
      cold_access(ColdAccess::Data::kFromInteger,
                  setup_.routines.store[static_cast<size_t>(std::countr_zero(size))], in().rs2);
  const Mem to = place_of_access(true, size, cold);
  const Reg value = read(in().rs2, Reg::kRcx);
  if (size == 1) a_->mov_b(to, value);
  if (size == 2) a_->mov_w16(to, value);
  if (size == 4) a_->mov_l(to, value);
  if (size == 8) a_->mov(to, value);
  a_->bind(cold.resume);
}

bool BlockCompiler::compile_memory() {
  switch (in().opcode) {
    case Opcode::kLb:
      load(LoadKind::kB);
      return true;
    case Opcode::kLh:
      load(LoadKind::kH);
      return true;
    case Opcode::kLw:
      load(LoadKind::kW);
      return true;
    case Opcode::kLd:
      load(LoadKind::kD);
      return true;
    case Opcode::kLbu:
      load(LoadKind::kBu);
      return true;
    case Opcode::kLhu:
      load(LoadKind::kHu);
      return true;
    case Opcode::kLwu:
      load(LoadKind::kWu);
      return true;
    case Opcode::kSb:
      store(1);
      return true;
    case Opcode::kSh:
      store(2);
      return true;
    case Opcode::kSw:
      store(4);
      return true;
    case Opcode::kSd:
      store(8);
      return true;
    default:
      return false;
  }
}

// One hart runs at a time, so that plain loads and stores are atomic.
void BlockCompiler::read_modify_write(unsigned size) {
  ColdStep& cold = cold_step(setup_.routines.step);
  read_into(Reg::kRax, in().rs1);
  probe(size, true, Alignment::kNatural, cold.label);
  const bool wide = size == 8;
  const Mem place = at(Reg::kRax);
  if (wide) {
    a_->mov(Reg::kRcx, place);
  } else {
    a_->movsxd(Reg::kRcx, place);
  }
  switch (in().opcode) {
    case Opcode::kAmoswapW:
    case Opcode::kAmoswapD:
      read_into(Reg::kRdx, in().rs2);
      break;
    case Opcode::kAmoaddW:
    case Opcode::kAmoaddD:
      read_into(Reg::kRdx, in().rs2);
      a_->alu(Alu::kAdd, Reg::kRdx, Reg::kRcx);
      break;
    case Opcode::kAmoorW:
    case Opcode::kAmoorD:
      read_into(Reg::kRdx, in().rs2);
      a_->alu(Alu::kOr, Reg::kRdx, Reg::kRcx);
      break;
    case Opcode::kAmoandW:
    case Opcode::kAmoandD:
      read_into(Reg::kRdx, in().rs2);
      a_->alu(Alu::kAnd, Reg::kRdx, Reg::kRcx);
      break;
    default:
      read_into(Reg::kRdx, in().rs2);
      a_->alu(Alu::kXor, Reg::kRdx, Reg::kRcx);
      break;
  }
  if (wide) {
    a_->mov(place, Reg::kRdx);
  } else {
    a_->mov_l(place, Reg::kRdx);
  }
  finish(Reg::kRcx);
  a_->bind(cold.resume);
}

void BlockCompiler::physical_into_rdx() {
  a_->mov_imm(Reg::kRdx, setup_.physical_minus_host);
  a_->alu(Alu::kAdd, Reg::kRdx, Reg::kRax);
}

// The reservation is the physical address and the value that stood there (riscv/hart.h).
void BlockCompiler::load_reserved(unsigned size) {
  ColdStep& cold = cold_step(setup_.routines.step);
  read_into(Reg::kRax, in().rs1);
  probe(size, false, Alignment::kNatural, cold.label);
  physical_into_rdx();
  a_->mov_b_imm(hart_field(offsetof(riscv::Hart, reserved)), 1);
  a_->mov(hart_field(offsetof(riscv::Hart, reserved_address)), Reg::kRdx);
  if (size == 8) {
    a_->mov(Reg::kRcx, at(Reg::kRax));
  } else {
    a_->mov_l(Reg::kRcx, at(Reg::kRax));
  }
  a_->mov(hart_field(offsetof(riscv::Hart, reserved_value)), Reg::kRcx);
  if (size == 8) {
    finish(Reg::kRcx);
  } else {
    finish_word(Reg::kRcx);
  }
  a_->bind(cold.resume);
}

void BlockCompiler::store_conditional(unsigned size) {
  ColdStep& cold = cold_step(setup_.routines.step);
  x64::Label fails;
  read_into(Reg::kRax, in().rs1);
  probe(size, true, Alignment::kNatural, cold.label);
  physical_into_rdx();
  a_->cmp_b_imm(hart_field(offsetof(riscv::Hart, reserved)), 0);
  a_->mov_imm(Reg::kRcx, 1);
  a_->jcc(Cond::kEqual, fails);
  a_->alu(Alu::kCmp, Reg::kRdx, hart_field(offsetof(riscv::Hart, reserved_address)));
  a_->jcc(Cond::kNotEqual, fails);
  const Mem expected = hart_field(offsetof(riscv::Hart, reserved_value));
  if (size == 8) {
    a_->mov(Reg::kRdx, expected);
    a_->alu(Alu::kCmp, Reg::kRdx, at(Reg::kRax));
  } else {
    a_->mov_l(Reg::kRdx, expected);
    a_->alu_l(Alu::kCmp, Reg::kRdx, at(Reg::kRax));
  }
  a_->jcc(Cond::kNotEqual, fails);
  read_into(Reg::kRdx, in().rs2);
  if (size == 8) {
    a_->mov(at(Reg::kRax), Reg::kRdx);
  } else {
    a_->mov_l(at(Reg::kRax), Reg::kRdx);
  }
  a_->zero(Reg::kRcx);
  a_->bind(fails);
  a_->mov_b_imm(hart_field(offsetof(riscv::Hart, reserved)), 0);
  finish(Reg::kRcx);
  a_->bind(cold.resume);
}

// cbo.zero, as the kernel clears pages; user mode is the interpreter's, which knows senvcfg.
void BlockCompiler::zero_block() {
  constexpr unsigned kChunk = 16;
  require_supervisor();
  ColdStep& cold = cold_step(setup_.routines.step);
  read_into(Reg::kRax, in().rs1);
  a_->alu_imm(Alu::kAnd, Reg::kRax, -static_cast<int32_t>(riscv::kCacheBlockSize));
  probe(riscv::kCacheBlockSize, true, Alignment::kAny, cold.label);
  a_->sse(0x66, 0xef, Xmm::k0, Xmm::k0);  // pxor
  for (unsigned i = 0; i < riscv::kCacheBlockSize; i += kChunk) {
    a_->movups(at(Reg::kRax, static_cast<int32_t>(i)), Xmm::k0);
  }
  a_->bind(cold.resume);
}

bool BlockCompiler::compile_atomic() {
  switch (in().opcode) {
    case Opcode::kCboZero:
      zero_block();
      return true;
    case Opcode::kLrW:
      load_reserved(4);
      return true;
    case Opcode::kLrD:
      load_reserved(8);
      return true;
    case Opcode::kScW:
      store_conditional(4);
      return true;
    case Opcode::kScD:
      store_conditional(8);
      return true;
    case Opcode::kAmoswapW:
    case Opcode::kAmoaddW:
    case Opcode::kAmoxorW:
    case Opcode::kAmoandW:
    case Opcode::kAmoorW:
      read_modify_write(4);
      return true;
    case Opcode::kAmoswapD:
    case Opcode::kAmoaddD:
    case Opcode::kAmoxorD:
    case Opcode::kAmoandD:
    case Opcode::kAmoorD:
      read_modify_write(8);
      return true;
    default:
      return false;
  }
}

}  // namespace lockstep::jit
