#include "riscv/instruction.h"

#include <cstring>
#include <gtest/gtest.h>
#include <map>
#include <random>
#include <string>

#include "base/bytes.h"
#include "base/hash.h"
#include "riscv/disassembler.h"
#include "riscv/encoder.h"
#include "riscv/instruction_fields.h"

namespace lockstep::riscv {
namespace {

struct DecodeVector {
  uint32_t bits;
  const char* text;
};
constexpr DecodeVector kDecodeVectors[] = {
#include "riscv/decode_vectors.inc"
};

struct CompressedVector {
  uint16_t bits;
  uint32_t expansion;
};
constexpr CompressedVector kCompressedVectors[] = {
#include "riscv/compressed_vectors.inc"
};

// The word that a compressed instruction stands for; 0 when it is reserved.
uint32_t expansion_of(uint16_t bits) {
  const Instruction instruction = decode(bits);
  return instruction.opcode == Opcode::kIllegal ? 0 : encode(instruction);
}

uint32_t random_word_of(const InstructionRow& row, std::mt19937& random) {
  return row.match | (static_cast<uint32_t>(random()) & ~row.mask);
}

TEST(InstructionTable, EveryRowIsItsOwnOpcodeAndAFullLengthInstruction) {
  ASSERT_EQ(instruction_table().size(), kOpcodes - 1);
  for (const InstructionRow& row : instruction_table()) {
    EXPECT_EQ(&instruction_row(row.opcode), &row) << row.mnemonic;
    EXPECT_EQ(row.match & row.mask, row.match) << row.mnemonic;
    EXPECT_EQ(row.mask & 3, 3U) << row.mnemonic;
    EXPECT_EQ(row.match & 3, 3U) << row.mnemonic;
    EXPECT_EQ(row.mask & register_field_mask(row.format), 0U)
        << row.mnemonic << ": the mask covers an operand";
  }
}

TEST(InstructionTable, NoWordIsTwoInstructions) {
  for (const InstructionRow& a : instruction_table()) {
    for (const InstructionRow& b : instruction_table()) {
      if (a.opcode >= b.opcode) continue;
      const uint32_t common = a.mask & b.mask;
      EXPECT_NE(a.match & common, b.match & common) << a.mnemonic << " and " << b.mnemonic;
    }
  }
}

TEST(InstructionTable, IllegalMatchesNothing) {
  const InstructionRow& row = instruction_row(Opcode::kIllegal);
  EXPECT_NE(row.match & ~row.mask, 0U);
  EXPECT_EQ(row.format, Format::kNone);
}

// A linear search of the table says what the index of the decoder must find.
Opcode search(uint32_t bits) {
  for (const InstructionRow& row : instruction_table()) {
    if ((bits & row.mask) == row.match) return row.opcode;
  }
  return Opcode::kIllegal;
}

TEST(Decode, FindsWhatTheTableSays) {
  std::mt19937 random(1);
  for (const InstructionRow& row : instruction_table()) {
    EXPECT_EQ(decode(row.match).opcode, row.opcode) << row.mnemonic;
    for (int i = 0; i < 200; ++i) {
      const uint32_t word = random_word_of(row, random);
      ASSERT_EQ(decode(word).opcode, row.opcode) << row.mnemonic << std::hex << " " << word;
      const uint32_t neighbour = word ^ (4U << (random() % 30));
      ASSERT_EQ(decode(neighbour).opcode, search(neighbour)) << std::hex << neighbour;
    }
  }
}

TEST(Decode, AnyWordIsTotal) {
  std::mt19937 random(2);
  for (int i = 0; i < 300000; ++i) {
    const auto word = static_cast<uint32_t>(random());
    const Instruction instruction = decode(word);
    ASSERT_EQ(instruction.length, is_compressed(word) ? 2 : 4);
    ASSERT_EQ(instruction.bits, is_compressed(word) ? word & 0xffff : word);
    if (!is_compressed(word)) {
      ASSERT_EQ(instruction.opcode, search(word)) << std::hex << word;
    }
    if (instruction.opcode == Opcode::kIllegal) {
      ASSERT_EQ(instruction, (Instruction{.length = instruction.length, .bits = instruction.bits}));
    }
  }
}

TEST(Decode, AgreesWithTheCheckedVectors) {
  for (const DecodeVector& vector : kDecodeVectors) {
    EXPECT_EQ(disassemble(decode(vector.bits)), vector.text) << std::hex << vector.bits;
  }
}

TEST(Decode, RefusesExactlyTheExtensionsThatAreNotOffered) {
  std::mt19937 random(4);
  for (const InstructionRow& row : instruction_table()) {
    const uint32_t word = random_word_of(row, random);
    EXPECT_EQ(decode(word, kAllExtensions), decode(word)) << row.mnemonic;
    EXPECT_EQ(decode(word, {row.extension}), decode(word)) << row.mnemonic;
    const Instruction plain = decode(word, IsaExtensions{});
    if (row.extension == IsaExtension::kBase) {
      EXPECT_EQ(plain, decode(word)) << row.mnemonic;
    } else {
      EXPECT_EQ(plain, (Instruction{.length = 4, .bits = word})) << row.mnemonic;
    }
  }
}

TEST(Decode, ExtensionsHaveTheirInstructions) {
  std::map<IsaExtension, int> count;
  for (const InstructionRow& row : instruction_table()) ++count[row.extension];
  EXPECT_EQ(count[IsaExtension::kZba], 8);
  EXPECT_EQ(count[IsaExtension::kZbb], 24);
  EXPECT_EQ(count[IsaExtension::kZbs], 8);
  EXPECT_EQ(count[IsaExtension::kZicond], 2);
  EXPECT_EQ(count[IsaExtension::kZicboz], 1);
}

TEST(Decode, PrefetchesAreOrisToX0) {
  for (const uint32_t prefetch : {0x00056013U, 0x00156013U, 0x00356013U}) {
    EXPECT_EQ(decode(prefetch, IsaExtensions{}).opcode, Opcode::kOri) << std::hex << prefetch;
    EXPECT_EQ(decode(prefetch).rd, 0) << std::hex << prefetch;
  }
}

TEST(Decode, OtherCacheBlockOperationsAreIllegal) {
  for (const uint32_t word : {0x0005200fU, 0x0015200fU, 0x0025200fU}) {  // inval, clean, flush
    EXPECT_EQ(decode(word).opcode, Opcode::kIllegal) << std::hex << word;
  }
}

TEST(Decode, ReservedRoundingModesAreLeftToTheExecutor) {
  const Instruction instruction = decode(0x00005053);  // fadd.s f0, f0, f0 with mode 5
  EXPECT_EQ(instruction.opcode, Opcode::kFaddS);
  EXPECT_EQ(instruction.rounding_mode, 5);
}

TEST(Decode, MachineModeDoesNotExist) {
  EXPECT_EQ(decode(0x30200073).opcode, Opcode::kIllegal);  // mret
}

TEST(Decode, LongEncodingsAreIllegal) {
  EXPECT_EQ(decode(0x0000001f), (Instruction{.length = 4, .bits = 0x1f}));
  EXPECT_EQ(decode(0xffffffff), (Instruction{.length = 4, .bits = 0xffffffff}));
}

TEST(Decode, FenceHintsAreFences) {
  EXPECT_EQ(decode(0x0100000f).opcode, Opcode::kFence);  // pause
  EXPECT_EQ(decode(0x8330000f).opcode, Opcode::kFence);  // fence.tso
  EXPECT_EQ(decode(0x0ff0000f).immediate, 0x0ff);
}

TEST(Decode, AcquireAndReleaseDoNotMatter) {
  const Instruction plain = decode(0x00c5a52f);
  const Instruction ordered = decode(0x06c5a52f);
  EXPECT_EQ(plain.opcode, Opcode::kAmoaddW);
  EXPECT_EQ(ordered.opcode, Opcode::kAmoaddW);
  EXPECT_EQ(plain.rs2, ordered.rs2);
}

TEST(DecodeCompressed, AgreesWithTheCheckedVectors) {
  for (const CompressedVector& vector : kCompressedVectors) {
    EXPECT_EQ(expansion_of(vector.bits), vector.expansion)
        << std::hex << vector.bits << ": " << disassemble(decode(vector.bits));
  }
}

// The CRC-32C of the expansions of all 49,152 halfwords in order, each a little-endian word (0 when
// reserved), as GNU objdump 2.40 and as 2.40 give them (with the exception that
// compressed_vectors.inc names).
TEST(DecodeCompressed, AllHalfwordsAgreeWithBinutils) {
  Bytes expansions;
  ByteWriter writer(expansions);
  int reserved = 0;
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    if (!is_compressed(bits)) continue;
    const uint32_t expansion = expansion_of(static_cast<uint16_t>(bits));
    writer.fixed(expansion);
    if (expansion == 0) ++reserved;
  }
  EXPECT_EQ(reserved, 2409);
  EXPECT_EQ(crc32c(expansions), 0xc20e1222U);
}

TEST(DecodeCompressed, IgnoresTheUpperHalfOfTheWord) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    if (is_compressed(bits)) {
      ASSERT_EQ(decode(bits | 0xdead0000), decode(bits)) << std::hex << bits;
    }
  }
}

