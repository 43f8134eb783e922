// Tests of the oracle itself: that programs are what they should be, that QEMU runs them, and that
// a planted difference is found and named.
#include <array>
#include <cstring>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>
#include <utility>

#include "riscv/encoder.h"
#include "tests/oracle/comparison.h"
#include "tests/oracle/elf.h"
#include "tests/oracle/float_matrix.h"
#include "tests/oracle/generator.h"
#include "tests/oracle/operand_pool.h"
#include "tests/oracle/program.h"
#include "tests/oracle/runner.h"

namespace lockstep::oracle {
namespace {

using riscv::Format;
using riscv::Instruction;
using riscv::Opcode;
using testing::HasSubstr;

constexpr const char* kQemu = "qemu-riscv64-static";
constexpr ProgramShape kSmall{.blocks = 8, .instructions = 60};

TEST(Generator, TheSeedIsAllThatMatters) {
  const auto blocks = random_blocks(5, kSmall);
  const Program first = build_program(blocks, Layout::kApart);
  const Program again = build_program(random_blocks(5, kSmall), Layout::kApart);
  const Program other = build_program(random_blocks(6, kSmall), Layout::kApart);
  EXPECT_EQ(first.image, again.image);
  EXPECT_NE(first.image, other.image);
}

TEST(Generator, EveryUserInstructionOfTheTableIsDrawn) {
  std::set<Opcode> drawn;
  size_t compressed = 0;
  size_t all = 0;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    for (const PlannedInstruction& planned : random_block(seed, 200).code) {
      drawn.insert(planned.instruction.opcode);
      ++all;
      compressed += planned.instruction.length == 2 ? 1U : 0U;
    }
  }
  for (const riscv::InstructionRow& row : riscv::instruction_table()) {
    if (row.format == Format::kSystem || row.format == Format::kSfence) continue;
    if (!oracle_knows(row)) continue;
    EXPECT_TRUE(drawn.contains(row.opcode)) << row.mnemonic;
  }
  EXPECT_GT(compressed * 7, all) << "too few compressed instructions";
}

TEST(Generator, TheBaseRegisterIsNeverWritten) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    const Block block = random_block(seed, 200);
    for (const PlannedInstruction& planned : block.code) {
      const Instruction& i = planned.instruction;
      const Format format = riscv::instruction_row(i.opcode).format;
      const bool floating = format == Format::kFpLoad || format == Format::kRFp ||
                            format == Format::kR4 || format == Format::kRFpUnary ||
                            format == Format::kRFpExact || format == Format::kIntegerToFp ||
                            format == Format::kIntegerExactToFp;
      if (!floating) {
        ASSERT_NE(i.rd, block.base_register) << "seed " << seed;
      }
    }
  }
}

TEST(Generator, JumpsLeadForward) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const Block block = random_block(seed, 100);
    for (size_t i = 0; i < block.code.size(); ++i) {
      if (block.code[i].patch == Patch::kNone) continue;
      ASSERT_GT(block.code[i].target, i);
      ASSERT_LE(block.code[i].target, block.code.size());
    }
  }
}

TEST(OperandPool, HoldsEveryKindOfNumber) {
  Random random(1);
  std::set<std::string> kinds;
  for (int i = 0; i < 20000; ++i) {
    const uint64_t bits = random_double(random);
    const uint64_t fraction = bits & ((uint64_t{1} << 52) - 1);
    const uint64_t exponent = bits >> 52 & 0x7ff;
    const std::string sign = bits >> 63 != 0 ? "-" : "+";
    if (exponent == 0x7ff && fraction == 0) kinds.insert(sign + "infinity");
    if (exponent == 0x7ff && fraction >> 51 == 1) kinds.insert(sign + "quiet");
    if (exponent == 0x7ff && fraction != 0 && fraction >> 51 == 0)
      kinds.insert(sign + "signalling");
    if (exponent == 0 && fraction == 0) kinds.insert(sign + "zero");
    if (exponent == 0 && fraction != 0) kinds.insert(sign + "subnormal");
    if (exponent != 0 && exponent != 0x7ff) kinds.insert(sign + "normal");
  }
  EXPECT_EQ(kinds.size(), 12U);
}

TEST(Compress, GivesTheSameInstruction) {
  EXPECT_EQ(compress({.opcode = Opcode::kAddi, .rd = 10, .rs1 = 10, .immediate = -1}), 0x157d);
  EXPECT_EQ(compress({.opcode = Opcode::kAddi, .rd = 10, .rs1 = 11, .immediate = 100}), 0);
}

