// Emits the x86-64 instructions that the translator uses, and no others.
//
// Operands are in Intel order: destination first. `W` and `L` in a name mean 64-bit and 32-bit
// operands; a 32-bit result clears the upper half of its register.
//
// Invariants
//   1. Nothing is written beyond the end given; ok() says whether everything fitted.
//   2. What is emitted depends on the arguments alone.
//
// Code is written at one address (writable) and runs at another (executable); addresses are those
// at which it runs. There are two areas, for what runs often and for what seldom does; jumps lead
// from one to the other.
//
// Owner: one thread at a time. Source: Intel 64 SDM, volume 2.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "base/check.h"

namespace lockstep::jit::x64 {

enum class Reg : uint8_t {
  kRax,
  kRcx,
  kRdx,
  kRbx,
  kRsp,
  kRbp,
  kRsi,
  kRdi,
  kR8,
  kR9,
  kR10,
  kR11,
  kR12,
  kR13,
  kR14,
  kR15,
};
enum class Xmm : uint8_t { k0, k1, k2, k3, k4, k5, k6, k7, k8, k9, k10, k11, k12, k13, k14, k15 };

// A memory operand: [base + index * scale + displacement], or [displacement] (absolute, below 2
// GiB).
struct Mem {
  static constexpr uint8_t kNone = 0xff;
  uint8_t base = kNone;
  uint8_t index = kNone;
  uint8_t scale_log2 = 0;
  int32_t displacement = 0;
};
constexpr Mem at(Reg base, int32_t displacement = 0) {
  return {static_cast<uint8_t>(base), Mem::kNone, 0, displacement};
}
constexpr Mem at(Reg base, Reg index, unsigned scale_log2, int32_t displacement = 0) {
  return {static_cast<uint8_t>(base), static_cast<uint8_t>(index), static_cast<uint8_t>(scale_log2),
          displacement};
}
constexpr Mem at_absolute(uint32_t address) {
  return {Mem::kNone, Mem::kNone, 0, static_cast<int32_t>(address)};
}

// The eight operations of the first opcode group, by their number there.
enum class Alu : uint8_t { kAdd = 0, kOr = 1, kAnd = 4, kSub = 5, kXor = 6, kCmp = 7 };
enum class Shift : uint8_t { kRol = 0, kRor = 1, kShl = 4, kShr = 5, kSar = 7 };
// Condition codes of jcc, setcc, cmovcc.
enum class Cond : uint8_t {
  kOverflow = 0,
  kBelow = 2,
  kNotBelow = 3,
  kEqual = 4,
  kNotEqual = 5,
  kNotAbove = 6,
  kAbove = 7,
  kSign = 8,
  kNotSign = 9,
  kParity = 10,
  kNoParity = 11,
  kLess = 12,
  kNotLess = 13,
  kNotGreater = 14,
  kGreater = 15,
};
constexpr Cond negated(Cond condition) {
  return static_cast<Cond>(static_cast<uint8_t>(condition) ^ 1);
}

// A place in the code that a 32-bit relative jump leads to; jumps may come before it is bound.
class Label {
 public:
  bool bound() const { return address_ != 0; }
  // A jump waits for it to be bound.
  bool used() const { return last_use_ != 0; }

 private:
  friend class Assembler;
  uint32_t address_ = 0;
  uint32_t last_use_ = 0;  // a chain through the displacements that wait for it
};

// A span of code memory: where to write, and where that runs.
struct CodeArea {
  std::span<std::byte> space;
  uint32_t address = 0;
};

class Assembler {
 public:
  // Both areas lie in one code memory. Starts in the first.
  Assembler(const CodeArea& main, const CodeArea& cold)
      : main_(main), cold_(cold), writable_(main.space.data() - main.address) {
    CHECK(cold.space.empty() || cold.space.data() - cold.address == writable_);
    select(main_);
  }

