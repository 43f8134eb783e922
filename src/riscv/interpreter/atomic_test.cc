// When an LR/SC reservation holds, and what atomic access does at the edges of memory.
#include <gtest/gtest.h>

#include "riscv/testing/test_guest.h"

namespace lockstep::riscv {
namespace {

using namespace lockstep::riscv::testing;

constexpr uint64_t kFailed = 1;

// lr.d a0, (s0); what `between` emits; sc.d a1, s1, (s2); s0 = s2 = kData unless changed.
std::unique_ptr<TestGuest> reserve(uint64_t steps_between,
                                   const std::function<void(Assembler&)>& between,
                                   const std::function<void(TestGuest&)>& prepare = {}) {
  return run_every_way(2 + steps_between, [&](TestGuest& g) {
    g.memory.store<uint64_t>(g.kData, 0x1111);
    g.hart.x[kS0] = g.kData.value;
    g.hart.x[kS2] = g.kData.value;
    g.hart.x[kS1] = 0x2222;
    g.hart.x[kA1] = 77;
    if (prepare) prepare(g);
    Assembler code(g.kCode);
    code.op(Opcode::kLrD, kA0, kS0, 0);
    between(code);
    code.op(Opcode::kScD, kA1, kS2, kS1);
    code.op(Opcode::kScD, kA2, kS2, kS1);
    g.put(code);
  });
}

TEST(Reservation, HoldsOnceAndGoesWithTheStoreConditional) {
  const auto guest = reserve(0, [](Assembler&) {});
  EXPECT_EQ(guest->hart.x[kA0], 0x1111u);
  EXPECT_EQ(guest->hart.x[kA1], 0u);
  EXPECT_EQ(guest->memory.load<uint64_t>(guest->kData), 0x2222u);
  EXPECT_FALSE(guest->hart.reserved);
  guest->run(1);
  EXPECT_EQ(guest->hart.x[kA2], kFailed);
}

TEST(Reservation, NoneNoStore) {
  const auto guest = run_every_way(1, [](TestGuest& g) {
    g.hart.x[kS0] = g.kData.value;
    g.hart.x[kS1] = 5;
    Assembler code(g.kCode);
    code.op(Opcode::kScW, kA1, kS0, kS1);
    g.put(code);
  });
  EXPECT_EQ(guest->hart.x[kA1], kFailed);
  EXPECT_EQ(guest->memory.load<uint64_t>(guest->kData), 0u);
}

TEST(Reservation, IsForOneAddress) {
  const auto guest = reserve(1, [](Assembler& code) { code.addi(kS2, kS2, 8); });
  EXPECT_EQ(guest->hart.x[kA1], kFailed);
  EXPECT_FALSE(guest->hart.reserved) << "a failed SC ends it, too";
  EXPECT_EQ(guest->memory.load<uint64_t>(guest->kData + 8), 0u);
}

TEST(Reservation, IsForAPhysicalAddress) {
  constexpr uint64_t kAlias = 0x4000'0000;
  const auto guest = reserve(
      0, [](Assembler&) {},
      [](TestGuest& g) {
        PageTables tables(g.memory, g.kTables);
        tables.map(kRamBase.value, kRamBase, kAllRights, 2);
        tables.map(kAlias, g.kData, kReadWrite);
        g.hart.satp = tables.satp();
        g.hart.x[kS2] = kAlias;
      });
  EXPECT_EQ(guest->hart.x[kA1], 0u);
  EXPECT_EQ(guest->memory.load<uint64_t>(guest->kData), 0x2222u);
}

TEST(Reservation, GoesWhenTheValueIsAnother) {
  const auto guest = reserve(1, [](Assembler& code) { code.store(Opcode::kSb, kS1, kS0); });
  EXPECT_EQ(guest->hart.x[kA1], kFailed);
  EXPECT_EQ(guest->memory.load<uint64_t>(guest->kData), 0x1122u);
}

TEST(Reservation, OutlivesFencesAndLoads) {
  const auto guest = reserve(4, [](Assembler& code) {
    code.load(Opcode::kLd, kT0, kS0);
    code.op(Opcode::kFence);
    code.op(Opcode::kFenceI);
    code.op(Opcode::kSfenceVma);
  });
  EXPECT_EQ(guest->hart.x[kA1], 0u);
}

TEST(Reservation, GoesWithEveryTrap) {
  const auto trapped = [](const std::function<void(TestGuest&)>& prepare) {
    return reserve(
        5, [](Assembler& code) { code.op(Opcode::kEbreak); },
        [&](TestGuest& g) {
          Assembler handler(g.kHandler);
          handler.csr_read(kT0, Csr::kSepc);
          handler.addi(kT0, kT0, 4);
          handler.csr_write(Csr::kSepc, kT0);
          handler.op(Opcode::kSret);
          g.put(handler);
          g.hart.sstatus |= kStatusSpp;
          if (prepare) prepare(g);
        });
  };
  EXPECT_EQ(trapped({})->hart.x[kA1], kFailed);

  TestGuest guest;  // an interrupt
  guest.hart.reserved = true;
  guest.hart.sie = kSoftwareInterrupt;
  guest.hart.sstatus |= kStatusSie;
  guest.hart.software_interrupt = true;
  guest.run(1);
  EXPECT_EQ(guest.hart.traps, 1u);
  EXPECT_FALSE(guest.hart.reserved);
}

TEST(Reservation, GoesWhenADeviceChangesTheMemory) {
  const auto guest = reserve(
      1, [](Assembler& code) { code.store(Opcode::kSb, kS1, kT0); },
      [](TestGuest& g) {
        g.hart.x[kT0] = TestBus::kDevice.value;
        g.bus.on_write = [&g](uint64_t, uint64_t) { g.memory.store<uint64_t>(g.kData, 3); };
      });
  EXPECT_EQ(guest->hart.x[kA1], kFailed);
}

TEST(Reservation, AStoreConditionalThatFaultsKeepsNothingAndWritesNothing) {
  const auto guest = reserve(1, [](Assembler& code) { code.addi(kS2, kS2, 1); });
  EXPECT_EQ(guest->hart.scause, static_cast<uint64_t>(Cause::kStoreMisaligned));
  EXPECT_EQ(guest->hart.stval, guest->kData.value + 1);
  EXPECT_EQ(guest->hart.x[kA1], 77u);
  EXPECT_FALSE(guest->hart.reserved);
}

TEST(Atomics, MisalignedAccessAndAccessOutsideRamFault) {
  struct Case {
    Opcode opcode;
    uint64_t address;
    Cause cause;
  };
  const uint64_t data = TestGuest::kData.value;
  for (const Case& one : {Case{Opcode::kLrW, data + 2, Cause::kLoadMisaligned},
                          Case{Opcode::kLrD, data + 4, Cause::kLoadMisaligned},
                          Case{Opcode::kAmoaddW, data + 1, Cause::kStoreMisaligned},
                          Case{Opcode::kAmoswapD, data + 4, Cause::kStoreMisaligned},
                          Case{Opcode::kLrD, TestBus::kDevice.value, Cause::kLoadAccess},
                          Case{Opcode::kAmoorD, TestBus::kDevice.value, Cause::kStoreAccess}}) {
    const auto guest = run_every_way(1, [&](TestGuest& g) {
      g.hart.x[kS0] = one.address;
      g.hart.x[kA0] = 42;
      Assembler code(g.kCode);
      code.op(one.opcode, kA0, kS0,
              one.opcode == Opcode::kLrW || one.opcode == Opcode::kLrD ? uint8_t{0} : uint8_t{kA1});
      g.put(code);
    });
    EXPECT_EQ(guest->hart.scause, static_cast<uint64_t>(one.cause));
    EXPECT_EQ(guest->hart.stval, one.address);
    EXPECT_EQ(guest->hart.x[kA0], 42u);
  }
}

// An AMO on a page that may be read only is a store fault, whatever it would have stored.
TEST(Atomics, NeedTheRightToWrite) {
  constexpr uint64_t kReadOnlyPage = 0x4000'0000;
  for (const Opcode opcode : {Opcode::kAmoaddD, Opcode::kScD}) {
    const auto guest = run_every_way(1, [&](TestGuest& g) {
      PageTables tables(g.memory, g.kTables);
      tables.map(kRamBase.value, kRamBase, kAllRights, 2);
      tables.map(kReadOnlyPage, g.kData, kPteValid | kPteRead | kPteAccessed | kPteDirty);
      g.hart.satp = tables.satp();
      g.hart.x[kS0] = kReadOnlyPage;
      Assembler code(g.kCode);
      code.op(opcode, kA0, kS0, kZero);
      g.put(code);
    });
    EXPECT_EQ(guest->hart.scause, static_cast<uint64_t>(Cause::kStorePage));
  }
}

}  // namespace
}  // namespace lockstep::riscv
