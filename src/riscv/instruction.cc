#include "riscv/instruction.h"

#include <array>

#include "riscv/compressed.h"
#include "riscv/instruction_fields.h"

namespace lockstep::riscv {
namespace {

constexpr InstructionRow kRows[kOpcodes] = {
    // match has a bit outside mask: no word is equal to it.
    {Opcode::kIllegal, "illegal", 0, 1, Format::kNone, IsaExtension::kBase},
#define INSTRUCTION(opcode, mnemonic, mask, match, format, extension) \
  {Opcode::opcode, mnemonic, mask, match, Format::format, IsaExtension::extension},
#include "riscv/instruction_table.inc"
#undef INSTRUCTION
};

// The key of a word: bits 31..27, 14..12 and 6..2, which tell almost all instructions apart. Bits
// 1..0 of a 32-bit instruction are 11.
constexpr int kKeyBits = 13;
constexpr uint32_t kKeyMask = 0xf800707c;

constexpr uint32_t key_of(uint32_t word) {
  return bit_field(word, 27, 5) << 8 | bit_field(word, 12, 3) << 5 | bit_field(word, 2, 5);
}

// Calls visit(key) for each key that a word of `row` can have.
template <typename Visit>
constexpr void for_each_key(const InstructionRow& row, Visit visit) {
  const uint32_t fixed = key_of(row.match);
  const uint32_t free = key_of(kKeyMask & ~row.mask);
  uint32_t subset = 0;
  do {
    visit(fixed | subset);
    subset = (subset - free) & free;  // the next subset of `free`, in counting order
  } while (subset != 0);
}

constexpr size_t count_index_entries() {
  size_t count = 0;
  for (const InstructionRow& row : std::span(kRows).subspan(1)) {
    for_each_key(row, [&](uint32_t) { ++count; });
  }
  return count;
}

// For each key the rows that a word with that key may be: rows[first[key] .. first[key + 1]).
struct Index {
  std::array<uint16_t, (1 << kKeyBits) + 1> first{};
  std::array<Opcode, count_index_entries()> rows{};
};

constexpr Index make_index() {
  Index index;
  for (const InstructionRow& row : std::span(kRows).subspan(1)) {
    for_each_key(row, [&](uint32_t key) { ++index.first[key + 1]; });
  }
  for (size_t key = 0; key < (1 << kKeyBits); ++key) {
    index.first[key + 1] = static_cast<uint16_t>(index.first[key + 1] + index.first[key]);
  }
  auto next = index.first;
  for (const InstructionRow& row : std::span(kRows).subspan(1)) {
    for_each_key(row, [&](uint32_t key) { index.rows[next[key]++] = row.opcode; });
  }
  return index;
}

constexpr Index kIndex = make_index();

const InstructionRow& find_row(uint32_t word) {
  const uint32_t key = key_of(word);
  for (size_t i = kIndex.first[key]; i < kIndex.first[key + 1]; ++i) {
    const InstructionRow& row = kRows[static_cast<size_t>(kIndex.rows[i])];
    if ((word & row.mask) == row.match) return row;
  }
  return kRows[0];
}

int32_t immediate_of(Format format, uint32_t word) {
  switch (format) {
    case Format::kI:
    case Format::kLoad:
    case Format::kFpLoad:
    case Format::kJalr:
      return i_immediate(word);
    case Format::kIShift64:
    case Format::kIShift32:
      return static_cast<int32_t>(bit_field(word, kRs2Shift, 6));
    case Format::kCsr:
    case Format::kCsrImmediate:
    case Format::kFence:
      return static_cast<int32_t>(bit_field(word, kRs2Shift, 12));
    case Format::kStore:
    case Format::kFpStore:
      return s_immediate(word);
    case Format::kB:
      return b_immediate(word);
    case Format::kU:
      return u_immediate(word);
    case Format::kJ:
      return j_immediate(word);
    default:
      return 0;
  }
}

}  // namespace

Instruction decode(uint32_t bits) {
  if (is_compressed(bits)) return decode_compressed(static_cast<uint16_t>(bits));
  const InstructionRow& row = find_row(bits);
  const uint32_t registers = bits & register_field_mask(row.format);
  return {.opcode = row.opcode,
          .rd = static_cast<uint8_t>(bit_field(registers, kRdShift, 5)),
          .rs1 = static_cast<uint8_t>(bit_field(registers, kRs1Shift, 5)),
          .rs2 = static_cast<uint8_t>(bit_field(registers, kRs2Shift, 5)),
          .rs3 = static_cast<uint8_t>(bit_field(registers, kRs3Shift, 5)),
          .rounding_mode = static_cast<uint8_t>(bit_field(registers, kFunct3Shift, 3)),
          .length = 4,
          .immediate = immediate_of(row.format, bits),
          .bits = bits};
}

Instruction decode(uint32_t bits, IsaExtensions offered) {
  const Instruction instruction = decode(bits);
  if (offered.has(instruction_row(instruction.opcode).extension)) return instruction;
  return {.length = instruction.length, .bits = instruction.bits};
}

bool is_branch(Opcode opcode) {
  switch (opcode) {
    case Opcode::kBeq:
    case Opcode::kBne:
    case Opcode::kBlt:
    case Opcode::kBge:
    case Opcode::kBltu:
    case Opcode::kBgeu:
      return true;
    default:
      return false;
  }
}

bool writes_float_register(Format format) {
  switch (format) {
    case Format::kFpLoad:
    case Format::kRFp:
    case Format::kR4:
    case Format::kRFpUnary:
    case Format::kRFpExact:
    case Format::kIntegerToFp:
    case Format::kIntegerExactToFp:
      return true;
    default:
      return false;
  }
}

std::span<const InstructionRow> instruction_table() {
  return std::span(kRows).subspan(1);
}

const InstructionRow& instruction_row(Opcode opcode) {
  return kRows[static_cast<size_t>(opcode)];
}

}  // namespace lockstep::riscv