  bool ok() const { return !overflow_; }
  // Once: what follows goes to the second area.
  void begin_cold() {
    main_size_ = size();
    select(cold_);
    in_cold_ = true;
  }
  // Bytes in each area.
  size_t main_size() const { return in_cold_ ? main_size_ : size(); }
  size_t cold_size() const { return in_cold_ ? size() : 0; }
  uint32_t here() const { return static_cast<uint32_t>(at_ - writable_); }

  // --- Moves
  void mov(Reg to, Reg from) { op_rr(true, 0x89, from, to); }
  void mov_l(Reg to, Reg from) { op_rr(false, 0x89, from, to); }
  void mov(Reg to, const Mem& from) { op_rm(true, 0x8b, num(to), from); }
  void mov_l(Reg to, const Mem& from) { op_rm(false, 0x8b, num(to), from); }
  void mov(const Mem& to, Reg from) { op_rm(true, 0x89, num(from), to); }
  void mov_l(const Mem& to, Reg from) { op_rm(false, 0x89, num(from), to); }
  void mov_w16(const Mem& to, Reg from) {
    byte(0x66);
    op_rm(false, 0x89, num(from), to);
  }
  void mov_b(const Mem& to, Reg from) { op_rm(false, 0x88, num(from), to, true); }
  void mov_b_imm(const Mem& to, uint8_t value) {
    op_rm(false, 0xc6, 0, to);
    byte(value);
  }
  // A 64-bit store of a sign-extended 32-bit value.
  void mov_imm(const Mem& to, int32_t value) {
    op_rm(true, 0xc7, 0, to);
    dword(static_cast<uint32_t>(value));
  }
  void mov_l_imm(const Mem& to, uint32_t value) {
    op_rm(false, 0xc7, 0, to);
    dword(value);
  }
  // The shortest form; leaves the flags alone.
  void mov_imm(Reg to, uint64_t value) {
    if (value <= 0xffffffff) {
      rex(false, 0, 0, num(to));
      byte(static_cast<uint8_t>(0xb8 | (num(to) & 7)));
      dword(static_cast<uint32_t>(value));
    } else if (static_cast<int64_t>(value) == static_cast<int32_t>(value)) {
      op_rr(true, 0xc7, static_cast<Reg>(0), to);
      dword(static_cast<uint32_t>(value));
    } else {
      rex(true, 0, 0, num(to));
      byte(static_cast<uint8_t>(0xb8 | (num(to) & 7)));
      qword(value);
    }
  }
  void zero(Reg to) { alu_l(Alu::kXor, to, to); }
  void movzx_b(Reg to, const Mem& from) { op2_rm(false, 0xb6, num(to), from); }
  void movzx_w(Reg to, const Mem& from) { op2_rm(false, 0xb7, num(to), from); }
  void movsx_b(Reg to, const Mem& from) { op2_rm(true, 0xbe, num(to), from); }
  void movsx_w(Reg to, const Mem& from) { op2_rm(true, 0xbf, num(to), from); }
  void movsxd(Reg to, const Mem& from) { op_rm(true, 0x63, num(to), from); }
  void movsxd(Reg to, Reg from) { op_rr(true, 0x63, to, from); }
  void movzx_b(Reg to, Reg from) { op2_rr(false, 0xb6, to, from, true); }
  void movzx_w(Reg to, Reg from) { op2_rr(false, 0xb7, to, from); }
  void movsx_b(Reg to, Reg from) { op2_rr(true, 0xbe, to, from, true); }
  void movsx_w(Reg to, Reg from) { op2_rr(true, 0xbf, to, from); }
  void lea(Reg to, const Mem& from) { op_rm(true, 0x8d, num(to), from); }
  void lea_l(Reg to, const Mem& from) { op_rm(false, 0x8d, num(to), from); }
  void xchg(Reg a, Reg b) { op_rr(true, 0x87, a, b); }
  void cmov(Cond condition, Reg to, Reg from) {
    op2_rr(true, static_cast<uint8_t>(0x40 | static_cast<uint8_t>(condition)), to, from);
  }

