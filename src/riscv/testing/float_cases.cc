#include "riscv/testing/float_cases.h"

#include <array>
#include <fmt/format.h>
#include <string_view>

#include "riscv/instruction_fields.h"

namespace lockstep::riscv::testing {
namespace {

constexpr uint8_t kModes = 5;
constexpr uint8_t kEncodings = 8;  // of frm
constexpr auto kDynamic = static_cast<uint8_t>(RoundingMode::kDynamic);
constexpr std::array<std::string_view, kEncodings> kModeNames = {"rne", "rtz", "rdn", "rup",
                                                                 "rmm", "5",   "6",   "dyn"};

uint8_t other_mode(uint8_t mode) {
  return static_cast<uint8_t>((mode + 2) % kModes);
}
uint8_t reserved_encoding(uint8_t mode) {
  return static_cast<uint8_t>(kModes + mode % (kEncodings - kModes));
}

// The field's and frm's values, without looking whether they are legal together.
std::vector<FloatCase> all_cases_of(const InstructionRow& row) {
  std::vector<FloatCase> cases;
  if (!has_rounding_mode(row.format)) {
    for (uint8_t frm = 0; frm < kModes; ++frm) cases.push_back({row.opcode, 0, frm});
    cases.push_back({row.opcode, 0, kEncodings - 1});
    return cases;
  }
  for (uint8_t mode = 0; mode < kDynamic; ++mode) {
    cases.push_back({row.opcode, mode, other_mode(mode)});
    cases.push_back({row.opcode, mode, reserved_encoding(mode)});
  }
  for (uint8_t frm = 0; frm < kEncodings; ++frm) cases.push_back({row.opcode, kDynamic, frm});
  return cases;
}

}  // namespace

FloatOutcome FloatCase::outcome() const {
  if (!has_rounding_mode(instruction_row(opcode).format)) return FloatOutcome::kResult;
  const uint8_t mode = rounding_mode == kDynamic ? frm : rounding_mode;
  return mode < kModes ? FloatOutcome::kResult : FloatOutcome::kIllegal;
}

std::string name_of(const FloatCase& tested) {
  const InstructionRow& row = instruction_row(tested.opcode);
  if (!has_rounding_mode(row.format)) return fmt::format("{}, frm {}", row.mnemonic, tested.frm);
  return fmt::format("{} {}, frm {}", row.mnemonic, kModeNames[tested.rounding_mode], tested.frm);
}

bool is_floating_point(const InstructionRow& row) {
  switch (row.format) {
    case Format::kFpLoad:
    case Format::kFpStore:
    case Format::kRFp:
    case Format::kR4:
    case Format::kRFpUnary:
    case Format::kRFpExact:
    case Format::kRFpCompare:
    case Format::kFpToInteger:
    case Format::kIntegerToFp:
    case Format::kFpExactToInteger:
    case Format::kIntegerExactToFp:
      return true;
    default:
      return false;
  }
}

bool has_rounding_mode(Format format) {
  return bit_field(register_field_mask(format), kFunct3Shift, 3) != 0;
}

bool is_float_access(Format format) {
  return format == Format::kFpLoad || format == Format::kFpStore;
}

OperandKind operand_kind(const InstructionRow& row) {
  if (row.format == Format::kIntegerToFp || row.format == Format::kIntegerExactToFp) {
    return OperandKind::kInteger;
  }
  return row.mnemonic.ends_with(".d") ? OperandKind::kDouble : OperandKind::kSingle;
}

size_t operand_count(Format format) {
  switch (format) {
    case Format::kR4:
      return 3;
    case Format::kRFp:
    case Format::kRFpExact:
    case Format::kRFpCompare:
      return 2;
    default:
      return 1;
  }
}

std::vector<FloatCase> float_cases(FloatOutcome outcome) {
  std::vector<FloatCase> cases;
  for (const InstructionRow& row : instruction_table()) {
    if (!is_floating_point(row)) continue;
    for (const FloatCase& tested : all_cases_of(row)) {
      if (tested.outcome() == outcome) cases.push_back(tested);
    }
  }
  return cases;
}

}  // namespace lockstep::riscv::testing
