#include "riscv/disassembler.h"

#include <fmt/format.h>
#include <string_view>

namespace lockstep::riscv {
namespace {

std::string_view rounding_suffix(uint8_t rounding_mode) {
  constexpr std::string_view kNames[8] = {", rne", ", rtz",       ", rdn",       ", rup",
                                          ", rmm", ", reserved5", ", reserved6", ""};
  return kNames[rounding_mode & 7];
}

std::string offset_text(int32_t immediate) {
  return immediate < 0 ? fmt::format("pc - {}", -int64_t{immediate})
                       : fmt::format("pc + {}", immediate);
}

std::string floating_operands(const Instruction& i, Format format) {
  const std::string_view rounding = rounding_suffix(i.rounding_mode);
  switch (format) {
    case Format::kRFp:
      return fmt::format("f{}, f{}, f{}{}", i.rd, i.rs1, i.rs2, rounding);
    case Format::kR4:
      return fmt::format("f{}, f{}, f{}, f{}{}", i.rd, i.rs1, i.rs2, i.rs3, rounding);
    case Format::kRFpUnary:
      return fmt::format("f{}, f{}{}", i.rd, i.rs1, rounding);
    case Format::kRFpExact:
      return fmt::format("f{}, f{}, f{}", i.rd, i.rs1, i.rs2);
    case Format::kRFpCompare:
      return fmt::format("x{}, f{}, f{}", i.rd, i.rs1, i.rs2);
    case Format::kFpToInteger:
      return fmt::format("x{}, f{}{}", i.rd, i.rs1, rounding);
    case Format::kIntegerToFp:
      return fmt::format("f{}, x{}{}", i.rd, i.rs1, rounding);
    case Format::kFpExactToInteger:
      return fmt::format("x{}, f{}", i.rd, i.rs1);
    case Format::kIntegerExactToFp:
      return fmt::format("f{}, x{}", i.rd, i.rs1);
    default:
      return {};
  }
}

std::string operands(const Instruction& i, Format format) {
  switch (format) {
    case Format::kR:
      return fmt::format("x{}, x{}, x{}", i.rd, i.rs1, i.rs2);
    case Format::kRUnary:
      return fmt::format("x{}, x{}", i.rd, i.rs1);
    case Format::kI:
    case Format::kIShift64:
    case Format::kIShift32:
      return fmt::format("x{}, x{}, {}", i.rd, i.rs1, i.immediate);
    case Format::kLoad:
    case Format::kJalr:
      return fmt::format("x{}, {}(x{})", i.rd, i.immediate, i.rs1);
    case Format::kStore:
      return fmt::format("x{}, {}(x{})", i.rs2, i.immediate, i.rs1);
    case Format::kFpLoad:
      return fmt::format("f{}, {}(x{})", i.rd, i.immediate, i.rs1);
    case Format::kFpStore:
      return fmt::format("f{}, {}(x{})", i.rs2, i.immediate, i.rs1);
    case Format::kB:
      return fmt::format("x{}, x{}, {}", i.rs1, i.rs2, offset_text(i.immediate));
    case Format::kU:
      return fmt::format("x{}, {:#x}", i.rd, static_cast<uint32_t>(i.immediate) >> 12);
    case Format::kJ:
      return fmt::format("x{}, {}", i.rd, offset_text(i.immediate));
    case Format::kLoadReserved:
      return fmt::format("x{}, (x{})", i.rd, i.rs1);
    case Format::kAmo:
      return fmt::format("x{}, x{}, (x{})", i.rd, i.rs2, i.rs1);
    case Format::kCsr:
      return fmt::format("x{}, {:#x}, x{}", i.rd, i.immediate, i.rs1);
    case Format::kCsrImmediate:
      return fmt::format("x{}, {:#x}, {}", i.rd, i.immediate, i.rs1);
    case Format::kSfence:
      return fmt::format("x{}, x{}", i.rs1, i.rs2);
    case Format::kCacheBlock:
      return fmt::format("(x{})", i.rs1);
    default:
      return floating_operands(i, format);
  }
}

}  // namespace

std::string disassemble(const Instruction& instruction) {
  const InstructionRow& row = instruction_row(instruction.opcode);
  if (instruction.opcode == Opcode::kIllegal) {
    return fmt::format("illegal {:#0{}x}", instruction.bits, instruction.length * 2 + 2);
  }
  const std::string text = operands(instruction, row.format);
  return text.empty() ? std::string(row.mnemonic) : fmt::format("{} {}", row.mnemonic, text);
}

}  // namespace lockstep::riscv
