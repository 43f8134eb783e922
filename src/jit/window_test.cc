// Windows, the accesses that share a probe of the TLB: at each step what the interpreter gives,
// wherever the window lies and whatever happens within it.
#include <fmt/format.h>
#include <functional>
#include <gtest/gtest.h>
#include <tuple>

#include "jit/testing/every_step.h"
#include "jit/translator.h"

namespace lockstep::jit {
namespace {

using namespace lockstep::riscv;
using namespace lockstep::riscv::testing;
using jit::testing::run_to_each_step;
using jit::testing::run_to_the_end;

// Two pages and a gap behind them, mapped to pages that do not follow one another.
constexpr uint64_t kVirtual = 0x4000'0000;
constexpr uint64_t kBoundary = kVirtual + kPageSize;
constexpr uint64_t kGap = kVirtual + 2 * kPageSize;
constexpr uint64_t kUncached = 0x5000'0000;  // leads to the device
// Where the TLB keeps what it has of kVirtual.
constexpr uint64_t kSameEntry = kVirtual + kDataEntries * kPageSize;
constexpr GuestAddress kFirst = TestGuest::kData;
constexpr GuestAddress kSecond = TestGuest::kData + 4 * kPageSize;
constexpr GuestAddress kThird = TestGuest::kData + 6 * kPageSize;
constexpr GuestAddress kJournal = TestGuest::kData + 8 * kPageSize;
constexpr uint64_t kTurns = 2;

// Registers of the loops. The base of windows is tested as a register that has one of the host's
// and as one that has not.
constexpr uint8_t kCounter = kS2;
constexpr uint8_t kOther = kA1;       // the base of accesses in between
constexpr uint8_t kOtherValue = kA7;  // what they store
constexpr uint8_t kStart = kA6;       // where the window's base starts, each turn

// Goes on behind the instruction that trapped, and notes that it did.
void put_resuming_handler(TestGuest& g) {
  Assembler handler(TestGuest::kHandler);
  handler.csr_read(kT6, Csr::kSepc);
  handler.addi(kT6, kT6, 4);
  handler.csr_write(Csr::kSepc, kT6);
  handler.csr_read(kT6, Csr::kStval);
  handler.op(Opcode::kSret);
  g.put(handler);
}

PageTables map_all(TestGuest& g) {
  PageTables tables(g.memory, TestGuest::kTables);
  tables.map(kRamBase.value, kRamBase, kAllRights, 2);
  tables.map(kVirtual, kFirst, kReadWrite);
  tables.map(kBoundary, kSecond, kReadWrite);
  tables.map(kSameEntry, kThird, kReadWrite);
  tables.map(kUncached, TestBus::kDevice, kReadWrite);
  g.hart.satp = tables.satp();
  for (const GuestAddress page : {kFirst, kSecond, kThird}) {
    for (uint64_t at = 0; at < kPageSize; at += 8) {
      g.memory.store(page + at, (page.value + at) * 0x9e3779b97f4a7c15);
    }
  }
  return tables;
}

// A device that answers with the step at which it is asked, and keeps a journal in RAM of what it
// is told.
void attach_device(TestGuest& g) {
  g.bus.on_read = [&g](uint64_t offset) { return g.hart.step.value << 16 | offset; };
  g.bus.on_write = [&g](uint64_t offset, uint64_t value) {
    const uint64_t entries = g.memory.load<uint64_t>(kJournal);
    g.memory.store(kJournal, entries + 1);
    g.memory.store(kJournal + 16 * (entries + 1), g.hart.step.value << 16 | offset);
    g.memory.store(kJournal + 16 * (entries + 1) + 8, value);
  };
}

using Body = std::function<void(Assembler& code, uint8_t base)>;

struct Loop {
  uint64_t base = kVirtual;  // at the start of each turn
  uint64_t other = 0;
  uint64_t other_value = 0;
  uint64_t turns = kTurns;
};

void set_up_loop(TestGuest& g, uint8_t base, const Loop& loop, const Body& body) {
  put_resuming_handler(g);
  attach_device(g);
  g.hart.sstatus |= kStatusFs;
  g.hart.x[kCounter] = loop.turns;
  g.hart.x[kStart] = loop.base;
  g.hart.x[kOther] = loop.other;
  g.hart.x[kOtherValue] = loop.other_value;
  g.hart.x[kA2] = 0x0123456789abcdef;
  g.hart.x[kT3] = 0xfedcba9876543210;
  g.hart.f[1] = 0x400921fb54442d18;
  Assembler code(TestGuest::kCode);
  const uint64_t start = code.here();
  code.addi(base, kStart, 0);
  body(code, base);
  code.addi(kCounter, kCounter, -1);
  code.branch(Opcode::kBne, kCounter, kZero, start);
  code.spin();
  g.put(code);
}

// Enough for each turn and a trap at every access of it.
constexpr uint64_t kSteps = 80;

class Window : public ::testing::TestWithParam<uint8_t> {
 protected:
  uint8_t base() const { return GetParam(); }

