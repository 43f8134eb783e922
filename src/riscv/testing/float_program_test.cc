// That the directed floating-point programs hold every case, and what the interpreter does with
// them. For more programs: LOCKSTEP_SEEDS=0:1000 riscv_test --gtest_filter='FloatProgram.*'.
#include "riscv/testing/float_program.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <random>
#include <set>
#include <tuple>

#include "base/hash.h"
#include "riscv/instruction_fields.h"
#include "riscv/testing/float_cases.h"
#include "riscv/testing/float_operands.h"
#include "riscv/testing/seeds.h"
#include "riscv/testing/test_guest.h"

namespace lockstep::riscv {
namespace {

using namespace lockstep::riscv::testing;

constexpr uint64_t kEncodings = 8;  // of a rounding mode

bool named_as_float(const InstructionRow& row) {
  return row.mnemonic.starts_with('f') && !row.mnemonic.starts_with("fence");
}

TEST(FloatCases, AreOfEveryRowThatIsNamedAsFloatingPoint) {
  std::set<Opcode> met;
  for (const FloatCase& tested : float_cases(FloatOutcome::kResult)) met.insert(tested.opcode);
  for (const InstructionRow& row : instruction_table()) {
    EXPECT_EQ(met.contains(row.opcode), named_as_float(row)) << row.mnemonic;
  }
}

TEST(FloatCases, MeetEveryModeInTheInstructionAndInFrm) {
  std::set<std::tuple<Opcode, uint8_t, uint8_t>> met;
  for (const FloatOutcome outcome : {FloatOutcome::kResult, FloatOutcome::kIllegal}) {
    for (const FloatCase& tested : float_cases(outcome)) {
      const auto [place, is_new] = met.insert({tested.opcode, tested.rounding_mode, tested.frm});
      EXPECT_TRUE(is_new) << name_of(tested);
    }
  }
  for (const InstructionRow& row : instruction_table()) {
    if (!is_floating_point(row) || !has_rounding_mode(row.format)) continue;
    for (uint8_t mode = 0; mode < kEncodings; ++mode) {
      EXPECT_TRUE(met.contains({row.opcode, 7, mode})) << row.mnemonic << ", frm " << int{mode};
      EXPECT_TRUE(std::ranges::any_of(met,
                                      [&](const auto& tested) {
                                        return std::get<0>(tested) == row.opcode &&
                                               std::get<1>(tested) == mode;
                                      }))
          << row.mnemonic << ", mode " << int{mode};
    }
  }
}

TEST(FloatCases, AreIllegalExactlyWhereAModeIsReserved) {
  EXPECT_EQ((FloatCase{Opcode::kFaddS, 4, 7}.outcome()), FloatOutcome::kResult);
  EXPECT_EQ((FloatCase{Opcode::kFaddS, 5, 0}.outcome()), FloatOutcome::kIllegal);
  EXPECT_EQ((FloatCase{Opcode::kFaddS, 7, 4}.outcome()), FloatOutcome::kResult);
  EXPECT_EQ((FloatCase{Opcode::kFaddS, 7, 5}.outcome()), FloatOutcome::kIllegal);
  EXPECT_EQ((FloatCase{Opcode::kFminS, 0, 7}.outcome()), FloatOutcome::kResult);
}

enum class Kind : uint8_t { kZero, kSubnormal, kNormal, kInfinity, kQuiet, kSignalling, kBroken };

Kind kind_of(uint64_t bits, int fraction_bits, int exponent_bits) {
  const uint64_t fraction = bits & ((uint64_t{1} << fraction_bits) - 1);
  const uint64_t exponent = bits >> fraction_bits & ((uint64_t{1} << exponent_bits) - 1);
  const bool largest = exponent + 1 == uint64_t{1} << exponent_bits;
  if (exponent == 0) return fraction == 0 ? Kind::kZero : Kind::kSubnormal;
  if (!largest) return Kind::kNormal;
  if (fraction == 0) return Kind::kInfinity;
  return (fraction >> (fraction_bits - 1)) != 0 ? Kind::kQuiet : Kind::kSignalling;
}

TEST(FloatOperands, MeetEveryKindOfNumberWithEveryOther) {
  for (const OperandKind kind : {OperandKind::kSingle, OperandKind::kDouble}) {
    const bool single = kind == OperandKind::kSingle;
    std::set<std::tuple<Kind, bool, Kind, bool, Kind, bool>> met;
    const auto classify = [&](uint64_t bits) {
      if (!single) return kind_of(bits, 52, 11);
      return bits >> 32 == 0xffff'ffff ? kind_of(bits & 0xffff'ffff, 23, 8) : Kind::kBroken;
    };
    const auto negative = [&](uint64_t bits) { return (bits >> (single ? 31 : 63) & 1) != 0; };
    for (const OperandTuple& t : directed_tuples(kind, 3)) {
      met.insert({classify(t[0]), negative(t[0]), classify(t[1]), negative(t[1]), classify(t[2]),
                  negative(t[2])});
    }
    constexpr size_t kKinds = 12;  // six, of either sign
    EXPECT_GE(met.size(), kKinds * kKinds * kKinds);
  }
}

// The instruction words of all programs, by opcode and mode.
TEST(FloatProgram, HoldsEveryRowWithEveryMode) {
  std::set<std::tuple<Opcode, uint8_t>> met;
  for (uint64_t index = 0; index < float_programs(); ++index) {
    const Bytes image = float_program(index, kRamBase, 1);
    ByteReader reader(float_program_code(image));
    while (reader.remaining() >= 4) {
      const Instruction instruction = decode(reader.fixed<uint32_t>());
      met.insert({instruction.opcode, instruction.rounding_mode});
    }
  }
  for (const InstructionRow& row : instruction_table()) {
    if (!named_as_float(row)) continue;
    const bool rounds = has_rounding_mode(row.format);
    for (uint8_t mode = 0; mode < (rounds ? kEncodings : 1); ++mode) {
      EXPECT_TRUE(met.contains({row.opcode, mode})) << row.mnemonic << ", mode " << int{mode};
    }
  }
}

constexpr uint64_t kMaximumSteps = 50'000'000;

std::unique_ptr<TestGuest> guest_of(uint64_t index) {
  auto guest = std::make_unique<TestGuest>();
  guest->memory.write(kRamBase, float_program(index, kRamBase, 1));
  constexpr uint64_t kOneTickPerStep = uint64_t{1} << 32;
  guest->hart.time.set_anchor(Step(0), GuestTicks(0), kOneTickPerStep / (1 + index % 3));
  return guest;
}

TEST(FloatProgram, EndsAndIsTheSameWhereverItIsCut) {
  const GuestAddress end = float_program_end(kRamBase);
  const SeedRange indices = seed_range(4);
  for (uint64_t index = indices.first; index < indices.first + indices.count; ++index) {
    auto whole = guest_of(index);
    auto pieces = guest_of(index);
    std::mt19937_64 random(index);
    while (whole->hart.pc != end.value) {
      ASSERT_LT(whole->hart.step.value, kMaximumSteps) << "program " << index;
      whole->run(10'000);
    }
    while (pieces->hart.step < whole->hart.step) {
      const uint64_t left = whole->hart.step - pieces->hart.step;
      pieces->run(std::min<uint64_t>(left, 1 + random() % 500));
      if (random() % 16 == 0) pieces->engine.flush();
    }
    ASSERT_EQ(hash64(whole->state()), hash64(pieces->state())) << "program " << index;
    EXPECT_GT(whole->hart.traps, 1000U) << "program " << index;
  }
}

}  // namespace
}  // namespace lockstep::riscv