  // --- Arithmetic
  void alu(Alu operation, Reg to, Reg from) { op_rr(true, alu_code(operation, 1), from, to); }
  void alu_l(Alu operation, Reg to, Reg from) { op_rr(false, alu_code(operation, 1), from, to); }
  void alu(Alu operation, Reg to, const Mem& from) {
    op_rm(true, alu_code(operation, 3), num(to), from);
  }
  void alu_l(Alu operation, Reg to, const Mem& from) {
    op_rm(false, alu_code(operation, 3), num(to), from);
  }
  void alu(Alu operation, const Mem& to, Reg from) {
    op_rm(true, alu_code(operation, 1), num(from), to);
  }
  void alu_imm(Alu operation, Reg to, int32_t value) { alu_imm(true, operation, to, value); }
  void alu_l_imm(Alu operation, Reg to, int32_t value) { alu_imm(false, operation, to, value); }
  void alu_imm(Alu operation, const Mem& to, int32_t value) {
    const bool small = value == static_cast<int8_t>(value);
    op_rm(true, small ? 0x83 : 0x81, static_cast<uint8_t>(operation), to);
    immediate(small, value);
  }
  void alu_l_imm(Alu operation, const Mem& to, int32_t value) {
    const bool small = value == static_cast<int8_t>(value);
    op_rm(false, small ? 0x83 : 0x81, static_cast<uint8_t>(operation), to);
    immediate(small, value);
  }
  void test(Reg a, Reg b) { op_rr(true, 0x85, b, a); }
  void test_l(Reg a, Reg b) { op_rr(false, 0x85, b, a); }
  void test_imm(Reg a, uint32_t value) {  // low 32 bits
    op_rr(false, 0xf7, static_cast<Reg>(0), a);
    dword(value);
  }
  void test_sign_extended(Reg a, int32_t value) {  // all 64 bits
    op_rr(true, 0xf7, static_cast<Reg>(0), a);
    dword(static_cast<uint32_t>(value));
  }
  void cmp_b_imm(const Mem& place, uint8_t value) {
    op_rm(false, 0x80, 7, place);
    byte(value);
  }
  void neg(Reg to) { op_rr(true, 0xf7, static_cast<Reg>(3), to); }
  void neg_l(Reg to) { op_rr(false, 0xf7, static_cast<Reg>(3), to); }
  void not_(Reg to) { op_rr(true, 0xf7, static_cast<Reg>(2), to); }
  void imul(Reg to, Reg from) { op2_rr(true, 0xaf, to, from); }
  void imul_l(Reg to, Reg from) { op2_rr(false, 0xaf, to, from); }
  // rdx:rax = rax * operand; rax, rdx = rdx:rax / operand.
  void mul_wide(Reg by) { op_rr(true, 0xf7, static_cast<Reg>(4), by); }
  void imul_wide(Reg by) { op_rr(true, 0xf7, static_cast<Reg>(5), by); }
  void div(Reg by) { op_rr(true, 0xf7, static_cast<Reg>(6), by); }
  void idiv(Reg by) { op_rr(true, 0xf7, static_cast<Reg>(7), by); }
  void div_l(Reg by) { op_rr(false, 0xf7, static_cast<Reg>(6), by); }
  void idiv_l(Reg by) { op_rr(false, 0xf7, static_cast<Reg>(7), by); }
  void cqo() {
    byte(0x48);
    byte(0x99);
  }
  void cdq() { byte(0x99); }
  void shift_imm(Shift operation, Reg to, uint8_t count) { shift_imm(true, operation, to, count); }
  void shift_l_imm(Shift operation, Reg to, uint8_t count) {
    shift_imm(false, operation, to, count);
  }
  void shift_cl(Shift operation, Reg to) { op_rr(true, 0xd3, static_cast<Reg>(operation), to); }
  void shift_l_cl(Shift operation, Reg to) { op_rr(false, 0xd3, static_cast<Reg>(operation), to); }
  void setcc(Cond condition, Reg to) {  // the low byte only
    op2_rr(false, static_cast<uint8_t>(0x90 | static_cast<uint8_t>(condition)), static_cast<Reg>(0),
           to, true);
  }
  void bswap(Reg to) {
    rex(true, 0, 0, num(to));
    byte(0x0f);
    byte(static_cast<uint8_t>(0xc8 | (num(to) & 7)));
  }
  void bt_imm(const Mem& in, uint8_t bit) {
    op2_rm(false, 0xba, 4, in);
    byte(bit);
  }
  void bts(Reg to, Reg bit) { op2_rr(true, 0xab, bit, to); }
  void btr(Reg to, Reg bit) { op2_rr(true, 0xb3, bit, to); }
  void btc(Reg to, Reg bit) { op2_rr(true, 0xbb, bit, to); }
  void bt(Reg to, Reg bit) { op2_rr(true, 0xa3, bit, to); }
  void bsr(Reg to, Reg from) { op2_rr(true, 0xbd, to, from); }
  void bsf(Reg to, Reg from) { op2_rr(true, 0xbc, to, from); }
  // LZCNT, TZCNT (BMI1), POPCNT: only where the host has them.
  void lzcnt(Reg to, Reg from) { prefixed_rr(0xf3, true, 0xbd, num(to), num(from)); }
  void tzcnt(Reg to, Reg from) { prefixed_rr(0xf3, true, 0xbc, num(to), num(from)); }
  void popcnt(Reg to, Reg from) { prefixed_rr(0xf3, true, 0xb8, num(to), num(from)); }
  void lzcnt_l(Reg to, Reg from) { prefixed_rr(0xf3, false, 0xbd, num(to), num(from)); }
  void tzcnt_l(Reg to, Reg from) { prefixed_rr(0xf3, false, 0xbc, num(to), num(from)); }
  void popcnt_l(Reg to, Reg from) { prefixed_rr(0xf3, false, 0xb8, num(to), num(from)); }
  // BMI1: to = ~a & b. BMI2: shifts that take their count from a register and leave the flags.
  void andn(Reg to, Reg a, Reg b) { vex_rr(0, 2, true, 0xf2, num(to), num(a), num(b)); }
  void shlx(bool wide, Reg to, Reg from, Reg count) {
    vex_rr(1, 2, wide, 0xf7, num(to), num(count), num(from));
  }
  void sarx(bool wide, Reg to, Reg from, Reg count) {
    vex_rr(2, 2, wide, 0xf7, num(to), num(count), num(from));
  }
  void shrx(bool wide, Reg to, Reg from, Reg count) {
    vex_rr(3, 2, wide, 0xf7, num(to), num(count), num(from));
  }

