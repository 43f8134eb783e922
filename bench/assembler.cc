#include "assembler.h"

#include "base/check.h"
#include "riscv/encoder.h"

namespace lockstep::bench {
namespace {

constexpr size_t kUnbound = ~size_t{0};
constexpr int64_t kInstructionBytes = 4;

}  // namespace

Assembler::Label Assembler::new_label() {
  labels_.push_back(kUnbound);
  return {labels_.size() - 1};
}

void Assembler::bind(Label label) {
  CHECK(labels_[label.index] == kUnbound);
  labels_[label.index] = instructions_.size();
}

void Assembler::r(riscv::Opcode opcode, Reg rd, Reg rs1, Reg rs2) {
  instructions_.push_back({.opcode = opcode, .rd = rd, .rs1 = rs1, .rs2 = rs2});
}

void Assembler::i(riscv::Opcode opcode, Reg rd, Reg rs1, int32_t immediate) {
  instructions_.push_back({.opcode = opcode, .rd = rd, .rs1 = rs1, .immediate = immediate});
}

void Assembler::load(riscv::Opcode opcode, Reg rd, int32_t offset, Reg base) {
  i(opcode, rd, base, offset);
}

void Assembler::store(riscv::Opcode opcode, Reg source, int32_t offset, Reg base) {
  instructions_.push_back({.opcode = opcode, .rs1 = base, .rs2 = source, .immediate = offset});
}

void Assembler::branch(riscv::Opcode opcode, Reg rs1, Reg rs2, Label target) {
  fixups_.push_back({instructions_.size(), target});
  instructions_.push_back({.opcode = opcode, .rs1 = rs1, .rs2 = rs2});
}

void Assembler::fused(riscv::Opcode opcode, Reg rd, Reg rs1, Reg rs2, Reg rs3) {
  instructions_.push_back({.opcode = opcode,
                           .rd = rd,
                           .rs1 = rs1,
                           .rs2 = rs2,
                           .rs3 = rs3,
                           .rounding_mode = static_cast<uint8_t>(riscv::RoundingMode::kDynamic)});
}

void Assembler::wait_for_interrupt() {
  instructions_.push_back({.opcode = riscv::Opcode::kWfi});
}

Bytes Assembler::finish() const {
  std::vector<riscv::Instruction> instructions = instructions_;
  for (const Fixup& fixup : fixups_) {
    const size_t target = labels_[fixup.target.index];
    CHECK(target != kUnbound);
    const auto distance = static_cast<int64_t>(target) - static_cast<int64_t>(fixup.instruction);
    instructions[fixup.instruction].immediate = static_cast<int32_t>(distance * kInstructionBytes);
  }
  Bytes code;
  ByteWriter writer(code);
  for (const riscv::Instruction& instruction : instructions) {
    writer.fixed(riscv::encode(instruction));
  }
  return code;
}

}  // namespace lockstep::bench
