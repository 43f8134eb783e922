// The instructions of the guest (RV64IMAFDC, Zicsr, Zifencei, S-mode, and those of the extensions
// in isa.h) and their decoder.
//
// decode() is total: any 32 bits give an Instruction, and what the guest's ISA does not have, or
// reserves, is kIllegal with its length. HINTs are legal and decode as what they are made of.
//
// Invariants
//   1. decode() is a pure function of the instruction's own bits: of a 16-bit instruction the
//      upper half of the word is ignored.
//   2. A compressed instruction decodes as its expansion, and differs from it in `length` and
//      `bits` only.
//   3. A field that the format does not have is zero.
//
// Owner: none (values and constant tables). Source: the RISC-V unprivileged specification,
// "Instruction Set Listings" and the "C" chapter; the privileged specification for S-mode.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "riscv/isa.h"

namespace lockstep::riscv {

enum class Opcode : uint8_t {
  kIllegal,
#define INSTRUCTION(opcode, mnemonic, mask, match, format, extension) opcode,
#include "riscv/instruction_table.inc"
#undef INSTRUCTION
};

// Which fields an instruction has, and in which register file each register is (x or f).
enum class Format : uint8_t {
  kNone,              // kIllegal
  kR,                 // x rd, x rs1, x rs2
  kRUnary,            // x rd, x rs1
  kI,                 // x rd, x rs1, immediate
  kIShift64,          // x rd, x rs1, immediate 0..63
  kIShift32,          // x rd, x rs1, immediate 0..31
  kLoad,              // x rd, immediate(x rs1)
  kStore,             // x rs2, immediate(x rs1)
  kFpLoad,            // f rd, immediate(x rs1)
  kFpStore,           // f rs2, immediate(x rs1)
  kB,                 // x rs1, x rs2, pc + immediate
  kU,                 // x rd, immediate with its low 12 bits zero
  kJ,                 // x rd, pc + immediate
  kJalr,              // x rd, immediate(x rs1)
  kLoadReserved,      // x rd, (x rs1)
  kAmo,               // x rd, x rs2, (x rs1); sc as well
  kCsr,               // x rd, immediate = CSR number, x rs1
  kCsrImmediate,      // x rd, immediate = CSR number, rs1 = the 5-bit operand itself
  kFence,             // none; immediate = bits 31..20
  kSystem,            // none
  kSfence,            // x rs1, x rs2
  kCacheBlock,        // (x rs1)
  kRFp,               // f rd, f rs1, f rs2, rounding mode
  kR4,                // f rd, f rs1, f rs2, f rs3, rounding mode
  kRFpUnary,          // f rd, f rs1, rounding mode
  kRFpExact,          // f rd, f rs1, f rs2
  kRFpCompare,        // x rd, f rs1, f rs2
  kFpToInteger,       // x rd, f rs1, rounding mode
  kIntegerToFp,       // f rd, x rs1, rounding mode
  kFpExactToInteger,  // x rd, f rs1
  kIntegerExactToFp,  // f rd, x rs1
};

// The rounding_mode field. Values 5 and 6 are reserved and decode as any other: the executor
// raises the exception, as it must for a dynamic mode whose frm is reserved.
enum class RoundingMode : uint8_t {
  kNearestEven = 0,
  kTowardZero = 1,
  kDown = 2,
  kUp = 3,
  kNearestMaxMagnitude = 4,
  kDynamic = 7,
};

struct Instruction {
  Opcode opcode = Opcode::kIllegal;
  uint8_t rd = 0;
  uint8_t rs1 = 0;  // kCsrImmediate: the zero-extended operand
  uint8_t rs2 = 0;
  uint8_t rs3 = 0;
  uint8_t rounding_mode = 0;
  uint8_t length = 4;     // bytes: 2 or 4
  int32_t immediate = 0;  // sign-extended; shifts: the amount; CSR: the number, 0..4095
  uint32_t bits = 0;      // the instruction as fetched; of a compressed one 16 bits, zero-extended

  bool operator==(const Instruction&) const = default;
};

struct InstructionRow {
  Opcode opcode;
  std::string_view mnemonic;
  uint32_t mask;
  uint32_t match;
  Format format;
  IsaExtension extension;
};

constexpr bool is_compressed(uint32_t bits) {
  return (bits & 3) != 3;
}

// Of everything that the table has, whatever a guest is offered.
Instruction decode(uint32_t bits);
// For a guest: an instruction of an extension that is not in `offered` is kIllegal.
Instruction decode(uint32_t bits, IsaExtensions offered);

// Conditional.
bool is_branch(Opcode opcode);
// rd is an f register.
bool writes_float_register(Format format);

// All rows but kIllegal, in the order of Opcode.
std::span<const InstructionRow> instruction_table();
// The row of an opcode; for kIllegal a row of format kNone named "illegal", which matches nothing.
const InstructionRow& instruction_row(Opcode opcode);
inline constexpr size_t kOpcodes = 1
#define INSTRUCTION(opcode, mnemonic, mask, match, format, extension) +1
#include "riscv/instruction_table.inc"
#undef INSTRUCTION
    ;

}  // namespace lockstep::riscv