  // --- Control
  void jmp(Label& target) {
    byte(0xe9);
    relative(target);
  }
  void jcc(Cond condition, Label& target) {
    byte(0x0f);
    byte(static_cast<uint8_t>(0x80 | static_cast<uint8_t>(condition)));
    relative(target);
  }
  void jmp_to(uint32_t address) {
    byte(0xe9);
    dword(address - (here() + 4));
  }
  void jcc_to(Cond condition, uint32_t address) {
    byte(0x0f);
    byte(static_cast<uint8_t>(0x80 | static_cast<uint8_t>(condition)));
    dword(address - (here() + 4));
  }
  void call_to(uint32_t address) {
    byte(0xe8);
    dword(address - (here() + 4));
  }
  void jmp(Reg to) { op_rr(false, 0xff, static_cast<Reg>(4), to); }
  void call(Reg to) { op_rr(false, 0xff, static_cast<Reg>(2), to); }
  void push(Reg from) {
    rex(false, 0, 0, num(from));
    byte(static_cast<uint8_t>(0x50 | (num(from) & 7)));
  }
  void pop(Reg to) {
    rex(false, 0, 0, num(to));
    byte(static_cast<uint8_t>(0x58 | (num(to) & 7)));
  }
  void ret() { byte(0xc3); }
  void trap() {  // never executed
    byte(0x0f);
    byte(0x0b);
  }
  void bind(Label& label);
  void align(size_t boundary) {
    while (size() % boundary != 0) byte(0xcc);
  }

