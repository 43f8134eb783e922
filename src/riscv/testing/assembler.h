// A small assembler for guest programs in tests, on riscv/encoder.h.
//
// Owner: the test. Errors: an operand that does not fit is a CHECK.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/types.h"
#include "riscv/csr_numbers.h"
#include "riscv/instruction.h"

namespace lockstep::riscv::testing {

// The ABI's names of the x registers that tests use.
enum Register : uint8_t {
  kZero = 0,
  kRa = 1,
  kSp = 2,
  kT0 = 5,
  kT1 = 6,
  kT2 = 7,
  kS0 = 8,
  kS1 = 9,
  kA0 = 10,
  kA1 = 11,
  kA2 = 12,
  kA3 = 13,
  kA4 = 14,
  kA5 = 15,
  kA6 = 16,
  kA7 = 17,
  kS2 = 18,
  kT3 = 28,
  kT4 = 29,
  kT5 = 30,
  kT6 = 31,
};

Instruction register_form(Opcode opcode, uint8_t rd, uint8_t rs1, uint8_t rs2);
// Also loads (rd, base, offset), jalr, shifts, csr with `immediate` as the CSR's number.
Instruction immediate_form(Opcode opcode, uint8_t rd, uint8_t rs1, int32_t immediate);
// Also branches (rs1, rs2, distance): value in rs2, base in rs1.
Instruction store_form(Opcode opcode, uint8_t rs1, uint8_t rs2, int32_t immediate);

// Code for consecutive addresses from `start` on.
class Assembler {
 public:
  explicit Assembler(GuestAddress start) : start_(start) {}

  uint64_t here() const { return start_.value + bytes_.size(); }
  GuestAddress start() const { return start_; }
  const Bytes& bytes() const { return bytes_; }

  void half(uint16_t bits);
  void word(uint32_t bits);
  void emit(const Instruction& instruction);
  // Halfwords of c.nop until here() is `address`.
  void pad_to(uint64_t address);

  void op(Opcode opcode, uint8_t rd, uint8_t rs1, uint8_t rs2) {
    emit(register_form(opcode, rd, rs1, rs2));
  }
  void op(Opcode opcode) { emit({.opcode = opcode}); }
  void addi(uint8_t rd, uint8_t rs1, int32_t immediate) {
    emit(immediate_form(Opcode::kAddi, rd, rs1, immediate));
  }
  void nop() { addi(kZero, kZero, 0); }
  // Any 64-bit value, in as many instructions as it takes.
  void li(uint8_t rd, uint64_t value);
  void load(Opcode opcode, uint8_t rd, uint8_t base, int32_t offset = 0) {
    emit(immediate_form(opcode, rd, base, offset));
  }
  void store(Opcode opcode, uint8_t value, uint8_t base, int32_t offset = 0) {
    emit(store_form(opcode, base, value, offset));
  }
  void branch(Opcode opcode, uint8_t rs1, uint8_t rs2, uint64_t target) {
    emit(store_form(opcode, rs1, rs2, static_cast<int32_t>(target - here())));
  }
  void jal(uint8_t rd, uint64_t target) {
    emit(immediate_form(Opcode::kJal, rd, 0, static_cast<int32_t>(target - here())));
  }
  void jalr(uint8_t rd, uint8_t rs1, int32_t offset = 0) {
    emit(immediate_form(Opcode::kJalr, rd, rs1, offset));
  }
  void csr(Opcode opcode, uint8_t rd, Csr number, uint8_t rs1) {
    emit(immediate_form(opcode, rd, rs1, static_cast<int32_t>(number)));
  }
  void csr_write(Csr number, uint8_t rs1) { csr(Opcode::kCsrrw, kZero, number, rs1); }
  void csr_read(uint8_t rd, Csr number) { csr(Opcode::kCsrrs, rd, number, kZero); }
  // Jumps to itself for ever.
  void spin() { jal(kZero, here()); }

 private:
  GuestAddress start_;
  Bytes bytes_;
};

}  // namespace lockstep::riscv::testing
