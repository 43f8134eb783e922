// Every floating-point instruction of the table with every rounding mode, static and dynamic: what
// the directed floating-point programs walk. A row that is new in the table has its cases without a
// change here, as long as its format is known.
//
// Owner: none (pure functions of the instruction table).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "riscv/instruction.h"

namespace lockstep::riscv::testing {

// What happens when a case is executed with floating point enabled.
enum class FloatOutcome : uint8_t {
  kResult,
  // A reserved mode in the instruction, or in frm for a dynamic one: illegal ("F", "Floating-Point
  // Control and Status Register").
  kIllegal,
};

struct FloatCase {
  Opcode opcode = Opcode::kIllegal;
  uint8_t rounding_mode = 0;  // the field; 0 where the format has none
  uint8_t frm = 0;            // what stands in the CSR meanwhile

  FloatOutcome outcome() const;
  bool operator==(const FloatCase&) const = default;
};

// "fadd.s rup, frm 2"
std::string name_of(const FloatCase& tested);

// Rows that have an f register: computations, moves, loads and stores.
bool is_floating_point(const InstructionRow& row);
bool has_rounding_mode(Format format);
bool is_float_access(Format format);

// Where a computation's operands come from: the precision of its name's last part.
enum class OperandKind : uint8_t { kSingle, kDouble, kInteger };
inline constexpr size_t kOperandKinds = 3;
OperandKind operand_kind(const InstructionRow& row);
// 1 to 3, loads and stores included: their value.
size_t operand_count(Format format);

// Static modes are met with frm at another mode and at a reserved one, instructions without a mode
// with frm at each mode and at a reserved one: none of that may matter.
std::vector<FloatCase> float_cases(FloatOutcome outcome);

}  // namespace lockstep::riscv::testing
