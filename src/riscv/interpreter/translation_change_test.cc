// A PTE that changes takes effect at the very next access, sfence.vma or not: design §1, engine.md
// ("Stale TLB entry", "Negative caching", "A and D bits"). Each guest uses the translation before
// it changes it, so that it is cached.
#include <gtest/gtest.h>

#include "riscv/encoder.h"
#include "riscv/testing/test_guest.h"

namespace lockstep::riscv {
namespace {

using namespace lockstep::riscv::testing;

constexpr uint64_t kVirtual = 0x4000'0000;
constexpr uint64_t kTableAlias = 0x5000'0000;
constexpr GuestAddress kFirst = TestGuest::kData;
constexpr GuestAddress kSecond = TestGuest::kData + kPageSize;
constexpr uint64_t kFirstMark = 0x1111;
constexpr uint64_t kSecondMark = 0x2222;

// RAM by an identity superpage, kFirst at kVirtual; two marked pages.
// s0 = kVirtual, s1 = where the leaf PTE can be written, s2 = a PTE for kSecond.
PageTables mapped(TestGuest& g, uint64_t flags = kAllRights) {
  PageTables tables(g.memory, g.kTables);
  tables.map(kRamBase.value, kRamBase, kAllRights, 2);
  tables.map(kVirtual, kFirst, flags);
  g.memory.store(kFirst, kFirstMark);
  g.memory.store(kSecond, kSecondMark);
  g.hart.satp = tables.satp();
  g.hart.x[kS0] = kVirtual;
  g.hart.x[kS1] = tables.pte_place(kVirtual).value;
  g.hart.x[kS2] = make_pte(kSecond, flags);
  return tables;
}

// ld a0, (s0); sd s2, (s1); ld a1, (s0)
void load_change_load(TestGuest& g) {
  Assembler code(g.kCode);
  code.load(Opcode::kLd, kA0, kS0);
  code.store(Opcode::kSd, kS2, kS1);
  code.load(Opcode::kLd, kA1, kS0);
  code.spin();
  g.put(code);
}

TEST(TranslationChange, OfALeafTakesEffectAtTheNextLoad) {
  const auto guest = run_every_way(3, [](TestGuest& g) {
    mapped(g);
    load_change_load(g);
  });
  EXPECT_EQ(guest->hart.x[kA0], kFirstMark);
  EXPECT_EQ(guest->hart.x[kA1], kSecondMark);
}

TEST(TranslationChange, TakesEffectAtTheNextStore) {
  const auto guest = run_every_way(4, [](TestGuest& g) {
    mapped(g);
    Assembler code(g.kCode);
    code.store(Opcode::kSd, kS0, kS0, 8);
    code.store(Opcode::kSd, kS2, kS1);
    code.store(Opcode::kSd, kS1, kS0, 16);
    code.spin();
    g.put(code);
  });
  EXPECT_EQ(guest->memory.load<uint64_t>(kFirst + 8), kVirtual);
  EXPECT_EQ(guest->memory.load<uint64_t>(kFirst + 16), 0u);
  EXPECT_EQ(guest->memory.load<uint64_t>(kSecond + 16), guest->hart.x[kS1]);
}

TEST(TranslationChange, OfThePageThatRunsTakesEffectAtTheNextInstruction) {
  const auto guest = run_every_way(6, [](TestGuest& g) {
    mapped(g);
    g.hart.pc = kVirtual;
    for (const auto& [page, amount] : {std::pair{kFirst, 1}, std::pair{kSecond, 64}}) {
      Assembler code(page);
      code.addi(kA0, kA0, amount);
      code.store(Opcode::kSd, kS2, kS1);
      code.addi(kA0, kA0, amount);
      code.spin();
      g.put(code);
    }
  });
  EXPECT_EQ(guest->hart.x[kA0], 65u);
}

TEST(TranslationChange, OfAPointerAndOfASuperpage) {
  for (const unsigned level : {1u, 2u}) {
    const auto guest = run_every_way(3, [&](TestGuest& g) {
      PageTables tables = mapped(g);
      // Another tree in which kVirtual leads to kSecond, and its pointer at this level.
      PageTables other(g.memory, tables.next_page());
      other.map(kVirtual, kSecond, kAllRights);
      g.hart.x[kS1] = tables.pte_place(kVirtual, level).value;
      g.hart.x[kS2] = g.memory.load<uint64_t>(other.pte_place(kVirtual, level));
      load_change_load(g);
    });
    EXPECT_EQ(guest->hart.x[kA0], kFirstMark);
    EXPECT_EQ(guest->hart.x[kA1], kSecondMark) << level;
  }
  // A superpage becomes a pointer to pages.
  const auto guest = run_every_way(3, [](TestGuest& g) {
    PageTables tables = mapped(g);
    constexpr uint64_t kLarge = kVirtual + (uint64_t{1} << 21);
    tables.map(kLarge, kRamBase, kAllRights, 1);
    PageTables other(g.memory, tables.next_page());
    other.map(kLarge + (kFirst - kRamBase), kSecond, kAllRights);
    g.hart.x[kS0] = kLarge + (kFirst - kRamBase);
    g.hart.x[kS1] = tables.pte_place(kLarge, 1).value;
    g.hart.x[kS2] = g.memory.load<uint64_t>(other.pte_place(kLarge, 1));
    load_change_load(g);
  });
  EXPECT_EQ(guest->hart.x[kA0], kFirstMark);
  EXPECT_EQ(guest->hart.x[kA1], kSecondMark);
}

TEST(TranslationChange, ThroughSeveralAliasesOfThePageOfTables) {
  constexpr uint64_t kAliases = 3;
  const auto guest = run_every_way(2 + 4 * kAliases, [&](TestGuest& g) {
    PageTables tables = mapped(g);
    const GuestAddress place = tables.pte_place(kVirtual);
    const GuestAddress page(place.value & ~(kPageSize - 1));
    for (uint64_t i = 0; i < kAliases; ++i) {
      tables.map(kTableAlias + i * kPageSize, page, kReadWrite);
    }
    g.hart.x[kS1] = kTableAlias + place.value % kPageSize;
    g.hart.x[kT0] = make_pte(kFirst, kAllRights);
    Assembler code(g.kCode);
    // First each alias is warm for writing, before the page is known to be a table.
    for (int32_t i = 0; i < static_cast<int32_t>(kAliases); ++i) {
      code.li(kT1, kTableAlias + static_cast<uint64_t>(i) * kPageSize + 0x700);
      code.store(Opcode::kSd, kZero, kT1);
    }
    code.load(Opcode::kLd, kA0, kS0);
    code.store(Opcode::kSd, kS2, kS1);
    code.load(Opcode::kLd, kA1, kS0);
    code.op(Opcode::kAdd, kS1, kS1, kT2);
    code.store(Opcode::kSd, kT0, kS1);
    code.load(Opcode::kLd, kA2, kS0);
    code.op(Opcode::kAdd, kS1, kS1, kT2);
    code.store(Opcode::kSd, kS2, kS1);
    code.load(Opcode::kLd, kA3, kS0);
    code.spin();
    g.put(code);
    g.hart.x[kT2] = kPageSize;
  });
  guest->run(20);
  EXPECT_EQ(guest->hart.x[kA0], kFirstMark);
  EXPECT_EQ(guest->hart.x[kA1], kSecondMark);
  EXPECT_EQ(guest->hart.x[kA2], kFirstMark);
  EXPECT_EQ(guest->hart.x[kA3], kSecondMark);
  EXPECT_EQ(guest->hart.traps, 0u);
}

TEST(TranslationChange, APageThatTurnsFromTableToDataAndBack) {
  const auto guest = run_every_way(9, [](TestGuest& g) {
    PageTables tables = mapped(g);
    // kVirtual's last table is taken out of the tree, used as data, and put back.
    g.hart.x[kT0] = tables.pte_place(kVirtual, 1).value;
    g.hart.x[kT1] = g.memory.load<uint64_t>(tables.pte_place(kVirtual, 1));
    Assembler code(g.kCode);
    code.load(Opcode::kLd, kA0, kS0);
    code.store(Opcode::kSd, kZero, kT0);
    code.store(Opcode::kSd, kZero, kS1);  // as data, the PTE's place included
    code.load(Opcode::kLd, kA2, kS1);
    code.store(Opcode::kSd, kS2, kS1);
    code.store(Opcode::kSd, kT1, kT0);
    code.load(Opcode::kLd, kA1, kS0);
    code.store(Opcode::kSd, kZero, kS1);
    code.load(Opcode::kLd, kA3, kS0);
    code.spin();
    g.put(code);
  });
  EXPECT_EQ(guest->hart.x[kA0], kFirstMark);
  EXPECT_EQ(guest->hart.x[kA1], kSecondMark);
  EXPECT_EQ(guest->hart.x[kA2], 0u);
  EXPECT_EQ(guest->hart.scause, static_cast<uint64_t>(Cause::kLoadPage));
}

TEST(TranslationChange, GoesOnWorkingInAPageOfTablesThatIsWrittenVeryOften) {
  TestGuest guest;
  mapped(guest);
  guest.hart.x[kT2] = make_pte(kFirst, kAllRights);
  Assembler code(guest.kCode);
  const uint64_t loop = code.here();
  code.store(Opcode::kSd, kS2, kS1);
  code.load(Opcode::kLd, kT0, kS0);
  code.op(Opcode::kAdd, kA0, kA0, kT0);
  code.store(Opcode::kSd, kT2, kS1);
  code.load(Opcode::kLd, kT0, kS0);
  code.op(Opcode::kAdd, kA1, kA1, kT0);
  code.jal(kZero, loop);
  guest.put(code);
  constexpr uint64_t kPasses = 2 * Mmu::kRetireAfterWrites;
  guest.run(7 * kPasses);
  EXPECT_EQ(guest.hart.x[kA0], kPasses * kSecondMark);
  EXPECT_EQ(guest.hart.x[kA1], kPasses * kFirstMark);
  EXPECT_GE(guest.engine->statistics().mmu.pages_retired, 3u);
}

TEST(TranslationChange, AnInvalidPteThatBecomesValidServesTheNextAccess) {
  const auto guest = run_every_way(6, [](TestGuest& g) {
    mapped(g, kAllRights);
    g.memory.store(GuestAddress(g.hart.x[kS1]), uint64_t{0});
    Assembler code(g.kCode);
    code.load(Opcode::kLd, kA0, kS0);
    g.put(code);
    Assembler handler(g.kHandler);  // makes it valid, and tries again: no fence
    handler.store(Opcode::kSd, kS2, kS1);
    handler.op(Opcode::kSret);
    g.put(handler);
  });
  EXPECT_EQ(guest->hart.x[kA0], kSecondMark);
  EXPECT_EQ(guest->hart.traps, 2u) << "and then nothing is behind the load but zeroes";
}

TEST(TranslationChange, ARightThatIsTakenAwayIsGoneAtOnce) {
  struct Case {
    uint64_t without;
    Cause cause;
    bool store;
  };
  for (const Case& one :
       {Case{kPteWrite, Cause::kStorePage, true}, Case{kPteDirty, Cause::kStorePage, true},
        Case{kPteAccessed, Cause::kLoadPage, false},
        Case{kPteRead | kPteWrite, Cause::kLoadPage, false},
        Case{kPteValid, Cause::kLoadPage, false}}) {
    const auto guest = run_every_way(4, [&](TestGuest& g) {
      mapped(g);
      g.hart.x[kS2] = make_pte(kFirst, kAllRights & ~one.without);
      Assembler code(g.kCode);
      code.store(Opcode::kSd, kZero, kS0, 8);
      code.load(Opcode::kLd, kA0, kS0);
      code.store(Opcode::kSd, kS2, kS1);
      if (one.store) {
        code.store(Opcode::kSd, kS2, kS0);
      } else {
        code.load(Opcode::kLd, kA1, kS0);
      }
      g.put(code);
    });
    EXPECT_EQ(guest->hart.scause, static_cast<uint64_t>(one.cause));
    EXPECT_EQ(guest->hart.stval, kVirtual);
    EXPECT_EQ(guest->memory.load<uint64_t>(kFirst), kFirstMark);
    EXPECT_EQ(guest->memory.load<uint64_t>(GuestAddress(guest->hart.x[kS1])), guest->hart.x[kS2])
        << "the walker writes nothing";
  }
}

TEST(TranslationChange, SumAndMxrTakeEffectAtTheNextAccess) {
  struct Case {
    uint64_t flags;
    uint64_t status;
  };
  for (const Case& one : {Case{kReadWrite | kPteUser, kStatusSum},
                          Case{kPteValid | kPteExecute | kPteAccessed, kStatusMxr}}) {
    const auto guest = run_every_way(4, [&](TestGuest& g) {
      mapped(g, one.flags);
      g.hart.x[kT0] = one.status;
      g.hart.sstatus |= one.status;
      Assembler code(g.kCode);
      code.load(Opcode::kLd, kA0, kS0);
      code.csr(Opcode::kCsrrc, kZero, Csr::kSstatus, kT0);
      code.load(Opcode::kLd, kA1, kS0);
      g.put(code);
      Assembler handler(g.kHandler);
      handler.csr(Opcode::kCsrrs, kZero, Csr::kSstatus, kT0);
      handler.op(Opcode::kSret);
      g.put(handler);
    });
    EXPECT_EQ(guest->hart.x[kA0], kFirstMark);
    EXPECT_EQ(guest->hart.traps, 1u);
    EXPECT_EQ(guest->hart.scause, static_cast<uint64_t>(Cause::kLoadPage));
    guest->run(2);
    EXPECT_EQ(guest->hart.x[kA1], kFirstMark);
    EXPECT_EQ(guest->hart.traps, 1u);
  }
}

TEST(TranslationChange, MoreAddressSpacesThanAreKept) {
  constexpr uint64_t kSpaces = Mmu::kAddressSpaces + 3;
  constexpr uint64_t kRounds = 3;
  constexpr uint64_t kInstructionsForEach = 4;
  const auto guest = run_every_way(kRounds * kSpaces * kInstructionsForEach, [](TestGuest& g) {
    // Each space leads kVirtual to a page of its own. a5 walks over a list of satp values.
    GuestAddress next = g.kTables;
    const GuestAddress list = g.kData + 24 * kPageSize;
    for (uint64_t i = 0; i < kSpaces; ++i) {
      PageTables tables(g.memory, next);
      tables.map(kRamBase.value, kRamBase, kAllRights, 2);
      tables.map(kVirtual, kFirst + i * kPageSize, kReadWrite);
      next = tables.next_page();
      g.memory.store(kFirst + i * kPageSize, uint64_t{1} << (4 * i));
      for (uint64_t round = 0; round < kRounds; ++round) {
        g.memory.store(list + 8 * (round * kSpaces + i), tables.satp());
      }
    }
    g.hart.x[kS0] = kVirtual;
    Assembler code(g.kCode);
    for (uint64_t i = 0; i < kRounds * kSpaces; ++i) {
      code.load(Opcode::kLd, kT0, kA5, static_cast<int32_t>(8 * i));
      code.csr_write(Csr::kSatp, kT0);
      code.load(Opcode::kLd, kT1, kS0);
      code.op(Opcode::kAdd, kA0, kA0, kT1);
    }
    g.hart.x[kA5] = list.value;
    g.put(code);
  });
  uint64_t expected = 0;
  for (uint64_t i = 0; i < kSpaces; ++i) expected += kRounds << (4 * i);
  EXPECT_EQ(guest->hart.x[kA0], expected);
  EXPECT_EQ(guest->hart.traps, 0u);
}

// A space that is not in use is warm, too: what changes meanwhile must be known on return.
TEST(TranslationChange, WhileAnotherAddressSpaceIsInUse) {
  const auto guest = run_every_way(6, [](TestGuest& g) {
    PageTables tables = mapped(g);
    PageTables other(g.memory, tables.next_page());
    other.map(kRamBase.value, kRamBase, kAllRights, 2);
    g.hart.x[kT0] = tables.satp();
    g.hart.x[kT1] = other.satp();
    Assembler code(g.kCode);
    code.load(Opcode::kLd, kA0, kS0);
    code.csr_write(Csr::kSatp, kT1);
    code.store(Opcode::kSd, kS2, kS1);
    code.csr_write(Csr::kSatp, kT0);
    code.load(Opcode::kLd, kA1, kS0);
    code.spin();
    g.put(code);
  });
  EXPECT_EQ(guest->hart.x[kA0], kFirstMark);
  EXPECT_EQ(guest->hart.x[kA1], kSecondMark);
}

TEST(TranslationChange, ByADevice) {
  const auto guest = run_every_way(3, [](TestGuest& g) {
    PageTables tables = mapped(g);
    const GuestAddress place(g.hart.x[kS1]);
    g.bus.on_read = [&g, place](uint64_t) {
      g.memory.store(place, make_pte(kSecond, kAllRights));
      return uint64_t{0};
    };
    tables.map(kTableAlias, TestBus::kDevice, kReadWrite);
    g.hart.x[kT0] = kTableAlias;
    Assembler code(g.kCode);
    code.load(Opcode::kLd, kA0, kS0);
    code.load(Opcode::kLw, kA2, kT0);
    code.load(Opcode::kLd, kA1, kS0);
    code.spin();
    g.put(code);
  });
  EXPECT_EQ(guest->hart.x[kA0], kFirstMark);
  EXPECT_EQ(guest->hart.x[kA1], kSecondMark);
}

}  // namespace
}  // namespace lockstep::riscv