TEST(DecodeCompressed, DiffersFromItsExpansionInLengthAndBitsOnly) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    if (!is_compressed(bits)) continue;
    Instruction compressed = decode(bits);
    if (compressed.opcode == Opcode::kIllegal) continue;
    const uint32_t word = encode(compressed);
    compressed.length = 4;
    compressed.bits = word;
    ASSERT_EQ(decode(word), compressed) << std::hex << bits;
  }
}

TEST(DecodeCompressed, ReservedIsIllegalAndHintsAreNot) {
  for (const uint32_t reserved :
       {0x0000U, 0x2001U, 0x6081U, 0x6101U, 0x4002U, 0x6002U, 0x8002U, 0x9c41U, 0x9c61U, 0x8000U}) {
    EXPECT_EQ(decode(reserved), (Instruction{.length = 2, .bits = reserved}))
        << std::hex << reserved;
  }
  // c.nop with an immediate, c.addi and c.slli by zero, c.li, c.lui, c.mv and c.add to x0.
  for (const uint32_t hint : {0x0005U, 0x0081U, 0x0082U, 0x4005U, 0x6005U, 0x8006U, 0x9006U}) {
    EXPECT_NE(decode(hint).opcode, Opcode::kIllegal) << std::hex << hint;
  }
  EXPECT_EQ(decode(0x9002).opcode, Opcode::kEbreak);
}

