// A two-pass assembler of just what the benchmark loops need: instructions by opcode and labels.
// Owner: the main thread.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "riscv/instruction.h"

namespace lockstep::bench {

// The x registers by the names of the calling convention, and the f registers in use.
enum Reg : uint8_t {
  kZero = 0,
  kT0 = 5,
  kT1 = 6,
  kT2 = 7,
  kS0 = 8,
  kS1 = 9,
  kA0 = 10,
  kA1 = 11,
  kS2 = 18,
  kS3 = 19,
  kS4 = 20,
  kS5 = 21,
  kS6 = 22,
  kS7 = 23,
  kS8 = 24,
  kT3 = 28,
  kT4 = 29,
  kT5 = 30,
  kT6 = 31,
  kFa3 = 13,
  kFa4 = 14,
  kFa5 = 15,
};

class Assembler {
 public:
  struct Label {
    size_t index = 0;
  };

  Label new_label();
  void bind(Label label);

  void r(riscv::Opcode opcode, Reg rd, Reg rs1, Reg rs2);
  void i(riscv::Opcode opcode, Reg rd, Reg rs1, int32_t immediate);
  void load(riscv::Opcode opcode, Reg rd, int32_t offset, Reg base);
  void store(riscv::Opcode opcode, Reg source, int32_t offset, Reg base);
  void branch(riscv::Opcode opcode, Reg rs1, Reg rs2, Label target);
  void fused(riscv::Opcode opcode, Reg rd, Reg rs1, Reg rs2, Reg rs3);
  void wait_for_interrupt();

  // All labels that are used are bound (CHECK).
  Bytes finish() const;

 private:
  struct Fixup {
    size_t instruction = 0;
    Label target;
  };

  std::vector<riscv::Instruction> instructions_;
  std::vector<Fixup> fixups_;
  std::vector<size_t> labels_;
};

}  // namespace lockstep::bench