TEST(Elf, HasTheImageAtItsAddress) {
  const auto blocks = random_blocks(1, kSmall);
  const Program program = build_program(blocks, Layout::kApart);
  const Bytes elf = make_elf(program);
  ASSERT_EQ(elf.size(), 4096 + program.image.size());
  EXPECT_EQ(std::memcmp(elf.data(),
                        "\x7f"
                        "ELF",
                        4),
            0);
  EXPECT_EQ(std::memcmp(elf.data() + 4096, program.image.data(), program.image.size()), 0);
}

class Oracle : public testing::Test {
 protected:
  TemporaryDirectory directory_;
  Runner qemu_ = qemu_runner(directory_, kQemu);
};

TEST_F(Oracle, AgreesWithItself) {
  for (const Layout layout : {Layout::kApart, Layout::kInterleaved}) {
    const auto difference = compare(random_blocks(7, kSmall), {layout, 3}, {qemu_, qemu_});
    ASSERT_TRUE(difference) << difference.error().text();
    EXPECT_FALSE(difference->has_value()) << (*difference)->report;
  }
}

TEST_F(Oracle, LeavesTheCodeAsItIsAndTheRecordsChanged) {
  const auto blocks = random_blocks(3, kSmall);
  const Program program = build_program(blocks, Layout::kApart);
  const Result<Bytes> image = qemu_(program);
  ASSERT_TRUE(image) << image.error().text();
  const size_t code = program.code_starts[0];
  EXPECT_TRUE(std::equal(image->begin() + static_cast<ptrdiff_t>(code), image->end(),
                         program.image.begin() + static_cast<ptrdiff_t>(code)));
  for (size_t i = 0; i < blocks.size(); ++i) {
    EXPECT_NE(std::memcmp(image->data() + program.records[i], blocks[i].record.data(), kRecordSize),
              0);
  }
}

TEST_F(Oracle, AMissingOracleIsAnErrorThatSaysWhatToDo) {
  const Runner missing = qemu_runner(directory_, "no-such-qemu");
  const auto blocks = random_blocks(3, kSmall);
  const Result<Bytes> image = missing(build_program(blocks, Layout::kApart));
  ASSERT_FALSE(image);
  EXPECT_THAT(image.error().text(), HasSubstr("no-such-qemu"));
  EXPECT_THAT(image.error().text(), HasSubstr("install"));
}

// An engine that takes each `wrong.from` in the code for `wrong.to`.
struct PlantedBug {
  Instruction from;
  Instruction to;
};
Runner with_bug(Runner runner, const PlantedBug& bug) {
  return [runner = std::move(runner), from = riscv::encode(bug.from),
          to = riscv::encode(bug.to)](const Program& program) -> Result<Bytes> {
    Program changed = program;
    std::vector<size_t> places;
    for (size_t at = program.code_starts[0]; at + 4 <= program.image.size(); at += 2) {
      if (std::memcmp(program.image.data() + at, &from, 4) == 0) places.push_back(at);
    }
    for (const size_t at : places) std::memcpy(changed.image.data() + at, &to, 4);
    return runner(changed);
  };
}

Block straight_block(std::initializer_list<Instruction> instructions) {
  Block block = random_block(11, 0);
  block.base_register = 2;
  block.code.clear();
  for (const Instruction& instruction : instructions) {
    block.code.push_back({.instruction = instruction});
  }
  return block;
}

TEST_F(Oracle, FindsAPlantedBugAndNamesTheInstruction) {
  const Instruction right{.opcode = Opcode::kFaddD, .rd = 3, .rs1 = 4, .rs2 = 5};
  const Instruction wrong{.opcode = Opcode::kFsubD, .rd = 3, .rs1 = 4, .rs2 = 5};
  const Instruction one{.opcode = Opcode::kAddi, .rd = 6, .rs1 = 0, .immediate = 1};
  const Instruction to_double{.opcode = Opcode::kFcvtDL, .rd = 4, .rs1 = 6};
  const Instruction to_double_too{.opcode = Opcode::kFcvtDL, .rd = 5, .rs1 = 6};
  const Instruction later{.opcode = Opcode::kFcvtLD, .rd = 7, .rs1 = 3};
  const std::vector<Block> blocks = {
      straight_block({one, to_double}),
      straight_block({one, to_double, to_double_too, right, later}),
  };
  const auto difference = compare(blocks, {}, {qemu_, with_bug(qemu_, {right, wrong})});
  ASSERT_TRUE(difference) << difference.error().text();
  ASSERT_TRUE(difference->has_value());
  EXPECT_EQ((*difference)->block, 1U);
  EXPECT_EQ((*difference)->instruction, 3U);
  const std::string& report = (*difference)->report;
  EXPECT_THAT(report, HasSubstr("fadd.d f3, f4, f5"));
  EXPECT_THAT(report, HasSubstr("f4 = 0x3ff0000000000000"));
  EXPECT_THAT(report, HasSubstr("f3: oracle 0x4000000000000000, engine 0x0000000000000000"));
  EXPECT_THAT(report, testing::Not(HasSubstr("x7")));
}

