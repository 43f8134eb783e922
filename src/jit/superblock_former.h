// Which instructions a superblock has: from an entry on, along the way that code takes when no
// conditional branch is taken, following plain jumps within the page.
//
// An instruction that reaches into the next page is a superblock of its own.
//
// Invariants
//   1. All instructions but such a one lie whole in one page, and each is there once.
//   2. Only the last may be one after which the way on is not known: an indirect jump, a call, a
//      system instruction, a conditional branch backwards.
//
// Owner: none (a pure function of the page's bytes). Internal to jit.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "riscv/instruction.h"
#include "riscv/isa.h"
#include "riscv/physical_memory.h"

namespace lockstep::jit {

// Few enough that their count is a byte of displacement.
inline constexpr size_t kMaxInstructions = 96;

struct PlacedInstruction {
  riscv::Instruction instruction;
  uint16_t offset = 0;  // in the page

  uint32_t next_offset() const { return offset + uint32_t{instruction.length}; }
  // Of a direct jump or branch, relative to the start of the page.
  int64_t target() const { return int64_t{offset} + instruction.immediate; }
};

struct InstructionRun {
  std::array<PlacedInstruction, kMaxInstructions> instructions;  // the first `size` are set
  size_t size = 0;
  // [first, end): the bytes of the page that it was decoded from, and what lies between; `end` is
  // beyond the page for an instruction that reaches into the next one.
  uint32_t first = 0;
  uint32_t end = 0;
  bool straddles() const { return end > riscv::kPageSize; }
  // Where execution goes on when the last instruction has nothing to say about it; may be the
  // page's size.
  uint32_t next_offset = 0;

  std::span<const PlacedInstruction> all() const { return std::span(instructions).first(size); }
};

// Into `run`, whatever it held. `page`: a whole page; `next`: the page that follows it in the
// guest's address space, or nothing: then it is empty when the instruction at `entry` reaches into
// that.
void form_superblock(std::span<const std::byte> page, std::span<const std::byte> next,
                     uint32_t entry, riscv::IsaExtensions isa, InstructionRun& run);

// How an instruction ends a superblock.
enum class Ending : uint8_t {
  kNone,
  kDirectJump,    // jal
  kIndirectJump,  // jalr
  kElsewhere,     // traps or goes where the hart says: ecall, sret, wfi…
};
Ending ending_of(riscv::Opcode opcode);

}  // namespace lockstep::jit