TEST(Encode, IsTheInverseOfDecode) {
  std::mt19937 random(3);
  for (const InstructionRow& row : instruction_table()) {
    for (int i = 0; i < 200; ++i) {
      const Instruction instruction = decode(random_word_of(row, random));
      const uint32_t word = encode(instruction);
      Instruction again = decode(word);
      again.bits = instruction.bits;  // bits that are no field (aq, rl, reserved) need not return
      ASSERT_EQ(again, instruction) << row.mnemonic << std::hex << " " << word;
    }
  }
}

TEST(EncodeDeathTest, RefusesWhatDoesNotFit) {
  EXPECT_DEATH(encode({.opcode = Opcode::kAddi, .immediate = 2048}), "CHECK|sign_extend");
  EXPECT_DEATH(encode({.opcode = Opcode::kBeq, .immediate = 3}), "CHECK|sign_extend");
  EXPECT_DEATH(encode({.opcode = Opcode::kSlliw, .immediate = 32}), "CHECK|limit");
  EXPECT_DEATH(encode({.opcode = Opcode::kIllegal}), "CHECK|kIllegal");
}

TEST(Disassemble, NamesTheWordOfAnIllegalInstruction) {
  EXPECT_EQ(disassemble(decode(0)), "illegal 0x0000");
  EXPECT_EQ(disassemble(decode(0x30200073)), "illegal 0x30200073");
}

}  // namespace
}  // namespace lockstep::riscv
