#include "riscv/hart.h"

#include <bit>
#include <gtest/gtest.h>
#include <optional>
#include <random>

#include "base/state_visitors.h"

namespace lockstep::riscv {
namespace {

constexpr uint64_t kAllInterrupts = kSoftwareInterrupt | kTimerInterrupt | kExternalInterrupt;
constexpr uint64_t kExternalNumber = 9;
constexpr uint64_t kSoftwareNumber = 1;
constexpr uint64_t kTimerNumber = 5;

Hart hart_with_all_interrupts() {
  Hart hart;
  hart.pc = 0x80000100;
  hart.stvec = 0x80010000;
  hart.sie = kAllInterrupts;
  hart.sstatus |= kStatusSie;
  hart.external_interrupt = true;
  hart.software_interrupt = true;
  hart.stimecmp = GuestTicks(0);
  return hart;
}

TEST(HartInterrupts, ExternalGoesBeforeSoftwareBeforeTimer) {
  Hart hart = hart_with_all_interrupts();
  for (const uint64_t number : {kExternalNumber, kSoftwareNumber, kTimerNumber}) {
    hart.sstatus |= kStatusSie;
    ASSERT_TRUE(hart.take_interrupt());
    EXPECT_EQ(hart.scause, kCauseInterrupt | number);
    if (number == kExternalNumber) hart.external_interrupt = false;
    if (number == kSoftwareNumber) hart.software_interrupt = false;
    if (number == kTimerNumber) hart.stimecmp = GuestTicks(~uint64_t{0});
  }
  hart.sstatus |= kStatusSie;
  EXPECT_FALSE(hart.take_interrupt());
}

TEST(HartInterrupts, TakingOneIsOneStepAndOneTrap) {
  Hart hart = hart_with_all_interrupts();
  hart.step = Step(77);
  hart.traps = 3;
  hart.reserved = true;
  hart.stval = 5;
  ASSERT_TRUE(hart.take_interrupt());
  EXPECT_EQ(hart.step, Step(78));
  EXPECT_EQ(hart.traps, 4u);
  EXPECT_EQ(hart.sepc, 0x80000100u);
  EXPECT_EQ(hart.pc, 0x80010000u);
  EXPECT_EQ(hart.stval, 0u);
  EXPECT_FALSE(hart.reserved);
  EXPECT_EQ(hart.sstatus & (kStatusSie | kStatusSpie | kStatusSpp), kStatusSpie | kStatusSpp);
}

TEST(HartInterrupts, WaitForTheirEnableBits) {
  for (const uint64_t bit : {kSoftwareInterrupt, kTimerInterrupt, kExternalInterrupt}) {
    Hart hart = hart_with_all_interrupts();
    hart.sie = kAllInterrupts & ~bit;
    ASSERT_TRUE(hart.take_interrupt());
    EXPECT_NE(hart.scause, kCauseInterrupt | static_cast<uint64_t>(std::countr_zero(bit)));
    hart = hart_with_all_interrupts();
    hart.sie = bit;
    ASSERT_TRUE(hart.take_interrupt());
    EXPECT_EQ(hart.scause, kCauseInterrupt | static_cast<uint64_t>(std::countr_zero(bit)));
  }
}

TEST(HartInterrupts, SieMattersInSupervisorModeOnly) {
  Hart hart = hart_with_all_interrupts();
  hart.sstatus &= ~kStatusSie;
  EXPECT_FALSE(hart.take_interrupt());
  hart.privilege = Privilege::kUser;
  EXPECT_TRUE(hart.take_interrupt());
  EXPECT_EQ(hart.privilege, Privilege::kSupervisor);
  EXPECT_EQ(hart.sstatus & kStatusSpp, 0u);
}

TEST(HartInterrupts, VectoredModeIsForInterruptsOnly) {
  Hart hart = hart_with_all_interrupts();
  hart.stvec = 0x80010000 | 1;
  ASSERT_TRUE(hart.take_interrupt());
  EXPECT_EQ(hart.pc, 0x80010000 + 4 * kExternalNumber);
  hart.take_trap(Cause::kBreakpoint, 0x1234);
  EXPECT_EQ(hart.pc, 0x80010000u);
  EXPECT_EQ(hart.stval, 0x1234u);
}

TEST(HartInterrupts, APendingEnabledInterruptEndsTheWaitEvenWhenItCannotBeTaken) {
  Hart hart = hart_with_all_interrupts();
  hart.sstatus &= ~kStatusSie;
  hart.waiting = true;
  hart.sie = 0;
  hart.wake_if_pending();
  EXPECT_TRUE(hart.waiting);
  hart.sie = kSoftwareInterrupt;
  hart.wake_if_pending();
  EXPECT_FALSE(hart.waiting);
}

std::optional<uint64_t> written_and_read(Csr csr, uint64_t value, Hart hart = {}) {
  hart.sstatus |= kStatusFs;
  uint64_t back = 0;
  if (!write_csr(hart, static_cast<uint16_t>(csr), value)) return std::nullopt;
  EXPECT_TRUE(read_csr(hart, static_cast<uint16_t>(csr), back));
  return back;
}

TEST(Csr, KeepsTheBitsThatThisHartImplements) {
  constexpr uint64_t kOnes = ~uint64_t{0};
  EXPECT_EQ(written_and_read(Csr::kSstatus, kOnes), kStatusSd | kStatusUxl64 | kStatusMxr |
                                                        kStatusSum | kStatusFs | kStatusSpp |
                                                        kStatusSpie | kStatusSie);
  EXPECT_EQ(written_and_read(Csr::kSstatus, 0), kStatusUxl64);
  EXPECT_EQ(written_and_read(Csr::kSie, kOnes), kAllInterrupts);
  EXPECT_EQ(written_and_read(Csr::kSip, kOnes), kSoftwareInterrupt) << "the others are wires";
  EXPECT_EQ(written_and_read(Csr::kScounteren, kOnes), 7u);
  EXPECT_EQ(written_and_read(Csr::kSenvcfg, kOnes), kEnvironmentFiom | kEnvironmentCbze);
  EXPECT_EQ(written_and_read(Csr::kSepc, kOnes), kOnes - 1);
  EXPECT_EQ(written_and_read(Csr::kFcsr, kOnes), 0xffu);
  EXPECT_EQ(written_and_read(Csr::kFrm, kOnes), 7u);
  EXPECT_EQ(written_and_read(Csr::kFflags, kOnes), 0x1fu);
  for (const Csr csr : {Csr::kSscratch, Csr::kScause, Csr::kStval, Csr::kStimecmp}) {
    EXPECT_EQ(written_and_read(csr, 0x123456789abcdef0), 0x123456789abcdef0u);
  }
}

TEST(Csr, EnablingCboZeroIsABitOfZicbozOnly) {
  Hart hart;
  hart.isa = {IsaExtension::kZba};
  EXPECT_EQ(written_and_read(Csr::kSenvcfg, ~uint64_t{0}, hart), kEnvironmentFiom);
  hart.isa = {IsaExtension::kZicboz};
  EXPECT_EQ(written_and_read(Csr::kSenvcfg, kEnvironmentCbze, hart), kEnvironmentCbze);
}

TEST(Csr, AModeOfStvecOrSatpThatIsNotThereLeavesTheRegisterAsItWas) {
  Hart hart;
  hart.stvec = 0x80000001;
  EXPECT_EQ(written_and_read(Csr::kStvec, 0x90000002, hart), 0x80000001u);
  EXPECT_EQ(written_and_read(Csr::kStvec, 0x90000003, hart), 0x80000001u);
  EXPECT_EQ(written_and_read(Csr::kStvec, 0x90000001, hart), 0x90000001u);

  constexpr uint64_t kSv39 = kSatpModeSv39 << kSatpModeShift;
  hart.satp = kSv39 | 0x80123;
  for (const uint64_t mode : {1u, 7u, 9u, 10u, 15u}) {
    EXPECT_EQ(written_and_read(Csr::kSatp, mode << kSatpModeShift | 5, hart), hart.satp);
  }
  EXPECT_EQ(written_and_read(Csr::kSatp, kSv39 | ~(uint64_t{0xf} << kSatpModeShift), hart),
            kSv39 | kSatpPpnMask)
      << "no ASIDs";
  EXPECT_EQ(written_and_read(Csr::kSatp, 0, hart), 0u);
}

TEST(Csr, UserModeReachesFloatingPointAndTheCountersItMayRead) {
  Hart hart;
  hart.privilege = Privilege::kUser;
  uint64_t value = 0;
  for (uint16_t number = 0; number < 0x1000; ++number) {
    const bool float_csr = number >= 1 && number <= 3;
    hart.sstatus |= kStatusFs;
    hart.scounteren = 0;
    EXPECT_EQ(read_csr(hart, number, value), float_csr) << number;
    EXPECT_EQ(write_csr(hart, number, 0), float_csr) << number;
  }
  for (unsigned counter = 0; counter < 3; ++counter) {
    hart.scounteren = uint64_t{1} << counter;
    for (unsigned other = 0; other < 3; ++other) {
      EXPECT_EQ(read_csr(hart, static_cast<uint16_t>(0xc00u + other), value), counter == other);
    }
  }
}

TEST(Csr, ReadOnlyAndUnknownRegistersCannotBeWritten) {
  Hart hart;
  for (const Csr csr : {Csr::kCycle, Csr::kTime, Csr::kInstret}) {
    EXPECT_FALSE(write_csr(hart, static_cast<uint16_t>(csr), 0));
  }
  uint64_t value = 0;
  for (const unsigned unknown : {0x300u, 0x305u, 0x3a0u, 0xf14u, 0x200u, 0x7c0u, 0xc03u, 0xc80u}) {
    const auto number = static_cast<uint16_t>(unknown);
    EXPECT_FALSE(read_csr(hart, number, value)) << number;
    EXPECT_FALSE(write_csr(hart, number, 0)) << number;
  }
}

TEST(Csr, FloatingPointRegistersNeedFsAndAWriteMakesItDirty) {
  Hart hart;
  uint64_t value = 0;
  for (const Csr csr : {Csr::kFflags, Csr::kFrm, Csr::kFcsr}) {
    hart.sstatus &= ~kStatusFs;
    EXPECT_FALSE(read_csr(hart, static_cast<uint16_t>(csr), value));
    EXPECT_FALSE(write_csr(hart, static_cast<uint16_t>(csr), 0));
    hart.sstatus |= kStatusFs & (kStatusFs >> 1);  // initial
    EXPECT_TRUE(read_csr(hart, static_cast<uint16_t>(csr), value));
    EXPECT_NE(hart.sstatus & kStatusFs, kStatusFs);
    EXPECT_TRUE(write_csr(hart, static_cast<uint16_t>(csr), 0));
    EXPECT_EQ(hart.sstatus & kStatusFs, kStatusFs);
  }
}

TEST(Csr, CountersFollowSteps) {
  Hart hart;
  hart.step = Step(1'000);
  hart.traps = 30;
  hart.time.set_anchor(Step(0), GuestTicks(50), uint64_t{1} << 32);
  uint64_t value = 0;
  ASSERT_TRUE(read_csr(hart, static_cast<uint16_t>(Csr::kCycle), value));
  EXPECT_EQ(value, 1'000u);
  ASSERT_TRUE(read_csr(hart, static_cast<uint16_t>(Csr::kInstret), value));
  EXPECT_EQ(value, 970u);
  ASSERT_TRUE(read_csr(hart, static_cast<uint16_t>(Csr::kTime), value));
  EXPECT_EQ(value, 1'050u);
}

TEST(HartState, ComesBackFromWhatWasSaved) {
  Hart original = hart_with_all_interrupts();
  std::mt19937_64 random(1);
  for (size_t i = 1; i < 32; ++i) original.x[i] = random();
  for (uint64_t& value : original.f) value = random();
  original.x[kSinkRegister] = 99;
  original.reserved = true;
  original.reserved_address = GuestAddress(0x80000040);
  original.reserved_value = 7;
  original.waiting = true;
  original.frm = 3;
  original.time.set_anchor(Step(0), GuestTicks(123), 456);
  Bytes saved;
  StateWriter writer(saved);
  original.visit_state(writer);

  Hart restored;
  StateReader reader(saved, "the test's state");
  restored.visit_state(reader);
  ASSERT_TRUE(reader.finish());
  EXPECT_EQ(restored.x[0], 0u);
  StateLister left;
  StateLister right;
  original.visit_state(left);
  restored.visit_state(right);
  EXPECT_EQ(first_difference(left, right), std::nullopt);
}

TEST(HartState, TheSinkOfRegisterZeroIsNotState) {
  Hart left;
  Hart right;
  left.x[kSinkRegister] = 1;
  right.x[kSinkRegister] = 2;
  StateHasher left_hash;
  StateHasher right_hash;
  left.visit_state(left_hash);
  right.visit_state(right_hash);
  EXPECT_EQ(left_hash.digest(), right_hash.digest());
}

}  // namespace
}  // namespace lockstep::riscv