  // --- Floating point. `prefix`: 0xf3 scalar single, 0xf2 scalar double, 0x66, or 0.
  void sse(uint8_t prefix, uint8_t opcode, Xmm to, Xmm from) {
    prefixed_rr(prefix, false, opcode, num(to), num(from));
  }
  void sse(uint8_t prefix, uint8_t opcode, Xmm to, const Mem& from) {
    prefixed_rm(prefix, false, opcode, num(to), from);
  }
  void movd(Xmm to, Reg from) { prefixed_rr(0x66, false, 0x6e, num(to), num(from)); }
  void movq(Xmm to, Reg from) { prefixed_rr(0x66, true, 0x6e, num(to), num(from)); }
  void movd(Reg to, Xmm from) { prefixed_rr(0x66, false, 0x7e, num(from), num(to)); }
  void movq(Reg to, Xmm from) { prefixed_rr(0x66, true, 0x7e, num(from), num(to)); }
  void movsd(Xmm to, const Mem& from) { prefixed_rm(0xf2, false, 0x10, num(to), from); }
  void movss(Xmm to, const Mem& from) { prefixed_rm(0xf3, false, 0x10, num(to), from); }
  void movsd(const Mem& to, Xmm from) { prefixed_rm(0xf2, false, 0x11, num(from), to); }
  void movss(const Mem& to, Xmm from) { prefixed_rm(0xf3, false, 0x11, num(from), to); }
  void movups(const Mem& to, Xmm from) { prefixed_rm(0, false, 0x11, num(from), to); }
  void movaps(Xmm to, Xmm from) { prefixed_rr(0, false, 0x28, num(to), num(from)); }
  // Integer <-> floating point; `wide` is the width of the integer.
  void cvt_from_integer(uint8_t prefix, bool wide, Xmm to, Reg from) {
    prefixed_rr(prefix, wide, 0x2a, num(to), num(from));
  }
  void cvt_to_integer(uint8_t prefix, bool wide, bool truncate, Reg to, Xmm from) {
    prefixed_rr(prefix, wide, truncate ? 0x2c : 0x2d, num(to), num(from));
  }
  // FMA3, a 213 form (0xa9 VFMADD, 0xab VFMSUB, 0xad VFNMADD, 0xaf VFNMSUB): to = ±a * to ± c.
  void vex_fused(uint8_t opcode, bool wide, Xmm to, Xmm a, Xmm c) {
    vex_rr(1, 2, wide, opcode, num(to), num(a), num(c));
  }
  void ldmxcsr(const Mem& from) { op2_rm(false, 0xae, 2, from); }
  void stmxcsr(const Mem& to) { op2_rm(false, 0xae, 3, to); }

 private:
  static uint8_t num(Reg reg) { return static_cast<uint8_t>(reg); }
  static uint8_t num(Xmm reg) { return static_cast<uint8_t>(reg); }
  static uint8_t alu_code(Alu operation, uint8_t form) {
    return static_cast<uint8_t>(static_cast<uint8_t>(operation) << 3 | form);
  }

  void byte(uint8_t value) {
    if (at_ == end_) {
      overflow_ = true;
      return;
    }
    *at_++ = static_cast<std::byte>(value);
  }
  void dword(uint32_t value) { bytes(&value, sizeof value); }
  void qword(uint64_t value) { bytes(&value, sizeof value); }
  void bytes(const void* from, size_t count) {
    if (static_cast<size_t>(end_ - at_) < count) {
      overflow_ = true;
      return;
    }
    std::memcpy(at_, from, count);
    at_ += count;
  }
  void immediate(bool small, int32_t value) {
    if (small) {
      byte(static_cast<uint8_t>(value));
    } else {
      dword(static_cast<uint32_t>(value));
    }
  }

