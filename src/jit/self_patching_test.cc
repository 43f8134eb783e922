// Guests that patch the code that runs, in loops that are hot: with fence.i and without, the
// instruction right behind the store, the store itself, code in another page that is called, and
// through another address. What they compute is known; the interpreter gives every byte.
#include <algorithm>
#include <gtest/gtest.h>

#include "jit/translator.h"
#include "riscv/encoder.h"
#include "riscv/interpreter/interpreter.h"
#include "riscv/testing/test_guest.h"

namespace lockstep::jit {
namespace {

using namespace lockstep::riscv;
using namespace lockstep::riscv::testing;

constexpr uint64_t kTurns = 1000;
constexpr uint64_t kStepsOfAll = 40'000;
constexpr uint64_t kLongPiece = 5000;

enum class FenceI : bool { kNo, kYes };

std::unique_ptr<TestGuest> guest_on(const EngineFactory& engine, const Assembler& code) {
  auto guest = std::make_unique<TestGuest>(TestGuest::kPages, engine);
  guest->put(code);
  return guest;
}

// The same code on the interpreter and on translators, in pieces of several lengths: the same at
// the end. Gives the guest of a translator.
std::unique_ptr<TestGuest> run_on_both(const Assembler& code) {
  const auto expected = guest_on(make_interpreter, code);
  expected->run(kStepsOfAll);
  std::unique_ptr<TestGuest> last;
  for (const uint32_t threshold : {1u, 2u, 16u}) {
    for (const uint64_t piece : {uint64_t{1}, uint64_t{7}, kLongPiece, kStepsOfAll}) {
      last = guest_on(translator_factory({.hot_threshold = threshold}), code);
      for (uint64_t done = 0; done < kStepsOfAll; done += piece) {
        last->run(std::min(piece, kStepsOfAll - done));
      }
      EXPECT_EQ(expected->state(), last->state())
          << "threshold " << threshold << ", pieces of " << piece;
    }
  }
  EXPECT_GT(last->engine->statistics().superblocks, 0u);
  return last;
}

// a0 sums what an instruction adds that the loop rewrites each turn: 1, 2, 1, 2, ...
constexpr uint64_t kSum = kTurns / 2 * (1 + 2);
const uint32_t kAddOne = encode(immediate_form(Opcode::kAddi, kA0, kA0, 1));
const uint32_t kAddTwo = encode(immediate_form(Opcode::kAddi, kA0, kA0, 2));

// t1: the instruction to store, t2: what makes the other one of it, s0: turns.
void set_up(Assembler& code) {
  code.li(kT1, kAddTwo);
  code.li(kT2, kAddOne ^ kAddTwo);
  code.li(kS0, kTurns);
}

void turn(Assembler& code) {
  code.op(Opcode::kXor, kT1, kT1, kT2);
}

void close(Assembler& code, uint64_t loop) {
  code.addi(kS0, kS0, -1);
  code.branch(Opcode::kBne, kS0, kZero, loop);
  code.spin();
}

class SelfPatching : public ::testing::TestWithParam<FenceI> {
 protected:
  void fence(Assembler& code) const {
    if (GetParam() == FenceI::kYes) code.op(Opcode::kFenceI);
  }
};

INSTANTIATE_TEST_SUITE_P(WithAndWithoutFence, SelfPatching,
                         ::testing::Values(FenceI::kNo, FenceI::kYes));

TEST_P(SelfPatching, OfTheNextInstructionInEachTurn) {
  Assembler code(TestGuest::kCode);
  set_up(code);
  const uint64_t loop = code.here();
  turn(code);
  const int32_t distance = GetParam() == FenceI::kYes ? 12 : 8;
  code.emit(immediate_form(Opcode::kAuipc, kT0, 0, 0));
  code.store(Opcode::kSw, kT1, kT0, distance);
  fence(code);
  code.word(kAddTwo);
  close(code, loop);
  EXPECT_EQ(run_on_both(code)->hart.x[kA0], kSum);
}

TEST_P(SelfPatching, OfAnInstructionBeforeTheStore) {
  Assembler code(TestGuest::kCode);
  set_up(code);
  const uint64_t loop = code.here();
  code.word(kAddOne);
  code.emit(immediate_form(Opcode::kAuipc, kT0, 0, 0));
  turn(code);
  code.op(Opcode::kXor, kT3, kT1, kT2);
  code.store(Opcode::kSw, kT3, kT0, -4);
  fence(code);
  close(code, loop);
  EXPECT_EQ(run_on_both(code)->hart.x[kA0], kSum);
}

TEST_P(SelfPatching, OfAnInstructionAcrossTwoPagesHalfByHalf) {
  const uint64_t function = TestGuest::kCode.value + kPageSize - 2;
  Assembler code(TestGuest::kCode);
  set_up(code);
  code.li(kT0, function);
  const uint64_t loop = code.here();
  turn(code);
  code.store(Opcode::kSh, kT1, kT0, 0);
  code.emit(immediate_form(Opcode::kSrli, kT3, kT1, 16));
  code.store(Opcode::kSh, kT3, kT0, 2);
  fence(code);
  code.jalr(kRa, kT0);
  close(code, loop);
  code.pad_to(function);
  code.word(kAddTwo);
  code.jalr(kZero, kRa);
  EXPECT_EQ(run_on_both(code)->hart.x[kA0], kSum);
}

TEST_P(SelfPatching, OfAFunctionInAnotherPageByTwoStores) {
  // The first store makes the page one without code, the second may be a plain one: and both must
  // be noticed again in the next turn.
  const uint64_t function = TestGuest::kCode.value + kPageSize;
  Assembler code(TestGuest::kCode);
  set_up(code);
  code.li(kT0, function);
  const uint64_t loop = code.here();
  turn(code);
  code.store(Opcode::kSh, kT1, kT0, 0);
  code.emit(immediate_form(Opcode::kSrli, kT3, kT1, 16));
  code.store(Opcode::kSh, kT3, kT0, 2);
  fence(code);
  code.jalr(kRa, kT0);
  close(code, loop);
  code.pad_to(function);
  code.word(kAddTwo);
  code.jalr(kZero, kRa);
  EXPECT_EQ(run_on_both(code)->hart.x[kA0], kSum);
}

TEST_P(SelfPatching, OfAFunctionInAnotherPageByOneStoreAcrossItsEnd) {
  // The function's first instruction lies across two pages and is written by one store.
  const uint64_t function = TestGuest::kCode.value + 2 * kPageSize - 2;
  Assembler code(TestGuest::kCode);
  set_up(code);
  code.li(kT0, function);
  const uint64_t loop = code.here();
  turn(code);
  code.store(Opcode::kSw, kT1, kT0, 0);
  fence(code);
  code.jalr(kRa, kT0);
  close(code, loop);
  code.pad_to(function);
  code.word(kAddTwo);
  code.jalr(kZero, kRa);
  EXPECT_EQ(run_on_both(code)->hart.x[kA0], kSum);
}

TEST_P(SelfPatching, OfTheStoreThatPatches) {
  // A store puts an addition in its own place, and every other turn the store comes back: so that
  // half of the turns add.
  Assembler code(TestGuest::kCode);
  code.li(kT1, kAddOne);
  code.li(kT2, encode(store_form(Opcode::kSw, kT0, kT1, 4)));
  code.li(kS0, kTurns);
  const uint64_t loop = code.here();
  code.emit(immediate_form(Opcode::kAuipc, kT0, 0, 0));
  code.store(Opcode::kSw, kT1, kT0, 4);
  fence(code);
  code.emit(immediate_form(Opcode::kAndi, kT3, kS0, 1));
  code.branch(Opcode::kBeq, kT3, kZero, code.here() + 8);
  code.store(Opcode::kSw, kT2, kT0, 4);
  close(code, loop);
  EXPECT_EQ(run_on_both(code)->hart.x[kA0], kTurns / 2);
}

TEST_P(SelfPatching, ThroughAnotherAddress) {
  const auto make = [&](const EngineFactory& engine) {
    auto guest = std::make_unique<TestGuest>(TestGuest::kPages, engine);
    PageTables tables(guest->memory, TestGuest::kTables);
    tables.map(kRamBase.value, kRamBase, kReadExecute);
    tables.map(kRamBase.value + kPageSize, kRamBase, kReadWrite);
    Assembler code(TestGuest::kCode);
    set_up(code);
    code.li(kT0, kRamBase.value + kPageSize);
    const uint64_t loop = code.here();
    turn(code);
    const auto place =
        static_cast<int32_t>(code.here() - kRamBase.value + (GetParam() == FenceI::kYes ? 8 : 4));
    code.store(Opcode::kSw, kT1, kT0, place);
    fence(code);
    code.word(kAddTwo);
    close(code, loop);
    guest->put(code);
    guest->hart.satp = tables.satp();
    guest->run(kStepsOfAll);
    return guest;
  };
  const auto expected = make(make_interpreter);
  const auto translated = make(translator_factory({.hot_threshold = 2}));
  EXPECT_EQ(expected->state(), translated->state());
  EXPECT_EQ(translated->hart.x[kA0], kSum);
}

}  // namespace
}  // namespace lockstep::jit
