// A user-level test program: blocks of random instructions, each with its own record of memory.
//
// A block loads all registers from its record, runs its instructions, and stores all registers
// back. One register of the block, its base register, holds the address of the record's scratch
// area throughout. Control only flows forward, so the first n instructions of a block are a block
// that does the same up to there: that is how a difference is traced to one instruction.
//
// A program may run its blocks several times over, for engines that treat hot code differently:
// each pass goes on from the records that the one before left.
//
// The result of a run is the whole memory image when the program makes its first system call, a
// write() of that image; its second one is exit_group(0). Nothing in it depends on what the
// registers were at the start.
//
// Owner: none (values). Units: bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/types.h"
#include "riscv/instruction.h"
#include "riscv/physical_memory.h"

namespace lockstep::oracle {

// A record, by offset from the address in the base register; what lies below is the registers.
inline constexpr int kFcsrOffset = -512;  // and x1 to x31 after it, 8 bytes each
inline constexpr int kFpOffset = -256;    // f0 to f31
inline constexpr int kScratchOffset = 0;  // loads and stores of any alignment
inline constexpr int kScratchSize = 512;
inline constexpr int kPoolOffset = kScratchOffset + kScratchSize;  // operands; never written
inline constexpr int kPoolSize = 512;
inline constexpr int kLogOffset = kPoolOffset + kPoolSize;  // results, each in a slot of its own
inline constexpr int kLogSize = 1024;
inline constexpr int kRecordSize = kLogOffset + kLogSize - kFcsrOffset;
static_assert(kLogOffset + kLogSize <= 2048, "all of it in reach of a 12-bit offset");

// How the immediate follows from where the instructions come to lie.
enum class Patch : uint8_t {
  kNone,
  kFromHere,    // the distance from this instruction to the target
  kFromAnchor,  // from instruction `anchor`, an auipc, to the target; plus the immediate's lowest
                // bit
};

// `instruction.length` says which encoding. Without a patch, a compressed one stands in
// `instruction.bits`.
struct PlannedInstruction {
  riscv::Instruction instruction;
  Patch patch = Patch::kNone;
  size_t target = 0;  // an index into the block, or its size: the end
  size_t anchor = 0;
};

struct Block {
  uint8_t base_register = 2;
  int page_boundary = 8;  // where in the scratch area a page begins; a multiple of 8
  std::vector<PlannedInstruction> code;
  Bytes record;  // kRecordSize; what the block finds
};

// The first `count` instructions; jumps beyond lead to the end.
Block prefix(const Block& block, size_t count);

inline constexpr size_t kPage = riscv::kPageSize;

enum class Layout : uint8_t {
  kApart,       // all records, then all code
  kInterleaved  // each record behind its block's code, in the same pages
};

struct Program {
  GuestAddress base;
  GuestAddress entry;
  Bytes image;                      // from `base`
  std::vector<size_t> records;      // offset of each block's record in the image
  std::vector<size_t> code_starts;  // offset of each block's first instruction, its loading
};

inline constexpr GuestAddress kProgramBase{0x80000000};

inline constexpr uint32_t kMaximumPasses = 1000;
Program build_program(std::span<const Block> blocks, Layout layout, uint32_t passes = 1);

// The halfword that stands for the same as a 32-bit instruction; 0 if there is none.
uint16_t compress(const riscv::Instruction& instruction);

}  // namespace lockstep::oracle