  void rex(bool wide, unsigned reg, unsigned index, unsigned base, bool always = false) {
    const unsigned value = 0x40u | (wide ? 8u : 0u) | (reg >= 8 ? 4u : 0u) |
                           (index >= 8 ? 2u : 0u) | (base >= 8 ? 1u : 0u);
    if (value != 0x40 || always) byte(static_cast<uint8_t>(value));
  }
  void modrm_rr(unsigned reg, unsigned rm) {
    byte(static_cast<uint8_t>(0xc0 | (reg & 7) << 3 | (rm & 7)));
  }
  void op_rr(bool wide, uint8_t opcode, Reg reg, Reg rm) {
    rex(wide, num(reg), 0, num(rm));
    byte(opcode);
    modrm_rr(num(reg), num(rm));
  }
  void op2_rr(bool wide, uint8_t opcode, Reg reg, Reg rm, bool byte_rm = false) {
    rex(wide, num(reg), 0, num(rm), byte_rm && num(rm) >= 4);
    byte(0x0f);
    byte(opcode);
    modrm_rr(num(reg), num(rm));
  }
  static unsigned high(uint8_t reg) { return reg == Mem::kNone ? 0 : reg; }
  void op_rm(bool wide, uint8_t opcode, uint8_t reg, const Mem& mem, bool byte_reg = false) {
    rex(wide, reg, high(mem.index), high(mem.base), byte_reg && reg >= 4);
    byte(opcode);
    modrm_mem(reg, mem);
  }
  void op2_rm(bool wide, uint8_t opcode, uint8_t reg, const Mem& mem) {
    rex(wide, reg, high(mem.index), high(mem.base));
    byte(0x0f);
    byte(opcode);
    modrm_mem(reg, mem);
  }
  void prefixed_rr(uint8_t prefix, bool wide, uint8_t opcode, uint8_t reg, uint8_t rm) {
    if (prefix != 0) byte(prefix);
    rex(wide, reg, 0, rm);
    byte(0x0f);
    byte(opcode);
    modrm_rr(reg, rm);
  }
  void prefixed_rm(uint8_t prefix, bool wide, uint8_t opcode, uint8_t reg, const Mem& mem) {
    if (prefix != 0) byte(prefix);
    rex(wide, reg, high(mem.index), high(mem.base));
    byte(0x0f);
    byte(opcode);
    modrm_mem(reg, mem);
  }
  // Three-byte VEX, 128-bit (L = 0). pp: 0 none, 1 66, 2 F3, 3 F2; map: 1 0F, 2 0F38.
  void vex_rr(uint8_t pp, uint8_t map, bool wide, uint8_t opcode, uint8_t reg, uint8_t v,
              uint8_t rm) {
    byte(0xc4);
    byte(static_cast<uint8_t>((reg < 8 ? 0x80 : 0) | 0x40 | (rm < 8 ? 0x20 : 0) | map));
    byte(static_cast<uint8_t>((wide ? 0x80 : 0) | (~v & 15) << 3 | pp));
    byte(opcode);
    modrm_rr(reg, rm);
  }
  void modrm_mem(uint8_t reg, const Mem& mem);
  void alu_imm(bool wide, Alu operation, Reg to, int32_t value) {
    const bool small = value == static_cast<int8_t>(value);
    op_rr(wide, small ? 0x83 : 0x81, static_cast<Reg>(operation), to);
    immediate(small, value);
  }
  void shift_imm(bool wide, Shift operation, Reg to, uint8_t count) {
    op_rr(wide, 0xc1, static_cast<Reg>(operation), to);
    byte(count);
  }
  void relative(Label& target);

  size_t size() const { return static_cast<size_t>(at_ - start_); }
  void select(const CodeArea& area) {
    start_ = area.space.data();
    at_ = start_;
    end_ = start_ + area.space.size();
  }

  CodeArea main_;
  CodeArea cold_;
  std::byte* writable_;  // plus an address: where it is written
  std::byte* start_ = nullptr;
  std::byte* at_ = nullptr;
  std::byte* end_ = nullptr;
  size_t main_size_ = 0;
  bool in_cold_ = false;
  bool overflow_ = false;
};

}  // namespace lockstep::jit::x64
