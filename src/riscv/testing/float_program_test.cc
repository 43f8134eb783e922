// That the directed floating-point programs hold every case, and what the interpreter does with
// them. For more programs: LOCKSTEP_SEEDS=0:1000 riscv_test --gtest_filter='FloatComparison.*'.
#include "riscv/testing/float_program.h"

#include <algorithm>
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <memory>
#include <random>
#include <set>
#include <tuple>

#include "riscv/encoder.h"
#include "riscv/interpreter/interpreter.h"
#include "riscv/testing/float_cases.h"
#include "riscv/testing/float_comparison.h"
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

// One instruction, by a hart of which every register that it could touch holds something.
void expect_illegal(const FloatCase& tested, uint64_t floating_point) {
  const Instruction instruction{.opcode = tested.opcode,
                                .rd = kA0,
                                .rs1 = kA1,
                                .rs2 = kA2,
                                .rs3 = kA3,
                                .rounding_mode = tested.rounding_mode};
  TestGuest guest;
  Assembler code(TestGuest::kCode);
  code.emit(instruction);
  guest.put(code);
  guest.hart.sstatus |= floating_point;
  guest.hart.frm = tested.frm;
  guest.hart.fflags = 0x15;
  for (uint64_t i = 1; i < 32; ++i) guest.hart.x[i] = TestGuest::kData.value + 8 * i;
  for (uint64_t i = 0; i < 32; ++i) guest.hart.f[i] = i << 52;
  const Hart before = guest.hart;
  guest.run(1);
  EXPECT_EQ(guest.hart.pc, TestGuest::kHandler.value);
  EXPECT_EQ(guest.hart.scause, static_cast<uint64_t>(Cause::kIllegalInstruction));
  EXPECT_EQ(guest.hart.stval, encode(instruction));
  EXPECT_EQ(guest.hart.sepc, TestGuest::kCode.value);
  EXPECT_EQ(guest.hart.fflags, before.fflags);
  EXPECT_EQ(guest.hart.frm, before.frm);
  EXPECT_EQ(guest.hart.sstatus & kStatusFs, before.sstatus & kStatusFs);
  EXPECT_TRUE(std::ranges::equal(guest.hart.x, before.x));
  EXPECT_TRUE(std::ranges::equal(guest.hart.f, before.f));
}

TEST(FloatCases, AreIllegalWithAReservedModeAndChangeNothing) {
  constexpr uint64_t kClean = uint64_t{2} << 13;
  for (const FloatCase& tested : float_cases(FloatOutcome::kIllegal)) {
    SCOPED_TRACE(name_of(tested));
    expect_illegal(tested, kClean);
  }
}

TEST(FloatCases, AreIllegalWhileFloatingPointIsOff) {
  for (const FloatCase& tested : float_cases(FloatOutcome::kResult)) {
    SCOPED_TRACE(name_of(tested));
    expect_illegal(tested, 0);
  }
}

TEST(FloatProgram, IsInterruptedAndTrapsAllTheTime) {
  TestGuest guest;
  guest.memory.write(kRamBase, float_program(0, kRamBase, 1));
  constexpr uint64_t kEnough = 400'000;  // steps
  guest.run(kEnough);
  EXPECT_GT(guest.hart.traps * 200, kEnough);
}

// An interpreter of which the tests make engines with a difference.
class AlteredEngine final : public Engine {
 public:
  // Runs to the target; may stop on the way, or leave something wrong.
  using Run = std::function<void(Engine& engine, Hart& hart, Step target)>;

  static EngineFactory factory(Run run) {
    return [run = std::move(run)](Hart& hart, PhysicalMemory& memory, Bus& bus,
                                  EnvironmentCalls& environment) {
      auto interpreter = make_interpreter(hart, memory, bus, environment);
      return std::make_unique<AlteredEngine>(hart, std::move(interpreter), run);
    };
  }
  AlteredEngine(Hart& hart, std::unique_ptr<Engine> engine, Run run)
      : hart_(hart), engine_(std::move(engine)), run_(std::move(run)) {}

  void run_until(Step target) override { run_(*engine_, hart_, target); }
  void request_stop() override { engine_->request_stop(); }
  void flush() override { engine_->flush(); }
  void watch_writes_again() override { engine_->watch_writes_again(); }
  EngineStatistics statistics() const override { return engine_->statistics(); }

 private:
  Hart& hart_;
  std::unique_ptr<Engine> engine_;
  Run run_;
};

TEST(FloatComparison, AnInterpreterThatIsCutAndFlushedIsTheSame) {
  const SeedRange programs = seed_range(4);
  for (uint64_t program = programs.first; program < programs.first + programs.count; ++program) {
    const EngineFactory chopped = AlteredEngine::factory(
        [random = std::mt19937_64(program)](Engine& engine, Hart& hart, Step target) mutable {
          while (hart.step < target) {
            engine.run_until(std::min(target, hart.step + 1 + random() % 100));
            if (random() % 64 == 0) engine.flush();
          }
        });
    EXPECT_EQ(compare_on_floats({.program = program}, make_interpreter, chopped), "");
  }
}

TEST(FloatComparison, FindsAWrongFlagAndAWrongRegister) {
  const auto wrong = [](const std::function<void(Hart&)>& alter) {
    return AlteredEngine::factory([alter](Engine& engine, Hart& hart, Step target) {
      engine.run_until(target);
      if (target.value > 100'000) alter(hart);
    });
  };
  const EngineFactory flag = wrong([](Hart& hart) { hart.fflags ^= 1; });
  const EngineFactory bit = wrong([](Hart& hart) { hart.f[31] ^= uint64_t{1} << 63; });
  EXPECT_THAT(compare_on_floats({}, make_interpreter, flag), ::testing::HasSubstr("fflags"));
  EXPECT_THAT(compare_on_floats({}, make_interpreter, bit), ::testing::HasSubstr("; f31 = "));
}

}  // namespace
}  // namespace lockstep::riscv
