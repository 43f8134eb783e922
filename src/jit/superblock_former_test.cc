#include "jit/superblock_former.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <gtest/gtest.h>
#include <memory>
#include <random>
#include <set>
#include <vector>

#include "base/bytes.h"
#include "riscv/encoder.h"
#include "riscv/testing/assembler.h"

namespace lockstep::jit {
namespace {

using namespace lockstep::riscv::testing;
using riscv::kAllExtensions;
using riscv::kPageSize;
using riscv::Opcode;

constexpr GuestAddress kPage{0x80000000};  // an assembler's; nothing depends on it
constexpr uint32_t kLastHalf = kPageSize - 2;

std::unique_ptr<InstructionRun> form(ByteView page, uint32_t entry, ByteView next = {}) {
  auto run = std::make_unique<InstructionRun>();
  // What the run held before must not matter.
  run->size = kMaxInstructions;
  run->end = 1;
  form_superblock(page, next, entry, kAllExtensions, *run);
  return run;
}

Bytes page_of(const Assembler& code) {
  Bytes page = code.bytes();
  page.resize(kPageSize);
  return page;
}

std::vector<uint32_t> offsets_of(const InstructionRun& run) {
  std::vector<uint32_t> offsets;
  for (const PlacedInstruction& placed : run.all()) offsets.push_back(placed.offset);
  return offsets;
}

using Offsets = std::vector<uint32_t>;

TEST(SuperblockFormer, GoesOnThroughBranchesForwardsAndEndsAtAJumpByRegister) {
  Assembler code(kPage);
  code.nop();
  code.branch(Opcode::kBeq, kA0, kA1, kPage.value + 64);
  code.half(0x0001);  // c.nop
  code.jalr(kRa, kA0);
  code.nop();
  const auto run = form(page_of(code), 0);
  EXPECT_EQ(offsets_of(*run), (Offsets{0, 4, 8, 10}));
  EXPECT_EQ(run->first, 0u);
  EXPECT_EQ(run->end, 14u);
  EXPECT_EQ(run->next_offset, 14u);
  EXPECT_FALSE(run->straddles());
}

TEST(SuperblockFormer, EndsWithABranchBackwardsOrToItself) {
  for (const int32_t distance : {-8, -4096, 0}) {
    Assembler code(kPage);
    code.nop();
    code.nop();
    code.emit(store_form(Opcode::kBne, kA0, kA1, distance));
    code.nop();
    EXPECT_EQ(offsets_of(*form(page_of(code), 0)), (Offsets{0, 4, 8})) << distance;
  }
}

TEST(SuperblockFormer, FollowsPlainJumpsWithinThePage) {
  Assembler code(kPage);
  code.nop();
  code.jal(kZero, kPage.value + 40);  // at 4
  code.nop();
  code.jal(kRa, kPage.value);  // at 12: a call ends it
  code.pad_to(kPage.value + 40);
  code.nop();
  code.jal(kZero, kPage.value + 12);  // backwards, to what was not there
  const auto run = form(page_of(code), 0);
  EXPECT_EQ(offsets_of(*run), (Offsets{0, 4, 40, 44, 12}));
  EXPECT_EQ(run->first, 0u);
  EXPECT_EQ(run->end, 48u);
  EXPECT_EQ(run->next_offset, 16u);
  // From in between, what lies before the entry counts, too.
  const auto from_behind = form(page_of(code), 40);
  EXPECT_EQ(offsets_of(*from_behind), (Offsets{40, 44, 12}));
  EXPECT_EQ(from_behind->first, 12u);
  EXPECT_EQ(from_behind->end, 48u);
}

TEST(SuperblockFormer, DoesNotFollowAJumpToWhatItHasOrOutOfThePage) {
  Assembler loop(kPage);
  loop.nop();
  loop.nop();
  loop.jal(kZero, kPage.value + 4);
  EXPECT_EQ(offsets_of(*form(page_of(loop), 0)), (Offsets{0, 4, 8}));

  for (const uint64_t target : {kPage.value - 2, kPage.value + kPageSize}) {
    Assembler out(kPage);
    out.nop();
    out.jal(kZero, target);
    out.nop();
    EXPECT_EQ(offsets_of(*form(page_of(out), 0)), (Offsets{0, 4})) << target;
  }
}

TEST(SuperblockFormer, EndsBeforeAnInstructionThatItHasAlready) {
  Assembler meets(kPage);
  meets.jal(kZero, kPage.value + 8);
  meets.jal(kRa, kPage.value);
  meets.nop();                        // 8
  meets.jal(kZero, kPage.value + 4);  // 12
  EXPECT_EQ(offsets_of(*form(page_of(meets), 8)), (Offsets{8, 12, 4}));

  Assembler runs_into(kPage);
  runs_into.nop();                         // 0
  runs_into.nop();                         // 4
  runs_into.jal(kZero, kPage.value + 24);  // 8
  runs_into.pad_to(kPage.value + 24);
  runs_into.jal(kZero, kPage.value);  // 24
  // From 4: 4, 8, 24, 0, and then 4 again.
  const auto circle = form(page_of(runs_into), 4);
  EXPECT_EQ(offsets_of(*circle), (Offsets{4, 8, 24, 0}));
  EXPECT_EQ(circle->next_offset, 4u);
  EXPECT_EQ(circle->first, 0u);
  EXPECT_EQ(circle->end, 28u);
}

TEST(SuperblockFormer, EndsWithWhatGoesElsewhere) {
  for (const Opcode opcode : {Opcode::kEcall, Opcode::kEbreak, Opcode::kSret, Opcode::kWfi}) {
    Assembler code(kPage);
    code.nop();
    code.op(opcode);
    code.nop();
    EXPECT_EQ(offsets_of(*form(page_of(code), 0)), (Offsets{0, 4}));
  }
  Assembler code(kPage);
  code.nop();
  code.word(0xffffffff);
  code.nop();
  EXPECT_EQ(offsets_of(*form(page_of(code), 0)), (Offsets{0, 4}));
}

TEST(SuperblockFormer, HasAtMostSoManyInstructions) {
  Assembler code(kPage);
  code.pad_to(kPage.value + kPageSize);
  const auto run = form(code.bytes(), 0);
  EXPECT_EQ(run->size, kMaxInstructions);
  EXPECT_EQ(run->next_offset, 2 * kMaxInstructions);
  EXPECT_EQ(run->end, 2 * kMaxInstructions);
  // As many as the page has.
  const auto tail = form(code.bytes(), kPageSize - 10);
  EXPECT_EQ(tail->size, 5u);
  EXPECT_EQ(tail->next_offset, kPageSize);
  EXPECT_FALSE(tail->straddles());
}

TEST(SuperblockFormer, AnInstructionThatReachesIntoTheNextPageStandsAlone) {
  const uint32_t word = riscv::encode(immediate_form(Opcode::kAddi, kA0, kA0, 0x7ff));
  Assembler code(kPage);
  code.pad_to(kPage.value + kLastHalf);
  code.half(static_cast<uint16_t>(word));
  Assembler next(kPage + kPageSize);
  next.half(static_cast<uint16_t>(word >> 16));
  next.nop();

  const auto before = form(code.bytes(), kLastHalf - 4, page_of(next));
  EXPECT_EQ(offsets_of(*before), (Offsets{kLastHalf - 4, kLastHalf - 2}));
  EXPECT_EQ(before->next_offset, kLastHalf);
  EXPECT_EQ(before->end, kLastHalf);
  EXPECT_FALSE(before->straddles());

  const auto alone = form(code.bytes(), kLastHalf, page_of(next));
  ASSERT_EQ(offsets_of(*alone), (Offsets{kLastHalf}));
  EXPECT_EQ(alone->instructions[0].instruction, riscv::decode(word));
  EXPECT_TRUE(alone->straddles());
  EXPECT_EQ(alone->first, kLastHalf);
  EXPECT_EQ(alone->end, kPageSize + 2);
  EXPECT_EQ(alone->next_offset, kPageSize + 2);

  const auto nothing = form(code.bytes(), kLastHalf);
  EXPECT_EQ(nothing->size, 0u);

  // A jump backwards that straddles is not followed.
  const uint32_t jump = riscv::encode(immediate_form(Opcode::kJal, 0, 0, -16));
  Bytes page = code.bytes();
  Bytes second = page_of(next);
  std::memcpy(page.data() + kLastHalf, &jump, 2);
  const uint16_t high = static_cast<uint16_t>(jump >> 16);
  std::memcpy(second.data(), &high, 2);
  EXPECT_EQ(offsets_of(*form(page, kLastHalf, second)), (Offsets{kLastHalf}));
}

TEST(SuperblockFormer, ACompressedInstructionInTheLastHalfwordIsOneOfMany) {
  Assembler code(kPage);
  code.pad_to(kPage.value + kPageSize);
  const auto run = form(code.bytes(), kLastHalf);
  EXPECT_EQ(offsets_of(*run), (Offsets{kLastHalf}));
  EXPECT_FALSE(run->straddles());
  EXPECT_EQ(run->end, kPageSize);
}

TEST(SuperblockFormer, KnowsOnlyWhatTheGuestIsOffered) {
  Assembler code(kPage);
  code.op(Opcode::kAndn, kA0, kA1, kA2);
  code.jalr(kZero, kRa);
  InstructionRun run;
  form_superblock(page_of(code), {}, 0, riscv::IsaExtensions{}, run);
  ASSERT_EQ(run.size, 1u);
  EXPECT_EQ(run.instructions[0].instruction.opcode, Opcode::kIllegal);
}

// --- Random pages: the header's invariants, and that each run ends for a reason

// Instructions with many short jumps, branches and compressed ones, or mere noise.
Bytes random_page(std::mt19937_64& random) {
  const auto distance = [&] { return 2 * (static_cast<int32_t>(random() % 256) - 128); };
  Assembler code(kPage);
  while (code.bytes().size() < kPageSize) {
    const auto register_of = [&] { return static_cast<uint8_t>(random() % 3); };
    switch (random() % 12) {
      case 0:
        code.emit(immediate_form(Opcode::kJal, register_of(), 0, distance()));
        break;
      case 1:
      case 2:
        code.emit(store_form(Opcode::kBlt, kA0, kA1, 2 * static_cast<int32_t>(random() % 512)));
        break;
      case 3:
        if (random() % 4 == 0) code.emit(store_form(Opcode::kBgeu, kA0, kA1, distance()));
        break;
      case 4:
        if (random() % 8 == 0) code.word(static_cast<uint32_t>(random()));
        break;
      case 5:
      case 6:
        code.half(0x0001);
        break;
      default:
        code.emit(immediate_form(Opcode::kAddi, kA0, kA1, 5));
    }
  }
  Bytes page = code.bytes();
  page.resize(kPageSize);
  return page;
}

uint32_t bits_at(const Bytes& page, const Bytes& next, uint32_t offset) {
  std::array<std::byte, 4> bytes{};
  for (uint32_t i = 0; i < bytes.size(); ++i) {
    const uint32_t place = offset + i;
    bytes[i] = place < kPageSize ? page[place] : next[place - kPageSize];
  }
  return std::bit_cast<uint32_t>(bytes);
}

void check(const InstructionRun& run, const Bytes& page, const Bytes& next, uint32_t entry) {
  ASSERT_GE(run.size, 1u);
  ASSERT_LE(run.size, kMaxInstructions);
  std::set<uint32_t> seen;
  uint32_t expected = entry;
  uint32_t first = entry;
  uint32_t end = entry;
  for (size_t i = 0; i < run.size; ++i) {
    const PlacedInstruction& placed = run.instructions[i];
    const riscv::Instruction& instruction = placed.instruction;
    ASSERT_EQ(placed.offset, expected);
    ASSERT_TRUE(seen.insert(placed.offset).second) << "twice: " << placed.offset;
    ASSERT_EQ(instruction, riscv::decode(bits_at(page, next, placed.offset), kAllExtensions));
    const bool whole = placed.next_offset() <= kPageSize;
    ASSERT_TRUE(whole || run.size == 1);
    first = std::min(first, uint32_t{placed.offset});
    end = std::max(end, placed.next_offset());
    expected = placed.next_offset();
    const bool is_last = i + 1 == run.size;
    const Ending ending = ending_of(instruction.opcode);
    const bool jumps = ending == Ending::kDirectJump && instruction.rd == 0 && whole &&
                       placed.target() >= 0 && placed.target() < int64_t{kPageSize} &&
                       !seen.contains(static_cast<uint32_t>(placed.target()));
    const bool backwards = is_branch(instruction.opcode) && instruction.immediate <= 0;
    if (jumps) expected = static_cast<uint32_t>(placed.target());
    const bool must_end = (ending != Ending::kNone && !jumps) || backwards || !whole;
    if (!is_last) {
      ASSERT_FALSE(must_end) << "goes on behind " << placed.offset;
      continue;
    }
    ASSERT_EQ(run.next_offset, expected);
    const bool next_straddles =
        expected == kLastHalf && !riscv::is_compressed(bits_at(page, next, expected));
    ASSERT_TRUE(must_end || run.size == kMaxInstructions || seen.contains(expected) ||
                expected >= kPageSize || next_straddles)
        << "ends behind " << placed.offset << " without a reason";
  }
  ASSERT_EQ(run.first, first);
  ASSERT_EQ(run.end, end);
}

TEST(SuperblockFormer, KeepsItsRulesOnRandomPages) {
  constexpr uint64_t kPages = 40;
  for (uint64_t seed = 0; seed < kPages; ++seed) {
    std::mt19937_64 random(seed);
    const Bytes page = random_page(random);
    const Bytes next = random_page(random);
    for (uint32_t entry = 0; entry < kPageSize; entry += 2) {
      check(*form(page, entry, next), page, next, entry);
      ASSERT_FALSE(HasFatalFailure()) << "seed " << seed << ", entry " << entry;
    }
  }
}

}  // namespace
}  // namespace lockstep::jit
