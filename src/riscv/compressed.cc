#include "riscv/compressed.h"

#include "base/check.h"
#include "riscv/instruction_fields.h"

namespace lockstep::riscv {
namespace {

constexpr uint8_t kZero = 0;
constexpr uint8_t kReturnAddress = 1;
constexpr uint8_t kStackPointer = 2;

// What each group expands to; `length` and `bits` are filled in at the end. A default-constructed
// Instruction is the reserved encoding.
Instruction make(Opcode opcode, uint8_t rd, uint8_t rs1, uint8_t rs2, int32_t immediate) {
  return {.opcode = opcode, .rd = rd, .rs1 = rs1, .rs2 = rs2, .immediate = immediate};
}
Instruction make_register(Opcode opcode, uint8_t rd, uint8_t rs1, uint8_t rs2) {
  return make(opcode, rd, rs1, rs2, 0);
}
Instruction make_immediate(Opcode opcode, uint8_t rd, uint8_t rs1, int32_t immediate) {
  return make(opcode, rd, rs1, kZero, immediate);
}
Instruction make_store(Opcode opcode, uint8_t rs2, uint8_t rs1, int32_t immediate) {
  return make(opcode, kZero, rs1, rs2, immediate);
}

// The five-bit register fields, and the three-bit ones, which name x8 to x15.
uint8_t register_at(uint32_t bits, int low) {
  return static_cast<uint8_t>(bit_field(bits, low, 5));
}
uint8_t short_register_at(uint32_t bits, int low) {
  return static_cast<uint8_t>(8 + bit_field(bits, low, 3));
}

// imm[5] at bit 12, imm[4:0] at bits 6..2.
uint32_t ci_field(uint32_t bits) {
  return bit_field(bits, 12, 1) << 5 | bit_field(bits, 2, 5);
}
int32_t ci_immediate(uint32_t bits) {
  return sign_extend(ci_field(bits), 6);
}

// Offsets scaled by the size of the access, which are zero-extended.
int32_t word_offset(uint32_t bits) {
  return static_cast<int32_t>(bit_field(bits, 10, 3) << 3 | bit_field(bits, 6, 1) << 2 |
                              bit_field(bits, 5, 1) << 6);
}
int32_t double_offset(uint32_t bits) {
  return static_cast<int32_t>(bit_field(bits, 10, 3) << 3 | bit_field(bits, 5, 2) << 6);
}
int32_t word_stack_load_offset(uint32_t bits) {
  return static_cast<int32_t>(bit_field(bits, 12, 1) << 5 | bit_field(bits, 4, 3) << 2 |
                              bit_field(bits, 2, 2) << 6);
}
int32_t double_stack_load_offset(uint32_t bits) {
  return static_cast<int32_t>(bit_field(bits, 12, 1) << 5 | bit_field(bits, 5, 2) << 3 |
                              bit_field(bits, 2, 3) << 6);
}
int32_t word_stack_store_offset(uint32_t bits) {
  return static_cast<int32_t>(bit_field(bits, 9, 4) << 2 | bit_field(bits, 7, 2) << 6);
}
int32_t double_stack_store_offset(uint32_t bits) {
  return static_cast<int32_t>(bit_field(bits, 10, 3) << 3 | bit_field(bits, 7, 3) << 6);
}

int32_t jump_offset(uint32_t bits) {
  return sign_extend(bit_field(bits, 12, 1) << 11 | bit_field(bits, 11, 1) << 4 |
                         bit_field(bits, 9, 2) << 8 | bit_field(bits, 8, 1) << 10 |
                         bit_field(bits, 7, 1) << 6 | bit_field(bits, 6, 1) << 7 |
                         bit_field(bits, 3, 3) << 1 | bit_field(bits, 2, 1) << 5,
                     12);
}
int32_t branch_offset(uint32_t bits) {
  return sign_extend(bit_field(bits, 12, 1) << 8 | bit_field(bits, 10, 2) << 3 |
                         bit_field(bits, 5, 2) << 6 | bit_field(bits, 3, 2) << 1 |
                         bit_field(bits, 2, 1) << 5,
                     9);
}

int32_t addi4spn_immediate(uint32_t bits) {
  return static_cast<int32_t>(bit_field(bits, 11, 2) << 4 | bit_field(bits, 7, 4) << 6 |
                              bit_field(bits, 6, 1) << 2 | bit_field(bits, 5, 1) << 3);
}
int32_t addi16sp_immediate(uint32_t bits) {
  return sign_extend(bit_field(bits, 12, 1) << 9 | bit_field(bits, 6, 1) << 4 |
                         bit_field(bits, 5, 1) << 6 | bit_field(bits, 3, 2) << 7 |
                         bit_field(bits, 2, 1) << 5,
                     10);
}

Instruction decode_quadrant_0(uint32_t bits) {
  const uint8_t base = short_register_at(bits, 7);
  const uint8_t data = short_register_at(bits, 2);
  switch (bit_field(bits, 13, 3)) {
    case 0:  // c.addi4spn; a zero immediate, and so the all-zero word, is reserved
      if (addi4spn_immediate(bits) == 0) return {};
      return make_immediate(Opcode::kAddi, data, kStackPointer, addi4spn_immediate(bits));
    case 1:
      return make_immediate(Opcode::kFld, data, base, double_offset(bits));
    case 2:
      return make_immediate(Opcode::kLw, data, base, word_offset(bits));
    case 3:
      return make_immediate(Opcode::kLd, data, base, double_offset(bits));
    case 5:
      return make_store(Opcode::kFsd, data, base, double_offset(bits));
    case 6:
      return make_store(Opcode::kSw, data, base, word_offset(bits));
    case 7:
      return make_store(Opcode::kSd, data, base, double_offset(bits));
    default:
      return {};
  }
}

// c.lui and c.addi16sp: both need an immediate that is not zero.
Instruction decode_lui(uint32_t bits) {
  if (ci_field(bits) == 0) return {};
  const uint8_t rd = register_at(bits, 7);
  if (rd == kStackPointer) {
    return make_immediate(Opcode::kAddi, rd, rd, addi16sp_immediate(bits));
  }
  return make_immediate(Opcode::kLui, rd, kZero, ci_immediate(bits) * (1 << 12));
}

// The row of c.srli, c.srai, c.andi and the register-register operations.
Instruction decode_arithmetic(uint32_t bits) {
  const uint8_t rd = short_register_at(bits, 7);
  const uint8_t rs2 = short_register_at(bits, 2);
  switch (bit_field(bits, 10, 2)) {
    case 0:
      return make_immediate(Opcode::kSrli, rd, rd, static_cast<int32_t>(ci_field(bits)));
    case 1:
      return make_immediate(Opcode::kSrai, rd, rd, static_cast<int32_t>(ci_field(bits)));
    case 2:
      return make_immediate(Opcode::kAndi, rd, rd, ci_immediate(bits));
    default:
      break;
  }
  switch (bit_field(bits, 12, 1) << 2 | bit_field(bits, 5, 2)) {
    case 0:
      return make_register(Opcode::kSub, rd, rd, rs2);
    case 1:
      return make_register(Opcode::kXor, rd, rd, rs2);
    case 2:
      return make_register(Opcode::kOr, rd, rd, rs2);
    case 3:
      return make_register(Opcode::kAnd, rd, rd, rs2);
    case 4:
      return make_register(Opcode::kSubw, rd, rd, rs2);
    case 5:
      return make_register(Opcode::kAddw, rd, rd, rs2);
    default:
      return {};
  }
}

Instruction decode_quadrant_1(uint32_t bits) {
  const uint8_t rd = register_at(bits, 7);
  switch (bit_field(bits, 13, 3)) {
    case 0:
      return make_immediate(Opcode::kAddi, rd, rd, ci_immediate(bits));
    case 1:
      if (rd == kZero) return {};
      return make_immediate(Opcode::kAddiw, rd, rd, ci_immediate(bits));
    case 2:
      return make_immediate(Opcode::kAddi, rd, kZero, ci_immediate(bits));
    case 3:
      return decode_lui(bits);
    case 4:
      return decode_arithmetic(bits);
    case 5:
      return make_immediate(Opcode::kJal, kZero, kZero, jump_offset(bits));
    case 6:
      return make_store(Opcode::kBeq, kZero, short_register_at(bits, 7), branch_offset(bits));
    default:
      return make_store(Opcode::kBne, kZero, short_register_at(bits, 7), branch_offset(bits));
  }
}

// c.jr, c.mv, c.ebreak, c.jalr, c.add.
Instruction decode_jump_or_move(uint32_t bits) {
  const uint8_t first = register_at(bits, 7);
  const uint8_t second = register_at(bits, 2);
  const bool links_or_adds = bit_field(bits, 12, 1) != 0;
  if (second != kZero) {
    return make_register(Opcode::kAdd, first, links_or_adds ? first : kZero, second);
  }
  if (first != kZero) {
    return make_immediate(Opcode::kJalr, links_or_adds ? kReturnAddress : kZero, first, 0);
  }
  return links_or_adds ? make_register(Opcode::kEbreak, kZero, kZero, kZero) : Instruction{};
}

Instruction decode_quadrant_2(uint32_t bits) {
  const uint8_t rd = register_at(bits, 7);
  const uint8_t rs2 = register_at(bits, 2);
  switch (bit_field(bits, 13, 3)) {
    case 0:
      return make_immediate(Opcode::kSlli, rd, rd, static_cast<int32_t>(ci_field(bits)));
    case 1:
      return make_immediate(Opcode::kFld, rd, kStackPointer, double_stack_load_offset(bits));
    case 2:
      if (rd == kZero) return {};
      return make_immediate(Opcode::kLw, rd, kStackPointer, word_stack_load_offset(bits));
    case 3:
      if (rd == kZero) return {};
      return make_immediate(Opcode::kLd, rd, kStackPointer, double_stack_load_offset(bits));
    case 4:
      return decode_jump_or_move(bits);
    case 5:
      return make_store(Opcode::kFsd, rs2, kStackPointer, double_stack_store_offset(bits));
    case 6:
      return make_store(Opcode::kSw, rs2, kStackPointer, word_stack_store_offset(bits));
    default:
      return make_store(Opcode::kSd, rs2, kStackPointer, double_stack_store_offset(bits));
  }
}

Instruction expand(uint32_t bits) {
  switch (bit_field(bits, 0, 2)) {
    case 0:
      return decode_quadrant_0(bits);
    case 1:
      return decode_quadrant_1(bits);
    default:
      return decode_quadrant_2(bits);
  }
}

}  // namespace

Instruction decode_compressed(uint16_t bits) {
  CHECK(is_compressed(bits));
  Instruction out = expand(bits);
  out.length = 2;
  out.bits = bits;
  return out;
}

}  // namespace lockstep::riscv