  std::unique_ptr<TestGuest> run(const Loop& loop, const Body& body,
                                 const std::function<void(TestGuest&, PageTables&)>& more = {},
                                 uint64_t steps = kSteps) const {
    return run_to_each_step(steps, [&, this](TestGuest& g) {
      PageTables tables = map_all(g);
      set_up_loop(g, base(), loop, body);
      if (more) more(g, tables);
    });
  }
};

INSTANTIATE_TEST_SUITE_P(BaseInHostRegisterAndInMemory, Window, ::testing::Values(kS0, kT0),
                         [](const auto& tested) {
                           return tested.param == kS0 ? "Pinned" : "InMemory";
                         });

// Loads and stores of every width, at both ends of a small range.
void mixed_accesses(Assembler& code, uint8_t base) {
  code.load(Opcode::kLd, kA0, base, -8);
  code.store(Opcode::kSw, kA2, base, 4);
  code.load(Opcode::kLbu, kA3, base, 7);
  code.store(Opcode::kSb, kT3, base, -1);
  code.load(Opcode::kLh, kA4, base, -2);
  code.store(Opcode::kSh, kA2, base, -6);
  code.load(Opcode::kLwu, kT4, base, -4);
  code.store(Opcode::kSd, kT4, base, 8);
  code.load(Opcode::kLd, kT5, base, 0);
  code.load(Opcode::kLw, kA5, base, 1);
}

TEST_P(Window, ReachesEachPlaceAroundThePagesEnd) {
  // From whole in the first page to whole in the second, and misaligned in between.
  for (const int64_t distance : {-64, -17, -16, -15, -9, -8, -7, -4, -1, 0, 1, 4, 7, 8, 9, 64}) {
    SCOPED_TRACE(distance);
    run({.base = kBoundary + static_cast<uint64_t>(distance)}, mixed_accesses);
    if (HasFailure()) return;
  }
}

TEST_P(Window, ReachesIntoAPageThatIsNotMapped) {
  for (const int64_t distance : {-24, -16, -15, -8, -1, 0, 1, 8}) {
    SCOPED_TRACE(distance);
    run({.base = kGap + static_cast<uint64_t>(distance)}, mixed_accesses);
    if (HasFailure()) return;
  }
}

TEST_P(Window, FaultsAtEachOfItsPlaces) {
  // The access at `position` reaches into the gap, those around it do not.
  constexpr unsigned kAccesses = 6;
  for (unsigned position = 0; position < kAccesses; ++position) {
    for (const bool stores : {false, true}) {
      SCOPED_TRACE(fmt::format("position {}, {}", position, stores ? "stores" : "loads"));
      const auto guest = run({.base = kGap - 64, .turns = 2}, [&](Assembler& code, uint8_t base) {
        for (unsigned i = 0; i < kAccesses; ++i) {
          const int32_t place = i == position ? 60 : static_cast<int32_t>(i) * 8;
          const auto reg = static_cast<uint8_t>(kA2 + i);
          if (stores) {
            code.store(Opcode::kSd, reg, base, place);
          } else {
            code.load(Opcode::kLd, i < 4 ? reg : uint8_t{kA0}, base, place);
          }
        }
      });
      EXPECT_EQ(guest->hart.traps, 2u);
      EXPECT_EQ(guest->hart.stval, kGap);
      if (HasFailure()) return;
    }
  }
}

TEST_P(Window, OfStoresInAPageThatIsReadOnly) {
  const auto guest = run({}, mixed_accesses, [](TestGuest& g, PageTables& tables) {
    tables.map(kVirtual, kFirst, kReadExecute);
    g.hart.x[kStart] = kVirtual + 64;
  });
  EXPECT_EQ(guest->hart.traps, 4 * kTurns);
}

TEST_P(Window, InAPageOfTables) {
  // The leaf PTEs of this window's neighbours: loads, and stores that change nothing, or the last
  // one's accessed bit.
  const auto guest = run(
      {},
      [](Assembler& code, uint8_t base) {
        code.load(Opcode::kLd, kA0, base, 0);
        code.load(Opcode::kLd, kA3, base, 8);
        code.store(Opcode::kSd, kA0, base, 0);
        code.load(Opcode::kLd, kT4, kOther, 0);
        code.store(Opcode::kSd, kA3, base, 24);
        code.store(Opcode::kSb, kZero, base, 8);
        code.load(Opcode::kLd, kT5, kOther, 8);
        code.store(Opcode::kSd, kA3, base, 8);
        code.load(Opcode::kLd, kT5, kOther, 8);
      },
      [](TestGuest& g, PageTables& tables) {
        g.hart.x[kStart] = tables.pte_place(kVirtual).value;
        g.hart.x[kOther] = kBoundary - 8;
      });
  EXPECT_EQ(guest->hart.traps, kTurns);
}

TEST_P(Window, InTheCodeThatRuns) {
  // Patches an addition behind it, and writes around it.
  const auto guest = run({.base = TestGuest::kCode.value}, [](Assembler& code, uint8_t base) {
    const auto place = static_cast<int32_t>(code.here() - TestGuest::kCode.value + 6 * 4);
    code.load(Opcode::kLw, kA0, base, place);
    code.emit(immediate_form(Opcode::kLui, kA3, 0, 0x100000));  // the immediate's low bit
    code.op(Opcode::kXor, kA0, kA0, kA3);
    code.store(Opcode::kSw, kA0, base, place);
    code.store(Opcode::kSd, kA2, base, 256 + 16);
    code.load(Opcode::kLd, kA4, base, 256 + 16);
    code.addi(kA5, kA5, 2);
    code.store(Opcode::kSd, kA5, base, 256 + 24);
  });
  EXPECT_EQ(guest->hart.x[kA5], 3u + 2u);
}

TEST_P(Window, OfADevice) {
  const auto guest = run({.base = kUncached + 16}, mixed_accesses);
  // Four stores reach it; those that are misaligned fault.
  EXPECT_GT(guest->memory.load<uint64_t>(kJournal), 0u);
  EXPECT_GT(guest->hart.traps, 0u);
}

TEST_P(Window, InBareMode) {
  for (const uint64_t place : {kFirst.value + kPageSize - 8, TestBus::kDevice.value + 8,
                               kRamBase.value + jit::testing::kGuestPages * kPageSize - 8}) {
    SCOPED_TRACE(place);
    run({.base = place}, mixed_accesses, [](TestGuest& g, PageTables&) { g.hart.satp = 0; });
    if (HasFailure()) return;
  }
}

// --- A second base in between

void with_other(Assembler& code, uint8_t base) {
  code.load(Opcode::kLd, kA0, base, 0);
  code.load(Opcode::kLd, kA3, kOther, 0);
  code.store(Opcode::kSd, kA3, base, 8);
  code.store(Opcode::kSd, kOtherValue, kOther, 0);
  code.load(Opcode::kLd, kA4, base, 16);
  code.store(Opcode::kSd, kA4, base, 24);
  code.load(Opcode::kLd, kA5, kOther, 0);
  code.load(Opcode::kLd, kT4, base, 8);
}

TEST_P(Window, WithAnotherBaseThatMissesFaultsOrIsADevice) {
  struct Case {
    const char* what;
    uint64_t other;
  };
  for (const Case& tested :
       {Case{"the same page", kVirtual + 8}, Case{"another page", kBoundary},
        Case{"the TLB's same entry", kSameEntry}, Case{"across the page's end", kBoundary - 3},
        Case{"into the gap", kGap - 4}, Case{"the gap", kGap}, Case{"a device", kUncached + 8},
        Case{"a device, misaligned", kUncached + 9}, Case{"no canonical address", 1ull << 50}}) {
    SCOPED_TRACE(tested.what);
    run({.base = kVirtual + 64, .other = tested.other, .other_value = 77}, with_other);
    // The window's own end is near the page's.
    run({.base = kBoundary - 32, .other = tested.other, .other_value = 77}, with_other);
    if (HasFailure()) return;
  }
}

TEST_P(Window, WithAnotherBaseThatChangesWhereItLies) {
  struct Case {
    const char* what;
    uint64_t pte;
  };
  for (const Case& tested : {Case{"another page", make_pte(kSecond, kReadWrite)},
                             Case{"read only", make_pte(kFirst, kReadExecute)}, Case{"nothing", 0},
                             Case{"a device", make_pte(TestBus::kDevice, kReadWrite)},
                             Case{"the page of tables", make_pte(TestGuest::kTables, kReadWrite)},
                             Case{"clean", make_pte(kFirst, kReadWrite & ~kPteDirty)}}) {
    SCOPED_TRACE(tested.what);
    run({.base = kVirtual + 64, .other_value = tested.pte}, with_other,
        [](TestGuest& g, PageTables& tables) {
          g.hart.x[kOther] = tables.pte_place(kVirtual).value;
        });
    if (HasFailure()) return;
  }
}

TEST_P(Window, WithAnotherBaseThatPatchesTheCode) {
  const auto guest = run(
      {.base = kVirtual + 64, .other = TestGuest::kCode.value + 9 * 4},
      [](Assembler& code, uint8_t base) {
        with_other(code, base);  // 8 instructions behind the first
        code.addi(kT5, kT5, 1);
      },
      [](TestGuest& g, PageTables&) {
        // addi t5, t5, 16, and what follows it there.
        const uint64_t behind = g.memory.load<uint64_t>(TestGuest::kCode + 9 * 4) >> 32;
        g.hart.x[kOtherValue] = behind << 32 | 0x010f0f13;
      });
  EXPECT_EQ(guest->hart.x[kT5], 16 * kTurns);
}

TEST_P(Window, WithAnotherBaseThatMakesItsPageATable) {
  // What the other base reaches is mapped by PTEs that lie in the window's own page.
  constexpr uint64_t kInner = 0x4020'0000;
  run({.base = kVirtual + 64, .other = kInner, .other_value = 5}, with_other,
      [](TestGuest& g, PageTables& tables) {
        tables.map(kInner, kThird, kReadWrite);  // makes the pointer
        const GuestAddress pointer = tables.pte_place(kInner, 1);
        g.memory.store(pointer, make_pte(kFirst, kPteValid));
        g.memory.store(kFirst, make_pte(kThird, kReadWrite));
      });
}

// --- What ends a window

TEST_P(Window, EndsWhenItsBaseIsOverwritten) {
  run(
      {},
      [](Assembler& code, uint8_t base) {
        code.load(Opcode::kLd, kA0, base, 8);
        code.load(Opcode::kLd, base, base, 0);  // to the other page, near its end
        code.load(Opcode::kLd, kA3, base, -8);
        code.store(Opcode::kSd, kA2, base, 8);
        code.addi(base, base, 16);
        code.load(Opcode::kLd, kA4, base, -8);
        code.load(Opcode::kLd, kA5, base, -16);
        code.emit(immediate_form(Opcode::kLui, base, 0, 0x40000000));
        code.addi(base, base, 128);
        code.load(Opcode::kLd, kT4, base, 0);
        code.store(Opcode::kSd, kT4, base, 8);
      },
      [](TestGuest& g, PageTables&) { g.memory.store(kFirst, kBoundary + kPageSize - 32); });
}

TEST_P(Window, OutlivesWhatKeepsItAndNothingElse) {
  // Between two accesses, one of what the translator treats each in its own way.
  using Between = std::function<void(Assembler&)>;
  const std::vector<Between> kinds = {
      [](Assembler& code) { code.op(Opcode::kMul, kA3, kA0, kA2); },
      [](Assembler& code) { code.op(Opcode::kMulhu, kA3, kA0, kA2); },
      [](Assembler& code) { code.op(Opcode::kDivu, kA3, kA0, kA2); },
      [](Assembler& code) { code.op(Opcode::kRem, kA3, kA0, kA2); },
      [](Assembler& code) { code.op(Opcode::kSll, kA3, kA0, kA2); },
      [](Assembler& code) { code.op(Opcode::kSltu, kA3, kA0, kA2); },
      [](Assembler& code) { code.op(Opcode::kCzeroEqz, kA3, kA0, kA2); },
      [](Assembler& code) { code.op(Opcode::kMaxu, kA3, kA0, kA2); },
      [](Assembler& code) { code.op(Opcode::kRol, kA3, kA0, kA2); },
      [](Assembler& code) { code.op(Opcode::kCpop, kA3, kA0, 0); },
      [](Assembler& code) { code.op(Opcode::kOrcB, kA3, kA0, 0); },
      [](Assembler& code) { code.op(Opcode::kRev8, kA3, kA0, 0); },
      [](Assembler& code) { code.emit(immediate_form(Opcode::kAuipc, kA3, 0, 0x1000)); },
      [](Assembler& code) { code.op(Opcode::kFence); },
      [](Assembler& code) { code.jal(kZero, code.here() + 4); },
      [](Assembler& code) { code.branch(Opcode::kBeq, kA0, kZero, code.here() + 8); },
      [](Assembler& code) { code.csr_read(kA3, Csr::kCycle); },
      [](Assembler& code) { code.csr_read(kA3, Csr::kSstatus); },
      [](Assembler& code) { code.op(Opcode::kAmoaddD, kA3, kOther, kA2); },
      [](Assembler& code) { code.op(Opcode::kLrD, kA3, kOther, 0); },
      [](Assembler& code) { code.op(Opcode::kFaddD, 2, 1, 2); },
      [](Assembler& code) { code.op(Opcode::kFsgnjxD, 2, 1, 2); },
      [](Assembler& code) { code.op(Opcode::kFcvtLD, kA3, 1, 0); },
      [](Assembler& code) { code.op(Opcode::kCboZero, 0, kOther, 0); },
      [](Assembler& code) { code.op(Opcode::kSfenceVma); },
  };
  for (size_t i = 0; i < kinds.size(); ++i) {
    SCOPED_TRACE(i);
    run(
        {.base = kVirtual + 64, .other = kVirtual + 192, .turns = 2},
        [&](Assembler& code, uint8_t base) {
          code.load(Opcode::kLd, kA0, base, 0);
          code.store(Opcode::kSd, kA2, base, 8);
          kinds[i](code);
          code.load(Opcode::kLd, kA4, base, 16);
          code.store(Opcode::kSd, kA0, base, 24);
          code.load(Opcode::kLd, kA5, base, 8);
        },
        {}, 40);
    if (HasFailure()) return;
  }
}

TEST_P(Window, IsAtMostSoWide) {
  for (const int32_t distance : {240, 248, 249, 256, 2040}) {
    SCOPED_TRACE(distance);
    run({.base = kVirtual + 2048, .turns = 2}, [&](Assembler& code, uint8_t base) {
      code.load(Opcode::kLd, kA0, base, 0);
      code.store(Opcode::kSd, kA2, base, distance);
      code.load(Opcode::kLd, kA3, base, -distance);
      code.store(Opcode::kSd, kA0, base, 8);
      code.load(Opcode::kLd, kA4, base, distance);
    });
    if (HasFailure()) return;
  }
}

TEST_P(Window, OfFloatingPoint) {
  for (const uint64_t state : {uint64_t{0}, kStatusFs & (kStatusFs >> 1), kStatusFs}) {
    SCOPED_TRACE(state);
    run(
        {.base = kBoundary - 24},
        [](Assembler& code, uint8_t base) {
          code.load(Opcode::kFld, 2, base, -8);
          code.load(Opcode::kFlw, 3, base, 4);
          code.store(Opcode::kFsd, 1, base, 8);
          code.store(Opcode::kFsw, 2, base, 16);
          code.load(Opcode::kLd, kA0, base, 8);
          code.load(Opcode::kFld, 4, base, 20);  // across the page's end
          code.store(Opcode::kFsd, 4, base, 0);
        },
        [&](TestGuest& g, PageTables&) { g.hart.sstatus = (g.hart.sstatus & ~kStatusFs) | state; });
    if (HasFailure()) return;
  }
}

// --- How often they fail

class WindowMisses : public Window {
 protected:
  uint64_t misses(int64_t distance, uint64_t turns) const {
    constexpr uint64_t kStepsPerTurn = 13;
    const uint64_t place = kBoundary + static_cast<uint64_t>(distance);
    const auto guest = run_to_the_end(turns * kStepsPerTurn, [&, this](TestGuest& g) {
      map_all(g);
      set_up_loop(g, base(), {.base = place, .turns = turns}, mixed_accesses);
    });
    EXPECT_EQ(guest->hart.x[kCounter], 0u);
    return guest->engine->statistics().window_misses;
  }
};

INSTANTIATE_TEST_SUITE_P(BaseInHostRegisterAndInMemory, WindowMisses, ::testing::Values(kS0, kT0),
                         [](const auto& tested) {
                           return tested.param == kS0 ? "Pinned" : "InMemory";
                         });

TEST_P(WindowMisses, AreThoseOfWindowsThatDoNotEndWhereThePageDoes) {
  // [base - 8, base + 16): what fits misses once as a load and once as a store.
  constexpr uint64_t kFew = 20;
  constexpr uint64_t kCold = 2;
  EXPECT_LE(misses(-16, kFew), kCold);
  EXPECT_LE(misses(8, kFew), kCold);
  EXPECT_GE(misses(-15, kFew), kFew);
  EXPECT_GE(misses(7, kFew), kFew);
}

TEST_P(WindowMisses, MakeASuperblockGiveItsWindowsUp) {
  constexpr uint64_t kFew = 10;
  constexpr uint64_t kMany = 1000;
  // Each superblock that begins at one of the accesses fails for itself.
  const uint64_t each_turn = misses(-8, kFew) / kFew;
  EXPECT_EQ(misses(-8, kFew), each_turn * kFew);
  const uint64_t all = misses(-8, kMany);
  EXPECT_GT(all, each_turn * kFew);
  EXPECT_LT(all, each_turn * kMany / 4);
  EXPECT_EQ(misses(-8, 4 * kMany), all);
}

}  // namespace
}  // namespace lockstep::jit
