#include "riscv/encoder.h"

#include "base/check.h"
#include "riscv/instruction_fields.h"

namespace lockstep::riscv {
namespace {

// The immediate's two's complement bits, checked to be a multiple of `unit` that `bits` bits hold.
uint32_t signed_bits(int32_t immediate, int bits, int32_t unit) {
  const auto raw = static_cast<uint32_t>(immediate);
  CHECK(sign_extend(raw, bits) == immediate && immediate % unit == 0);
  return raw;
}
uint32_t unsigned_bits(int32_t immediate, uint32_t limit) {
  CHECK(static_cast<uint32_t>(immediate) < limit);
  return static_cast<uint32_t>(immediate);
}

uint32_t register_bits(uint8_t number, int shift) {
  CHECK(number < 32);
  return static_cast<uint32_t>(number) << shift;
}

uint32_t b_bits(int32_t immediate) {
  const uint32_t raw = signed_bits(immediate, 13, 2);
  return bit_field(raw, 12, 1) << 31 | bit_field(raw, 5, 6) << 25 | bit_field(raw, 1, 4) << 8 |
         bit_field(raw, 11, 1) << 7;
}

uint32_t j_bits(int32_t immediate) {
  const uint32_t raw = signed_bits(immediate, 21, 2);
  return bit_field(raw, 20, 1) << 31 | bit_field(raw, 1, 10) << 21 | bit_field(raw, 11, 1) << 20 |
         bit_field(raw, 12, 8) << 12;
}

uint32_t immediate_bits(Format format, int32_t immediate) {
  switch (format) {
    case Format::kI:
    case Format::kLoad:
    case Format::kFpLoad:
    case Format::kJalr:
      return signed_bits(immediate, 12, 1) << kRs2Shift;
    case Format::kIShift64:
      return unsigned_bits(immediate, 64) << kRs2Shift;
    case Format::kIShift32:
      return unsigned_bits(immediate, 32) << kRs2Shift;
    case Format::kCsr:
    case Format::kCsrImmediate:
    case Format::kFence:
      return unsigned_bits(immediate, 1 << 12) << kRs2Shift;
    case Format::kStore:
    case Format::kFpStore: {
      const uint32_t raw = signed_bits(immediate, 12, 1);
      return bit_field(raw, 5, 7) << 25 | bit_field(raw, 0, 5) << kRdShift;
    }
    case Format::kB:
      return b_bits(immediate);
    case Format::kU:
      return signed_bits(immediate, 32, 1 << 12);
    case Format::kJ:
      return j_bits(immediate);
    default:
      return 0;
  }
}

}  // namespace

uint32_t encode(const Instruction& instruction) {
  CHECK(instruction.opcode != Opcode::kIllegal);
  CHECK(instruction.rounding_mode < 8);
  const InstructionRow& row = instruction_row(instruction.opcode);
  const uint32_t registers =
      register_bits(instruction.rd, kRdShift) | register_bits(instruction.rs1, kRs1Shift) |
      register_bits(instruction.rs2, kRs2Shift) | register_bits(instruction.rs3, kRs3Shift) |
      static_cast<uint32_t>(instruction.rounding_mode) << kFunct3Shift;
  return row.match | (registers & register_field_mask(row.format)) |
         immediate_bits(row.format, instruction.immediate);
}

}  // namespace lockstep::riscv
