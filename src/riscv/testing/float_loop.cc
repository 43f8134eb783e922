#include "riscv/testing/float_loop.h"

#include "base/check.h"

namespace lockstep::riscv::testing {
namespace {

constexpr uint8_t kTuple = kS0;
constexpr uint8_t kTuplesEnd = kS1;
constexpr uint8_t kResult = kS2;
constexpr uint8_t kMode = kT0;
constexpr uint8_t kFlags = kT1;
constexpr uint8_t kStatusMask = kT2;
constexpr int32_t kFlagsOffset = 8;
constexpr unsigned kFrmShift = 5;  // in fcsr

// Three sources that differ, and a destination that may be one of them.
Instruction with_registers(const FloatCase& tested, std::mt19937_64& random) {
  const auto first = static_cast<uint8_t>(random() % 32);
  Instruction made{.opcode = tested.opcode,
                   .rd = static_cast<uint8_t>(random() % 32),
                   .rs1 = first,
                   .rs2 = static_cast<uint8_t>((first + 5) % 32),
                   .rs3 = static_cast<uint8_t>((first + 11) % 32),
                   .rounding_mode = tested.rounding_mode};
  if (random() % 4 == 0) made.rd = made.rs1;
  const InstructionRow& row = instruction_row(tested.opcode);
  if (!writes_float_register(row.format)) made.rd = static_cast<uint8_t>(kA0 + random() % 8);
  if (operand_kind(row) == OperandKind::kInteger)
    made.rs1 = static_cast<uint8_t>(kA0 + random() % 8);
  return made;
}

// What comes before the instruction, from the tuple.
void emit_operands(Assembler& code, const Instruction& tested) {
  const InstructionRow& row = instruction_row(tested.opcode);
  if (row.format == Format::kFpLoad) return;
  if (row.format == Format::kFpStore) {
    code.load(Opcode::kFld, tested.rs2, kTuple, 0);
    code.store(Opcode::kSd, kZero, kResult, 0);
    return;
  }
  const bool integer = operand_kind(row) == OperandKind::kInteger;
  code.load(integer ? Opcode::kLd : Opcode::kFld, tested.rs1, kTuple, 0);
  const size_t count = operand_count(row.format);
  if (count > 1) code.load(Opcode::kFld, tested.rs2, kTuple, 8);
  if (count > 2) code.load(Opcode::kFld, tested.rs3, kTuple, 16);
}

void emit_tested(Assembler& code, Instruction tested) {
  const Format format = instruction_row(tested.opcode).format;
  if (format == Format::kFpLoad) tested.rs1 = kTuple;
  if (format == Format::kFpStore) tested.rs1 = kResult;
  code.emit(tested);
}

void emit_result(Assembler& code, const Instruction& tested) {
  const Format format = instruction_row(tested.opcode).format;
  code.csr_read(kFlags, Csr::kFflags);
  if (format != Format::kFpStore) {
    code.store(writes_float_register(format) ? Opcode::kFsd : Opcode::kSd, tested.rd, kResult, 0);
  }
  code.store(Opcode::kSd, kFlags, kResult, kFlagsOffset);
  // hash = 3 * hash + result
  code.load(Opcode::kLd, kFlags, kResult, 0);
  code.op(Opcode::kAdd, kFlags, kFlags, kHashRegister);
  code.emit(immediate_form(Opcode::kSlli, kHashRegister, kHashRegister, 1));
  code.op(Opcode::kAdd, kHashRegister, kHashRegister, kFlags);
}

}  // namespace

void emit_float_loop(Assembler& code, const FloatLoop& loop, std::mt19937_64& random) {
  CHECK(loop.tuple_count > 0);
  const Instruction tested = with_registers(loop.tested, random);
  // After a trap the handler may have written frm.
  const bool traps = loop.tested.outcome() == FloatOutcome::kIllegal;
  code.li(kTuple, loop.tuples.value);
  code.li(kTuplesEnd, (loop.tuples + loop.tuple_count * kTupleSize).value);
  code.li(kResult, loop.results.value);
  code.li(kMode, uint64_t{loop.tested.frm} << kFrmShift);
  code.li(kStatusMask, kStatusFs);
  code.csr_write(Csr::kFcsr, kMode);
  const uint64_t start = code.here();
  emit_operands(code, tested);
  if (traps) {
    code.csr_write(Csr::kFcsr, kMode);
  } else {
    code.csr(Opcode::kCsrrwi, kZero, Csr::kFflags, 0);
  }
  if (loop.floating_point == FloatSwitch::kOff) {
    code.csr(Opcode::kCsrrc, kZero, Csr::kSstatus, kStatusMask);
  }
  emit_tested(code, tested);
  emit_result(code, tested);
  code.addi(kTuple, kTuple, static_cast<int32_t>(kTupleSize));
  code.addi(kResult, kResult, static_cast<int32_t>(kFloatResultSize));
  code.branch(Opcode::kBltu, kTuple, kTuplesEnd, start);
}

}  // namespace lockstep::riscv::testing
