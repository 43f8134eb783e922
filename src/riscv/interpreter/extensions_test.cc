// The instructions beyond RV64GC: each by values worked out from the unprivileged specification,
// and what a guest sees that is not offered them.
#include <gtest/gtest.h>
#include <set>

#include "riscv/encoder.h"
#include "riscv/testing/test_guest.h"

namespace lockstep::riscv {
namespace {

using namespace lockstep::riscv::testing;

constexpr uint64_t kDigits = 0x0123456789abcdef;

uint64_t cause(Cause value) {
  return static_cast<uint64_t>(value);
}

// --- Zba, Zbb, Zbs, Zicond ----------------------------------------------------------------------

struct Computation {
  Opcode opcode;
  uint64_t first;
  uint64_t second;  // rs2, or the immediate
  uint64_t result;
};

constexpr Computation kComputations[] = {
    {Opcode::kAddUw, 0xffffffff80000001, 0x10, 0x80000011},
    {Opcode::kSh1add, 0x8000000000000005, 0x7, 0x11},
    {Opcode::kSh2add, kDigits, 0xffffffffffffffff, 0x48d159e26af37bb},
    {Opcode::kSh3add, kDigits, 0x1, 0x91a2b3c4d5e6f79},
    {Opcode::kSh1addUw, 0xffffffff80000001, 0x3, 0x100000005},
    {Opcode::kSh2addUw, 0xffffffff80000001, 0xffffffffffffffff, 0x200000003},
    {Opcode::kSh3addUw, 0xffffffffffffffff, 0x1, 0x7fffffff9},
    {Opcode::kAndn, kDigits, 0xff00ff00ff00ff00, 0x23006700ab00ef},
    {Opcode::kOrn, kDigits, 0xff00ff00ff00ff00, 0x1ff45ff89ffcdff},
    {Opcode::kXnor, kDigits, 0xff00ff00ff00ff00, 0x1dc45988954cd10},
    {Opcode::kMax, 0xffffffffffffffff, 0x1, 0x1},
    {Opcode::kMax, 0x8000000000000000, 0x7fffffffffffffff, 0x7fffffffffffffff},
    {Opcode::kMax, 0x5, 0x5, 0x5},
    {Opcode::kMaxu, 0xffffffffffffffff, 0x1, 0xffffffffffffffff},
    {Opcode::kMaxu, 0x8000000000000000, 0x7fffffffffffffff, 0x8000000000000000},
    {Opcode::kMin, 0xffffffffffffffff, 0x1, 0xffffffffffffffff},
    {Opcode::kMin, 0x8000000000000000, 0x7fffffffffffffff, 0x8000000000000000},
    {Opcode::kMinu, 0xffffffffffffffff, 0x1, 0x1},
    {Opcode::kMinu, 0x8000000000000000, 0x7fffffffffffffff, 0x7fffffffffffffff},
    {Opcode::kRol, kDigits, 0x4, 0x123456789abcdef0},
    {Opcode::kRol, kDigits, 0x0, kDigits},
    {Opcode::kRol, kDigits, 0x4c, 0x3456789abcdef012},
    {Opcode::kRol, 0x8000000000000000, 0x1, 0x1},
    {Opcode::kRolw, kDigits, 0x4, 0xffffffff9abcdef8},
    {Opcode::kRolw, 0xffffffff40000000, 0x1, 0xffffffff80000000},
    {Opcode::kRolw, kDigits, 0x20, 0xffffffff89abcdef},
    {Opcode::kRolw, kDigits, 0x3f, 0xffffffffc4d5e6f7},
    {Opcode::kRor, kDigits, 0x4, 0xf0123456789abcde},
    {Opcode::kRor, kDigits, 0x0, kDigits},
    {Opcode::kRor, 0x1, 0x41, 0x8000000000000000},
    {Opcode::kRorw, kDigits, 0x4, 0xfffffffff89abcde},
    {Opcode::kRorw, 0x100000001, 0x1, 0xffffffff80000000},
    {Opcode::kRorw, kDigits, 0x20, 0xffffffff89abcdef},
    {Opcode::kBclr, 0xffffffffffffffff, 0x3f, 0x7fffffffffffffff},
    {Opcode::kBclr, 0xffffffffffffffff, 0x40, 0xfffffffffffffffe},
    {Opcode::kBset, 0x0, 0x3f, 0x8000000000000000},
    {Opcode::kBset, 0x0, 0x41, 0x2},
    {Opcode::kBinv, kDigits, 0x0, 0x123456789abcdee},
    {Opcode::kBinv, kDigits, 0x7f, 0x8123456789abcdef},
    {Opcode::kBext, 0x8000000000000000, 0x3f, 0x1},
    {Opcode::kBext, 0x8000000000000000, 0x3e, 0x0},
    {Opcode::kBext, 0x2, 0x41, 0x1},
    {Opcode::kCzeroEqz, kDigits, 0x0, 0x0},
    {Opcode::kCzeroEqz, kDigits, 0x8000000000000000, kDigits},
    {Opcode::kCzeroEqz, kDigits, 0x100000000, kDigits},
    {Opcode::kCzeroNez, kDigits, 0x0, kDigits},
    {Opcode::kCzeroNez, kDigits, 0x8000000000000000, 0x0},
    {Opcode::kCzeroNez, kDigits, 0x100000000, 0x0},
    {Opcode::kClz, 0x0, 0, 0x40},
    {Opcode::kClz, 0x1, 0, 0x3f},
    {Opcode::kClz, 0x8000000000000000, 0, 0x0},
    {Opcode::kClz, kDigits, 0, 0x7},
    {Opcode::kClzw, 0xffffffff00000000, 0, 0x20},
    {Opcode::kClzw, 0x1, 0, 0x1f},
    {Opcode::kClzw, 0x80000000, 0, 0x0},
    {Opcode::kCtz, 0x0, 0, 0x40},
    {Opcode::kCtz, 0x8000000000000000, 0, 0x3f},
    {Opcode::kCtz, 0x1, 0, 0x0},
    {Opcode::kCtz, 0x23456789abcdef00, 0, 0x8},
    {Opcode::kCtzw, 0xffffffff00000000, 0, 0x20},
    {Opcode::kCtzw, 0x80000000, 0, 0x1f},
    {Opcode::kCtzw, 0x8, 0, 0x3},
    {Opcode::kCpop, 0x0, 0, 0x0},
    {Opcode::kCpop, 0xffffffffffffffff, 0, 0x40},
    {Opcode::kCpop, kDigits, 0, 0x20},
    {Opcode::kCpopw, 0xffffffff00000000, 0, 0x0},
    {Opcode::kCpopw, 0xffffffffffffffff, 0, 0x20},
    {Opcode::kCpopw, kDigits, 0, 0x14},
    {Opcode::kSextB, kDigits, 0, 0xffffffffffffffef},
    {Opcode::kSextB, 0x7f, 0, 0x7f},
    {Opcode::kSextH, kDigits, 0, 0xffffffffffffcdef},
    {Opcode::kSextH, 0x7fff, 0, 0x7fff},
    {Opcode::kZextH, kDigits, 0, 0xcdef},
    {Opcode::kZextH, 0xffffffffffffffff, 0, 0xffff},
    {Opcode::kOrcB, 0x0, 0, 0x0},
    {Opcode::kOrcB, 0x100800000100200, 0, 0xff00ff0000ffff00},
    {Opcode::kOrcB, 0xffffffffffffffff, 0, 0xffffffffffffffff},
    {Opcode::kOrcB, 0x180402010080400, 0, 0xffffffffffffff00},
    {Opcode::kRev8, kDigits, 0, 0xefcdab8967452301},
    {Opcode::kRev8, 0xff, 0, 0xff00000000000000},
    {Opcode::kSlliUw, 0xffffffff80000001, 0, 0x80000001},
    {Opcode::kSlliUw, 0xffffffffffffffff, 1, 0x1fffffffe},
    {Opcode::kSlliUw, 0xffffffffffffffff, 63, 0x8000000000000000},
    {Opcode::kRori, kDigits, 4, 0xf0123456789abcde},
    {Opcode::kRori, 0x1, 1, 0x8000000000000000},
    {Opcode::kRori, kDigits, 0, kDigits},
    {Opcode::kRori, kDigits, 63, 0x2468acf13579bde},
    {Opcode::kRoriw, kDigits, 4, 0xfffffffff89abcde},
    {Opcode::kRoriw, 0x100000001, 1, 0xffffffff80000000},
    {Opcode::kRoriw, 0xffffffff80000000, 0, 0xffffffff80000000},
    {Opcode::kBclri, 0xffffffffffffffff, 63, 0x7fffffffffffffff},
    {Opcode::kBseti, 0x0, 63, 0x8000000000000000},
    {Opcode::kBinvi, kDigits, 33, 0x123456589abcdef},
    {Opcode::kBexti, 0x8000000000000000, 63, 0x1},
    {Opcode::kBexti, 0x8000000000000000, 31, 0x0},
};

TEST(Extensions, ComputeWhatTheSpecificationSays) {
  for (const Computation& computation : kComputations) {
    TestGuest guest;
    guest.hart.x[kA0] = computation.first;
    guest.hart.x[kA1] = computation.second;
    Assembler code(guest.kCode);
    const Format format = instruction_row(computation.opcode).format;
    if (format == Format::kIShift64 || format == Format::kIShift32) {
      code.emit(
          immediate_form(computation.opcode, kA2, kA0, static_cast<int32_t>(computation.second)));
    } else {
      code.op(computation.opcode, kA2, kA0, kA1);
    }
    guest.put(code);
    guest.run(1);
    EXPECT_EQ(guest.hart.x[kA2], computation.result)
        << instruction_row(computation.opcode).mnemonic << std::hex << " " << computation.first
        << ", " << computation.second;
    EXPECT_EQ(guest.hart.x[kA0], computation.first);
    EXPECT_EQ(guest.hart.x[kA1], computation.second);
    EXPECT_EQ(guest.hart.traps, 0u);
  }
}

TEST(Extensions, EachComputationIsTested) {
  std::set<Opcode> tested;
  for (const Computation& computation : kComputations) tested.insert(computation.opcode);
  for (const InstructionRow& row : instruction_table()) {
    if (row.extension == IsaExtension::kBase || row.extension == IsaExtension::kZicboz) continue;
    EXPECT_TRUE(tested.contains(row.opcode)) << row.mnemonic;
  }
}

IsaExtensions all_but(IsaExtension left_out) {
  IsaExtensions isa;
  for (const NamedExtension& named : named_extensions()) {
    if (named.extension != left_out) isa.add(named.extension);
  }
  return isa;
}

TEST(Extensions, WhatIsNotOfferedIsAnIllegalInstruction) {
  for (const InstructionRow& row : instruction_table()) {
    if (row.extension == IsaExtension::kBase) continue;
    for (const uint64_t offset : {uint64_t{0}, kPageSize - 2}) {
      TestGuest guest;
      guest.hart.isa = all_but(row.extension);
      guest.hart.pc = guest.kCode.value + offset;
      guest.hart.x[kA0] = guest.kData.value;
      Assembler code(GuestAddress(guest.hart.pc));
      code.op(row.opcode, kA2, kA0, kA1);
      guest.put(code);
      guest.run(1);
      EXPECT_EQ(guest.hart.scause, cause(Cause::kIllegalInstruction)) << row.mnemonic;
      EXPECT_EQ(guest.hart.stval, encode(register_form(row.opcode, kA2, kA0, kA1))) << row.mnemonic;
      EXPECT_EQ(guest.hart.traps, 1u) << row.mnemonic;
    }
  }
}

// --- Zicboz -------------------------------------------------------------------------------------

constexpr uint64_t kVirtual = 0x4000'0000;
constexpr uint64_t kMark = 0x1111111111111111;

void mark(TestGuest& g, GuestAddress from, uint64_t size) {
  for (uint64_t i = 0; i < size; i += 8) g.memory.store(from + i, kMark);
}

// cbo.zero (s0); then it spins.
void zero_at(TestGuest& g, uint64_t address) {
  g.hart.x[kS0] = address;
  Assembler code(g.kCode);
  code.op(Opcode::kCboZero, 0, kS0, 0);
  code.spin();
  g.put(code);
}

TEST(CboZero, ClearsTheBlockThatTheAddressLiesInAndNoMore) {
  for (const uint64_t offset : {0u, 1u, 8u, 63u, 64u, 127u, 4095u}) {
    const auto guest = run_every_way(2, [&](TestGuest& g) {
      mark(g, g.kData - kCacheBlockSize, kPageSize + 2 * kCacheBlockSize);
      zero_at(g, g.kData.value + offset);
    });
    const uint64_t block = offset / kCacheBlockSize * kCacheBlockSize;
    for (uint64_t i = 0; i < kPageSize + 2 * kCacheBlockSize; i += 8) {
      const GuestAddress place = guest->kData - kCacheBlockSize + i;
      const bool inside =
          place >= guest->kData + block && place < guest->kData + block + kCacheBlockSize;
      ASSERT_EQ(guest->memory.load<uint64_t>(place), inside ? 0 : kMark)
          << offset << ": " << std::hex << place.value;
    }
    EXPECT_EQ(guest->hart.traps, 0u);
    EXPECT_EQ(guest->hart.x[kS0], guest->kData.value + offset);
  }
}

TEST(CboZero, HitsInTheTlbDoTheSame) {
  const auto guest = run_every_way(4, [](TestGuest& g) {
    mark(g, g.kData, kPageSize);
    g.hart.x[kS0] = g.kData.value + 100;
    g.hart.x[kS1] = g.kData.value + 4000;
    Assembler code(g.kCode);
    code.store(Opcode::kSd, kS1, kS0);
    code.op(Opcode::kCboZero, 0, kS0, 0);
    code.op(Opcode::kCboZero, 0, kS1, 0);
    code.spin();
    g.put(code);
  });
  for (uint64_t i = 0; i < kPageSize; i += 8) {
    const bool inside = i / kCacheBlockSize == 1 || i / kCacheBlockSize == 62;
    EXPECT_EQ(guest->memory.load<uint64_t>(guest->kData + i), inside ? 0 : kMark) << i;
  }
}

TEST(CboZero, MarksThePageDirty) {
  TestGuest guest;
  guest.memory.take_dirty_pages();
  guest.engine->watch_writes_again();
  zero_at(guest, guest.kData.value + 5);
  guest.memory.take_dirty_pages();
  guest.engine->watch_writes_again();
  guest.run(1);
  EXPECT_EQ(guest.memory.take_dirty_pages(),
            std::vector<uint64_t>{guest.memory.page_index(guest.kData)});
}

TEST(CboZero, FaultsAsAStoreAndNamesRs1) {
  struct Fault {
    uint64_t flags;
    uint64_t target;
    Cause expected;
  };
  const uint64_t data = TestGuest::kData.value;
  const Fault faults[] = {
      {0, data, Cause::kStorePage},
      {kReadExecute, data, Cause::kStorePage},
      {kReadWrite & ~kPteDirty, data, Cause::kStorePage},
      {kReadWrite & ~kPteAccessed, data, Cause::kStorePage},
      {kReadWrite | kPteUser, data, Cause::kStorePage},
      {kReadWrite, TestBus::kDevice.value, Cause::kStoreAccess},
      {kReadWrite, kRamBase.value + TestGuest::kPages * kPageSize, Cause::kStoreAccess},
  };
  for (const Fault& fault : faults) {
    const auto guest = run_every_way(2, [&](TestGuest& g) {
      PageTables tables(g.memory, g.kTables);
      tables.map(kRamBase.value, kRamBase, kAllRights, 2);
      tables.map(kVirtual, GuestAddress(fault.target), fault.flags);
      g.bus.on_write = [](uint64_t, uint64_t) { ADD_FAILURE() << "reached the device"; };
      g.hart.satp = tables.satp();
      mark(g, g.kData, kCacheBlockSize);
      zero_at(g, kVirtual + 13);
    });
    EXPECT_EQ(guest->hart.scause, cause(fault.expected)) << fault.flags;
    EXPECT_EQ(guest->hart.stval, kVirtual + 13) << fault.flags;
    EXPECT_EQ(guest->hart.sepc, guest->kCode.value);
    EXPECT_EQ(guest->memory.load<uint64_t>(guest->kData), kMark);
  }
}

TEST(CboZero, UserModeNeedsTheBitInSenvcfg) {
  for (const bool enabled : {false, true}) {
    const auto guest = run_every_way(3, [&](TestGuest& g) {
      PageTables tables(g.memory, g.kTables);
      tables.map(kRamBase.value, kRamBase, kAllRights | kPteUser, 2);
      g.hart.satp = tables.satp();
      g.hart.privilege = Privilege::kUser;
      g.hart.senvcfg = enabled ? kEnvironmentCbze : kEnvironmentFiom;
      mark(g, g.kData, kCacheBlockSize);
      zero_at(g, g.kData.value);
    });
    EXPECT_EQ(guest->memory.load<uint64_t>(guest->kData), enabled ? 0 : kMark);
    // The handler, a user page to the supervisor, cannot be fetched: what was first is lost.
    EXPECT_EQ(guest->hart.traps != 0, !enabled);
  }
}

TEST(CboZero, UserModeWithoutTheBitIsAnIllegalInstruction) {
  const auto guest = run_every_way(1, [](TestGuest& g) {
    PageTables tables(g.memory, g.kTables);
    tables.map(kRamBase.value, kRamBase, kAllRights | kPteUser, 2);
    g.hart.satp = tables.satp();
    g.hart.privilege = Privilege::kUser;
    zero_at(g, 0);  // which comes before the address is looked at
  });
  EXPECT_EQ(guest->hart.scause, cause(Cause::kIllegalInstruction));
  EXPECT_EQ(guest->hart.stval, encode(register_form(Opcode::kCboZero, 0, kS0, 0)));
}

TEST(CboZero, OfCodeTakesEffectAtTheNextInstruction) {
  const auto guest = run_every_way(8, [](TestGuest& g) {
    const uint64_t target = g.kCode.value + 2 * kCacheBlockSize;
    g.hart.x[kS0] = target + 7;
    Assembler code(g.kCode);
    code.addi(kA0, kZero, 1);
    code.jal(kZero, target);
    code.pad_to(target - 4);
    code.op(Opcode::kCboZero, 0, kS0, 0);  // runs on into the zeroes
    code.addi(kA1, kA1, 1);                // runs once
    code.jal(kZero, target - 4);
    g.put(code);
  });
  EXPECT_EQ(guest->hart.x[kA1], 1u);
  EXPECT_EQ(guest->hart.scause, cause(Cause::kIllegalInstruction));
  EXPECT_EQ(guest->hart.sepc, guest->kCode.value + 2 * kCacheBlockSize);
  EXPECT_EQ(guest->hart.stval, 0u);
}

TEST(CboZero, OfItselfHappens) {
  const auto guest = run_every_way(2, [](TestGuest& g) { zero_at(g, g.kCode.value + 63); });
  EXPECT_EQ(guest->memory.load<uint64_t>(guest->kCode), 0u);
  EXPECT_EQ(guest->hart.sepc, guest->kCode.value + 4);
}

TEST(CboZero, OfAPageTableTakesEffectAtTheNextAccess) {
  const auto guest = run_every_way(4, [](TestGuest& g) {
    PageTables tables(g.memory, g.kTables);
    tables.map(kRamBase.value, kRamBase, kAllRights, 2);
    tables.map(kVirtual, g.kData, kAllRights);
    tables.map(kVirtual + 7 * kPageSize, g.kData, kAllRights);
    tables.map(kVirtual + 8 * kPageSize, g.kData, kAllRights);
    g.memory.store(g.kData, kMark);
    g.hart.satp = tables.satp();
    g.hart.x[kS0] = kVirtual + 7 * kPageSize;  // the last PTE of the block
    g.hart.x[kS1] = kVirtual + 8 * kPageSize;  // the first of the next
    g.hart.x[kS2] = tables.pte_place(kVirtual).value;
    Assembler code(g.kCode);
    code.load(Opcode::kLd, kA0, kS0);
    code.op(Opcode::kCboZero, 0, kS2, 0);
    code.load(Opcode::kLd, kA1, kS1);
    code.load(Opcode::kLd, kA2, kS0);
    g.put(code);
  });
  EXPECT_EQ(guest->hart.x[kA0], kMark);
  EXPECT_EQ(guest->hart.x[kA1], kMark);
  EXPECT_EQ(guest->hart.x[kA2], 0u);
  EXPECT_EQ(guest->hart.scause, cause(Cause::kLoadPage));
  EXPECT_EQ(guest->hart.stval, kVirtual + 7 * kPageSize);
}

TEST(CboZero, EndsAReservationThatItChanges) {
  for (const uint64_t value : {kMark, uint64_t{0}}) {
    const auto guest = run_every_way(4, [&](TestGuest& g) {
      g.memory.store(g.kData, value);
      g.hart.x[kS0] = g.kData.value;
      Assembler code(g.kCode);
      code.op(Opcode::kLrD, kA0, kS0, 0);
      code.op(Opcode::kCboZero, 0, kS0, 0);
      code.op(Opcode::kScD, kA1, kS0, kS0);
      code.spin();
      g.put(code);
    });
    EXPECT_EQ(guest->hart.x[kA1], value == 0 ? 0u : 1u);
  }
}

// --- Svvptc -------------------------------------------------------------------------------------

TEST(Svvptc, APteMadeValidIsSeenByTheNextAccess) {
  const auto guest = run_every_way(4, [](TestGuest& g) {
    PageTables tables(g.memory, g.kTables);
    tables.map(kRamBase.value, kRamBase, kAllRights, 2);
    tables.map(kVirtual, g.kData, 0);
    g.memory.store(g.kData, kMark);
    g.hart.satp = tables.satp();
    g.hart.x[kS0] = kVirtual;
    g.hart.x[kS1] = tables.pte_place(kVirtual).value;
    g.hart.x[kS2] = make_pte(g.kData, kAllRights);
    Assembler handler(g.kHandler);  // makes it valid and goes back
    handler.store(Opcode::kSd, kS2, kS1);
    handler.op(Opcode::kSret);
    g.put(handler);
    Assembler code(g.kCode);
    code.load(Opcode::kLd, kA0, kS0);
    code.spin();
    g.put(code);
  });
  EXPECT_EQ(guest->hart.x[kA0], kMark);
  EXPECT_EQ(guest->hart.traps, 1u);
  EXPECT_EQ(guest->hart.scause, cause(Cause::kLoadPage));
}

}  // namespace
}  // namespace lockstep::riscv
