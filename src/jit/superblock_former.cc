#include "jit/superblock_former.h"

#include <algorithm>
#include <bitset>
#include <cstring>

#include "riscv/physical_memory.h"

namespace lockstep::jit {

using riscv::kPageSize;
using riscv::Opcode;

Ending ending_of(Opcode opcode) {
  switch (opcode) {
    case Opcode::kJal:
      return Ending::kDirectJump;
    case Opcode::kJalr:
      return Ending::kIndirectJump;
    case Opcode::kEcall:
    case Opcode::kEbreak:
    case Opcode::kSret:
    case Opcode::kWfi:
    case Opcode::kIllegal:
      return Ending::kElsewhere;
    default:
      return Ending::kNone;
  }
}

void form_superblock(std::span<const std::byte> page, std::span<const std::byte> next,
                     uint32_t entry, riscv::IsaExtensions isa, InstructionRun& run) {
  run.size = 0;
  run.first = entry;
  run.end = entry;
  run.next_offset = entry;
  std::bitset<kPageSize / 2> seen;
  uint32_t offset = entry;
  while (run.size < kMaxInstructions && offset < kPageSize && !seen[offset / 2]) {
    uint32_t bits = 0;
    std::memcpy(&bits, page.data() + offset, std::min<size_t>(4, kPageSize - offset));
    const bool straddles = !riscv::is_compressed(bits) && offset + 4 > kPageSize;
    if (straddles) {
      if (offset != entry || next.empty()) break;
      std::memcpy(std::as_writable_bytes(std::span(&bits, 1)).data() + 2, next.data(), 2);
    }
    PlacedInstruction& placed = run.instructions[run.size++];
    placed = {riscv::decode(bits, isa), static_cast<uint16_t>(offset)};
    seen[offset / 2] = true;
    run.first = std::min(run.first, offset);
    run.end = std::max(run.end, placed.next_offset());
    offset = placed.next_offset();
    run.next_offset = offset;
    const riscv::Instruction& instruction = placed.instruction;
    if (straddles) break;
    const Ending ending = ending_of(instruction.opcode);
    if (ending == Ending::kDirectJump && instruction.rd == 0 && placed.target() >= 0 &&
        placed.target() < static_cast<int64_t>(kPageSize) &&
        !seen[static_cast<size_t>(placed.target()) / 2]) {
      offset = static_cast<uint32_t>(placed.target());
      run.next_offset = offset;
      continue;
    }
    if (ending != Ending::kNone) break;
    if (riscv::is_branch(instruction.opcode) && instruction.immediate <= 0) break;
  }
}

}  // namespace lockstep::jit
