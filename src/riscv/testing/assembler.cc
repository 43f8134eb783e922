#include "riscv/testing/assembler.h"

#include "base/check.h"
#include "riscv/encoder.h"

namespace lockstep::riscv::testing {
namespace {

constexpr uint16_t kCompressedNop = 0x0001;
constexpr unsigned kLowBits = 12;

int64_t low_part(uint64_t value) {
  return static_cast<int64_t>(value << (64 - kLowBits)) >> (64 - kLowBits);
}

}  // namespace

Instruction register_form(Opcode opcode, uint8_t rd, uint8_t rs1, uint8_t rs2) {
  Instruction instruction;
  instruction.opcode = opcode;
  instruction.rd = rd;
  instruction.rs1 = rs1;
  instruction.rs2 = rs2;
  return instruction;
}

Instruction immediate_form(Opcode opcode, uint8_t rd, uint8_t rs1, int32_t immediate) {
  Instruction instruction = register_form(opcode, rd, rs1, 0);
  instruction.immediate = immediate;
  return instruction;
}

Instruction store_form(Opcode opcode, uint8_t rs1, uint8_t rs2, int32_t immediate) {
  Instruction instruction = register_form(opcode, 0, rs1, rs2);
  instruction.immediate = immediate;
  return instruction;
}

void Assembler::half(uint16_t bits) {
  ByteWriter(bytes_).fixed(bits);
}

void Assembler::word(uint32_t bits) {
  ByteWriter(bytes_).fixed(bits);
}

void Assembler::emit(const Instruction& instruction) {
  word(encode(instruction));
}

void Assembler::pad_to(uint64_t address) {
  CHECK(address >= here() && (address - here()) % 2 == 0);
  while (here() < address) half(kCompressedNop);
}

void Assembler::li(uint8_t rd, uint64_t value) {
  const auto number = static_cast<int64_t>(value);
  const int64_t low = low_part(value);
  if (number == low) {
    addi(rd, kZero, static_cast<int32_t>(low));
    return;
  }
  const uint64_t high = value - static_cast<uint64_t>(low);
  if (number == static_cast<int32_t>(number)) {
    emit(immediate_form(Opcode::kLui, rd, 0, static_cast<int32_t>(high)));
    if (low != 0) emit(immediate_form(Opcode::kAddiw, rd, rd, static_cast<int32_t>(low)));
    return;
  }
  li(rd, static_cast<uint64_t>(static_cast<int64_t>(high) >> kLowBits));
  emit(immediate_form(Opcode::kSlli, rd, rd, kLowBits));
  if (low != 0) addi(rd, rd, static_cast<int32_t>(low));
}

}  // namespace lockstep::riscv::testing