TEST_F(Oracle, TracesABugThatShowsInALaterPass) {
  // x6 counts passes; x7 = x6 < 3 by the right instruction, x6 < 4 by the wrong one.
  const Instruction count{.opcode = Opcode::kAddi, .rd = 6, .rs1 = 6, .immediate = 1};
  const Instruction right{.opcode = Opcode::kSltiu, .rd = 7, .rs1 = 6, .immediate = 3};
  const Instruction wrong{.opcode = Opcode::kSltiu, .rd = 7, .rs1 = 6, .immediate = 4};
  Block block = straight_block({count, right});
  std::memset(block.record.data() + 8 * 6, 0, 8);
  const auto find = [&](uint32_t passes) {
    return compare({&block, 1}, {Layout::kApart, passes}, {qemu_, with_bug(qemu_, {right, wrong})});
  };
  const auto unseen = find(2);
  ASSERT_TRUE(unseen) << unseen.error().text();
  EXPECT_FALSE(unseen->has_value());

  const auto difference = find(3);
  ASSERT_TRUE(difference) << difference.error().text();
  ASSERT_TRUE(difference->has_value());
  EXPECT_EQ((*difference)->instruction, 1U);
  EXPECT_EQ((*difference)->pass, 3U);
  EXPECT_THAT((*difference)->report, HasSubstr("x6 = 0x0000000000000003"));
}

TEST(FloatMatrix, HasEveryRowWithEveryLegalMode) {
  std::set<std::pair<Opcode, uint8_t>> met;
  for (const FloatJob& job : float_jobs(MatrixSize::kBounded, 0)) {
    if (job.cases.empty()) continue;
    const Program program = build_float_program(job);
    ByteReader reader(ByteView(program.image).subspan(program.code_starts[0]));
    while (reader.remaining() >= 4) {
      const Instruction instruction = riscv::decode(reader.fixed<uint32_t>());
      met.insert({instruction.opcode, instruction.rounding_mode});
    }
  }
  for (const riscv::InstructionRow& row : riscv::instruction_table()) {
    if (!row.mnemonic.starts_with('f') || row.format == Format::kFence) continue;
    if (!riscv::testing::has_rounding_mode(row.format)) {
      EXPECT_TRUE(met.contains({row.opcode, uint8_t{0}})) << row.mnemonic;
      continue;
    }
    for (const auto mode : std::to_array<uint8_t>({0, 1, 2, 3, 4, 7})) {
      EXPECT_TRUE(met.contains({row.opcode, mode})) << row.mnemonic << ", mode " << int{mode};
    }
  }
}

TEST_F(Oracle, FindsAWrongFloatingPointResultAndNamesItsOperands) {
  constexpr uint64_t kMinusZero = uint64_t{1} << 63;
  const FloatJob job{.cases = {{Opcode::kFminD, 0, 0}, {Opcode::kFaddD, 2, 0}},
                     .tuples = {{0, kMinusZero, 0}, {1, 2, 0}}};
  FloatJob wrong = job;
  wrong.cases[0].opcode = Opcode::kFmaxD;
  const Runner engine = [&](const Program&) { return qemu_(build_float_program(wrong)); };
  FloatTotals totals;
  const Status status = compare_float_job(job, qemu_, engine, totals);
  ASSERT_TRUE(status) << status.error().text();
  EXPECT_EQ(totals.results, 4U);
  EXPECT_EQ(totals.differences, 2U);
  ASSERT_EQ(totals.reports.size(), 1U) << "the first of each case";
  EXPECT_THAT(totals.reports[0], HasSubstr("fmin.d, frm 0: 0x0000000000000000 0x8000000000000000"));
  EXPECT_THAT(totals.reports[0], HasSubstr("oracle 0x8000000000000000, flags 0x00"));
  EXPECT_THAT(totals.reports[0], HasSubstr("engine 0x0000000000000000, flags 0x00"));
}

TEST(Comparison, NamesWhatDiffers) {
  Bytes a(kRecordSize);
  Bytes b = a;
  b[8 * 5] = std::byte{1};
  b[static_cast<size_t>(kFpOffset - kFcsrOffset) + 8 * 7] = std::byte{2};
  b[static_cast<size_t>(kScratchOffset - kFcsrOffset) + 16] = std::byte{3};
  EXPECT_THAT(differing_fields(a, b),
              testing::ElementsAre("x5: oracle 0x0000000000000000, engine 0x0000000000000001",
                                   "f7: oracle 0x0000000000000000, engine 0x0000000000000002",
                                   "scratch + 16: oracle 0x0000000000000000, engine "
                                   "0x0000000000000003"));
  EXPECT_TRUE(differing_fields(a, a).empty());
}

}  // namespace
}  // namespace lockstep::oracle
