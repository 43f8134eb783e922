// When steps pass, and what each leaves behind: exact stops, traps, interrupts, waiting, register
// 0, illegal instructions, misaligned and atomic access.
#include "riscv/interpreter/interpreter.h"

#include <gtest/gtest.h>
#include <vector>

#include "riscv/encoder.h"
#include "riscv/testing/test_guest.h"

namespace lockstep::riscv {
namespace {

using namespace lockstep::riscv::testing;

constexpr uint64_t kOneTickPerStep = uint64_t{1} << 32;
constexpr uint64_t kVirtual = 0x4000'0000;

uint64_t cause(Cause value) {
  return static_cast<uint64_t>(value);
}

// --- Exact stops --------------------------------------------------------------------------------

TEST(InterpreterSteps, StopsAtEachStepOfALoop) {
  const auto guest = run_every_way(1'000, [](TestGuest& g) {
    Assembler code(g.kCode);
    code.li(kT0, 3);
    const uint64_t loop = code.here();
    code.addi(kA0, kA0, 1);
    code.op(Opcode::kMul, kT0, kT0, kA0);
    code.half(0x0505);  // c.addi a0, 1
    code.branch(Opcode::kBne, kT0, kZero, loop);
    code.jal(kZero, loop);
    g.put(code);
  });
  EXPECT_EQ(guest->hart.step, Step(1'000));
  EXPECT_EQ(guest->hart.traps, 0u);
}

TEST(InterpreterSteps, RunningOffAPageGoesOnInTheNext) {
  const auto guest = run_every_way(20, [](TestGuest& g) {
    Assembler code(g.kCode);
    code.pad_to(g.kCode.value + 2 * kPageSize);
    g.put(code);
    g.hart.pc = g.kCode.value + kPageSize - 20;
  });
  EXPECT_EQ(guest->hart.pc, guest->kCode.value + kPageSize + 20);
}

TEST(InterpreterSteps, ATrapIsOneStepAndDoesNotRetire) {
  const auto guest = run_every_way(5, [](TestGuest& g) {
    Assembler code(g.kCode);
    code.nop();
    code.nop();
    code.op(Opcode::kEbreak);
    g.put(code);
    Assembler handler(g.kHandler);
    handler.csr_read(kA0, Csr::kCycle);
    handler.csr_read(kA1, Csr::kInstret);
    g.put(handler);
  });
  EXPECT_EQ(guest->hart.x[kA0], 3u);
  EXPECT_EQ(guest->hart.x[kA1], 3u) << "two nops and the read of cycle";
  EXPECT_EQ(guest->hart.traps, 1u);
  EXPECT_EQ(guest->hart.scause, cause(Cause::kBreakpoint));
  EXPECT_EQ(guest->hart.sepc, guest->kCode.value + 8);
  EXPECT_EQ(guest->hart.stval, guest->kCode.value + 8);
}

TEST(InterpreterSteps, AFaultInMidPageStopsTheCountThere) {
  const auto guest = run_every_way(8, [](TestGuest& g) {
    Assembler code(g.kCode);
    for (int i = 0; i < 5; ++i) code.addi(kA0, kA0, 1);
    code.load(Opcode::kLd, kA0, kZero, 16);
    code.addi(kA0, kA0, 1);
    g.put(code);
  });
  EXPECT_EQ(guest->hart.x[kA0], 5u);
  EXPECT_EQ(guest->hart.scause, cause(Cause::kLoadAccess));
  EXPECT_EQ(guest->hart.stval, 16u);
  EXPECT_EQ(guest->hart.sepc, guest->kCode.value + 20);
  EXPECT_EQ(guest->hart.traps, 1u);
}

TEST(InterpreterSteps, AJumpToNowhereRetiresAndThenTraps) {
  const auto guest = run_every_way(3, [](TestGuest& g) {
    Assembler code(g.kCode);
    code.li(kT0, 0x5000);
    code.jalr(kRa, kT0, 6);
    g.put(code);
  });
  EXPECT_EQ(guest->hart.scause, cause(Cause::kFetchAccess));
  EXPECT_EQ(guest->hart.stval, 0x5006u);
  EXPECT_EQ(guest->hart.sepc, 0x5006u);
  EXPECT_EQ(guest->hart.x[kRa], guest->kCode.value + 8);
  EXPECT_EQ(guest->hart.step, Step(3));
  EXPECT_EQ(guest->hart.traps, 1u);
}

TEST(InterpreterSteps, AFaultingHandlerTrapsForEverAndEachIsAStep) {
  const auto guest = run_every_way(50, [](TestGuest& g) {
    g.hart.stvec = 0x4000;
    Assembler code(g.kCode);
    code.op(Opcode::kEbreak);
    g.put(code);
  });
  EXPECT_EQ(guest->hart.traps, 50u);
  EXPECT_EQ(guest->hart.sepc, 0x4000u);
}

TEST(InterpreterSteps, RequestStopEndsTheRunAfterTheInstruction) {
  TestGuest guest;
  Assembler code(guest.kCode);
  code.op(Opcode::kEcall);
  code.addi(kA1, kZero, 1);
  guest.put(code);
  guest.environment.on_call = [&](Hart& hart) {
    EXPECT_EQ(hart.step, Step(0)) << "of the ecall";
    guest.engine->request_stop();
  };
  guest.run(100);
  EXPECT_EQ(guest.hart.step, Step(1));
  EXPECT_EQ(guest.hart.pc, guest.kCode.value + 4);
  guest.run(1);
  EXPECT_EQ(guest.hart.x[kA1], 1u);
}

TEST(InterpreterSteps, ADeviceSeesTheStepOfItsAccess) {
  std::vector<Step> steps;
  TestGuest guest;
  guest.bus.on_read = [&](uint64_t) {
    steps.push_back(guest.hart.step);
    return uint64_t{0x80};
  };
  guest.bus.on_write = [&](uint64_t, uint64_t) { steps.push_back(guest.hart.step); };
  Assembler code(guest.kCode);
  code.li(kT0, TestBus::kDevice.value);
  code.nop();
  code.load(Opcode::kLb, kA0, kT0);
  code.store(Opcode::kSw, kA0, kT0, 4);
  code.spin();
  guest.put(code);
  guest.run(50);
  EXPECT_EQ(steps, (std::vector{Step(2), Step(3)}));
  EXPECT_EQ(guest.hart.x[kA0], ~uint64_t{0x7f}) << "sign-extended";
}

// --- Interrupts ---------------------------------------------------------------------------------

// A guest that counts in a0 for ever, with the timer on.
void count_with_timer(TestGuest& g, uint64_t rate, GuestTicks deadline) {
  Assembler code(g.kCode);
  const uint64_t loop = code.here();
  for (int i = 0; i < 9; ++i) code.addi(kA0, kA0, 1);
  code.jal(kZero, loop);
  g.put(code);
  g.hart.time.set_anchor(Step(0), GuestTicks(0), rate);
  g.hart.stimecmp = deadline;
  g.hart.sie = kTimerInterrupt;
  g.hart.sstatus |= kStatusSie;
}

TEST(InterpreterInterrupts, TheTimerComesAtTheFirstStepAtWhichTimeReachesStimecmp) {
  for (const uint64_t rate : {kOneTickPerStep, kOneTickPerStep / 7, 3 * kOneTickPerStep}) {
    for (uint64_t deadline = 1; deadline < 12; ++deadline) {
      GuestTime time;
      time.set_anchor(Step(0), GuestTicks(0), rate);
      uint64_t expected = 0;
      while (time.at(Step(expected)).value < deadline) ++expected;
      const auto guest = run_every_way(
          expected + 1, [&](TestGuest& g) { count_with_timer(g, rate, GuestTicks(deadline)); });
      EXPECT_EQ(guest->hart.traps, 1u) << rate << " " << deadline;
      EXPECT_EQ(guest->hart.pc, guest->kHandler.value);
      const uint64_t instructions = expected;
      EXPECT_EQ(guest->hart.x[kA0], instructions - instructions / 10);
      EXPECT_EQ(guest->hart.scause, kCauseInterrupt | 5);
    }
  }
}

TEST(InterpreterInterrupts, AWriteOfStimecmpInThePastInterruptsBeforeTheNextInstruction) {
  const auto guest = run_every_way(6, [](TestGuest& g) {
    count_with_timer(g, kOneTickPerStep, GuestTicks(~uint64_t{0}));
    Assembler code(g.kCode);
    code.nop();
    code.csr_write(Csr::kStimecmp, kZero);
    code.addi(kA1, kZero, 1);
    g.put(code);
  });
  EXPECT_EQ(guest->hart.sepc, guest->kCode.value + 8);
  EXPECT_EQ(guest->hart.x[kA1], 0u);
}

TEST(InterpreterInterrupts, AreTakenRightAfterWhatAllowsThem) {
  // Each of these instructions makes the pending software interrupt possible.
  struct Case {
    const char* name;
    std::function<void(Assembler&)> allow;
    std::function<void(Hart&)> forbid;
  };
  const std::vector<Case> cases = {
      {"sstatus.SIE", [](Assembler& code) { code.csr(Opcode::kCsrrsi, 0, Csr::kSstatus, 2); },
       [](Hart& hart) { hart.sstatus &= ~kStatusSie; }},
      {"sie", [](Assembler& code) { code.csr(Opcode::kCsrrsi, 0, Csr::kSie, 2); },
       [](Hart& hart) { hart.sie = 0; }},
      {"sip", [](Assembler& code) { code.csr(Opcode::kCsrrsi, 0, Csr::kSip, 2); },
       [](Hart& hart) { hart.software_interrupt = false; }},
      {"sret to S", [](Assembler& code) { code.op(Opcode::kSret); },
       [](Hart& hart) { hart.sstatus = (hart.sstatus & ~kStatusSie) | kStatusSpie | kStatusSpp; }},
      {"sret to U", [](Assembler& code) { code.op(Opcode::kSret); },
       [](Hart& hart) { hart.sstatus &= ~(kStatusSie | kStatusSpie | kStatusSpp); }}};
  for (const Case& one : cases) {
    const auto guest = run_every_way(3, [&](TestGuest& g) {
      g.hart.sie = kSoftwareInterrupt;
      g.hart.sstatus |= kStatusSie;
      g.hart.software_interrupt = true;
      one.forbid(g.hart);
      g.hart.sepc = g.kCode.value + 8;
      Assembler code(g.kCode);
      code.nop();
      one.allow(code);
      code.addi(kA1, kZero, 1);
      g.put(code);
    });
    EXPECT_EQ(guest->hart.sepc, guest->kCode.value + 8) << one.name;
    EXPECT_EQ(guest->hart.step, Step(3)) << one.name;
    EXPECT_EQ(guest->hart.traps, 1u) << one.name;
    EXPECT_EQ(guest->hart.x[kA1], 0u) << one.name;
  }
}

TEST(InterpreterInterrupts, AWireRaisedByADeviceAccessInterruptsBeforeTheNextInstruction) {
  const auto guest = run_every_way(4, [](TestGuest& g) {
    g.bus.on_write = [&g](uint64_t, uint64_t value) { g.hart.external_interrupt = value != 0; };
    g.hart.sie = kExternalInterrupt;
    g.hart.sstatus |= kStatusSie;
    Assembler code(g.kCode);
    code.li(kT0, TestBus::kDevice.value);
    code.li(kT1, 1);
    code.store(Opcode::kSb, kT1, kT0);
    code.addi(kA1, kZero, 1);
    g.put(code);
  });
  EXPECT_EQ(guest->hart.scause, kCauseInterrupt | 9);
  EXPECT_EQ(guest->hart.x[kA1], 0u);
}

// --- Waiting ------------------------------------------------------------------------------------

TEST(InterpreterWaiting, WfiIsOneStepAndThenNonePass) {
  const auto guest = run_every_way(10, [](TestGuest& g) {
    Assembler code(g.kCode);
    code.nop();
    code.op(Opcode::kWfi);
    g.put(code);
  });
  EXPECT_TRUE(guest->hart.waiting);
  EXPECT_EQ(guest->hart.step, Step(2));
  EXPECT_EQ(guest->hart.pc, guest->kCode.value + 8);
}

TEST(InterpreterWaiting, WfiWithAnInterruptPendingDoesNotWait) {
  // Also when the run ends right behind it: hart.h, invariant 3.
  for (uint64_t steps = 1; steps < 4; ++steps) {
    const auto guest = run_every_way(steps, [](TestGuest& g) {
      g.hart.software_interrupt = true;
      g.hart.sie = kSoftwareInterrupt;  // but sstatus.SIE is clear: it cannot be taken
      Assembler code(g.kCode);
      code.op(Opcode::kWfi);
      code.addi(kA0, kZero, 1);
      code.addi(kA0, kA0, 1);
      g.put(code);
    });
    EXPECT_FALSE(guest->hart.waiting) << steps;
    EXPECT_EQ(guest->hart.step, Step(steps));
    EXPECT_EQ(guest->hart.x[kA0], steps - 1);
    EXPECT_EQ(guest->hart.traps, 0u);
  }
}

TEST(InterpreterWaiting, TheInterruptThatEndsTheWaitIsTakenBehindTheWfi) {
  TestGuest guest;
  Assembler code(guest.kCode);
  code.op(Opcode::kWfi);
  guest.put(code);
  guest.hart.sie = kTimerInterrupt;
  guest.hart.sstatus |= kStatusSie;
  guest.hart.stimecmp = GuestTicks(1'000'000);
  guest.run(10);
  ASSERT_TRUE(guest.hart.waiting);
  ASSERT_EQ(guest.hart.step, Step(1)) << "time follows from steps: the timer does not come alone";
  guest.hart.time.set_anchor(guest.hart.step, GuestTicks(1'000'000), kOneTickPerStep);
  guest.run(1);
  EXPECT_FALSE(guest.hart.waiting);
  EXPECT_EQ(guest.hart.sepc, guest.kCode.value + 4);
  EXPECT_EQ(guest.hart.step, Step(2));
}

TEST(InterpreterWaiting, WfiInUserModeIsIllegal) {
  const auto guest = run_every_way(2, [](TestGuest& g) {
    g.hart.privilege = Privilege::kUser;
    Assembler code(g.kCode);
    code.op(Opcode::kWfi);
    g.put(code);
  });
  EXPECT_EQ(guest->hart.scause, cause(Cause::kIllegalInstruction));
  EXPECT_EQ(guest->hart.stval, 0x10500073u);
}

// --- Returns and calls --------------------------------------------------------------------------

TEST(InterpreterTraps, SretRestoresWhatTheTrapSaved) {
  const auto guest = run_every_way(4, [](TestGuest& g) {
    g.hart.privilege = Privilege::kUser;
    g.hart.sstatus |= kStatusSie;
    Assembler code(g.kCode);
    code.op(Opcode::kEcall);
    code.addi(kA0, kZero, 7);
    g.put(code);
    Assembler handler(g.kHandler);
    handler.li(kT0, g.kCode.value + 4);
    handler.csr_write(Csr::kSepc, kT0);
    handler.op(Opcode::kSret);
    g.put(handler);
  });
  // 0x80000004 takes three instructions to load: the trap and these are four steps.
  EXPECT_EQ(guest->hart.scause, cause(Cause::kUserCall));
  EXPECT_EQ(guest->hart.stval, 0u);
  EXPECT_EQ(guest->hart.privilege, Privilege::kSupervisor);
  EXPECT_EQ(guest->hart.sstatus & (kStatusSie | kStatusSpie | kStatusSpp), kStatusSpie);
  guest->run(3);
  EXPECT_EQ(guest->hart.x[kA0], 7u);
  EXPECT_EQ(guest->hart.privilege, Privilege::kUser);
  EXPECT_EQ(guest->hart.sstatus & (kStatusSie | kStatusSpie | kStatusSpp),
            kStatusSie | kStatusSpie);
}

TEST(InterpreterTraps, SupervisorInstructionsAreIllegalForUsers) {
  for (const Opcode opcode : {Opcode::kSret, Opcode::kSfenceVma}) {
    const auto guest = run_every_way(1, [&](TestGuest& g) {
      g.hart.privilege = Privilege::kUser;
      Assembler code(g.kCode);
      code.op(opcode);
      g.put(code);
    });
    EXPECT_EQ(guest->hart.scause, cause(Cause::kIllegalInstruction));
    EXPECT_EQ(guest->hart.stval, instruction_row(opcode).match);
  }
}

// --- Illegal instructions -----------------------------------------------------------------------

TEST(InterpreterTraps, AnIllegalInstructionShowsItsBits) {
  constexpr uint32_t kMret = 0x30200073;
  constexpr uint32_t kUnknownCsr = 0x7c0022f3;
  constexpr uint32_t kWriteOfCycle = 0xc0001073;
  for (const uint32_t bits :
       {0x00000000u, 0x00008002u, kMret, kUnknownCsr, kWriteOfCycle, 0xffffffffu, 0x0000007fu}) {
    for (const uint64_t offset : {uint64_t{0}, uint64_t{2}, kPageSize - 2}) {
      const auto guest = run_every_way(2, [&](TestGuest& g) {
        g.hart.pc = g.kCode.value + offset;
        Assembler code(GuestAddress(g.hart.pc));
        code.word(bits);
        g.put(code);
      });
      EXPECT_EQ(guest->hart.scause, cause(Cause::kIllegalInstruction)) << std::hex << bits;
      EXPECT_EQ(guest->hart.stval, is_compressed(bits) ? bits & 0xffff : bits);
      EXPECT_EQ(guest->hart.sepc, guest->kCode.value + offset);
      EXPECT_EQ(guest->hart.traps, 1u);
    }
  }
}

TEST(InterpreterTraps, FloatingPointIsIllegalWhileItIsOff) {
  for (const InstructionRow& row : instruction_table()) {
    const bool is_float = row.format == Format::kFpLoad || row.format == Format::kFpStore ||
                          row.format >= Format::kRFp;
    if (!is_float) continue;
    TestGuest guest;
    Instruction instruction;
    instruction.opcode = row.opcode;
    Assembler code(guest.kCode);
    code.emit(instruction);
    guest.put(code);
    guest.run(1);
    EXPECT_EQ(guest.hart.scause, cause(Cause::kIllegalInstruction)) << row.mnemonic;
    EXPECT_EQ(guest.hart.sstatus & kStatusFs, 0u);
  }
}

// --- Register 0 ---------------------------------------------------------------------------------

TEST(InterpreterRegisters, RegisterZeroStaysZeroAndF0DoesNot) {
  for (const InstructionRow& row : instruction_table()) {
    if (row.opcode == Opcode::kEcall || row.opcode == Opcode::kSret) continue;
    TestGuest guest;
    guest.hart.sstatus |= kStatusFs;
    guest.hart.sscratch = 0x5555;
    for (size_t i = 1; i < 32; ++i) guest.hart.x[i] = guest.kData.value + 8 * i;
    for (size_t i = 0; i < 32; ++i) guest.hart.f[i] = 0x3ff0000000000000 + (i << 40);
    for (uint64_t i = 0; i < 64; ++i) guest.memory.store(guest.kData + 8 * i, ~i);
    Instruction instruction;
    instruction.opcode = row.opcode;
    instruction.rs1 = kA0;
    instruction.rs2 = kA1;
    instruction.rs3 = kA2;
    if (row.format == Format::kCsr || row.format == Format::kCsrImmediate) {
      instruction.immediate = static_cast<int32_t>(Csr::kSscratch);
    }
    if (row.format == Format::kU) instruction.immediate = 0x12345000;
    if (row.format == Format::kJ) instruction.immediate = 4;
    Assembler code(guest.kCode);
    code.emit(instruction);
    code.op(Opcode::kOr, kS2, kZero, kZero);
    guest.put(code);
    if (row.opcode == Opcode::kJalr) guest.hart.x[kA0] = guest.kCode.value + 4;
    guest.run(2);
    EXPECT_EQ(guest.hart.x[0], 0u) << row.mnemonic;
    if (row.opcode == Opcode::kEbreak || row.opcode == Opcode::kWfi) continue;
    if (row.format == Format::kB && guest.hart.pc != guest.kCode.value + 8) continue;  // taken
    EXPECT_EQ(guest.hart.x[kS2], 0u) << row.mnemonic;
  }
}

TEST(InterpreterRegisters, F0IsARegisterLikeTheOthers) {
  const auto guest = run_every_way(6, [](TestGuest& g) {
    g.hart.sstatus |= kStatusFs;
    Assembler code(g.kCode);
    code.li(kT0, 0x1234);
    code.op(Opcode::kFmvDX, 0, kT0, 0);
    code.op(Opcode::kFsgnjD, 1, 0, 0);
    code.op(Opcode::kFmvXD, kA0, 1, 0);
    g.put(code);
  });
  EXPECT_EQ(guest->hart.f[0], 0x1234u);
  EXPECT_EQ(guest->hart.x[kA0], 0x1234u);
}

// --- Misaligned and split access ----------------------------------------------------------------

TEST(InterpreterMemory, MisalignedAccessWorksInAPageAndAcrossTwo) {
  for (const uint64_t offset :
       {uint64_t{1}, uint64_t{5}, kPageSize - 1, kPageSize - 4, kPageSize - 7}) {
    const auto guest = run_every_way(8, [&](TestGuest& g) {
      g.hart.x[kS0] = g.kData.value + offset;
      g.hart.x[kS1] = 0x8877665544332211;
      Assembler code(g.kCode);
      code.store(Opcode::kSd, kS1, kS0);
      code.load(Opcode::kLd, kA0, kS0);
      code.load(Opcode::kLw, kA1, kS0, 4);
      code.load(Opcode::kLhu, kA2, kS0, 6);
      code.load(Opcode::kLh, kA3, kS0, 6);
      g.put(code);
    });
    EXPECT_EQ(guest->memory.load<uint64_t>(guest->kData + offset), 0x8877665544332211u);
    EXPECT_EQ(guest->hart.x[kA0], 0x8877665544332211u);
    EXPECT_EQ(guest->hart.x[kA1], 0xffffffff88776655u);
    EXPECT_EQ(guest->hart.x[kA2], 0x8877u);
    EXPECT_EQ(guest->hart.x[kA3], 0xffffffffffff8877u);
  }
}

// Such addresses are the ones that a fast path could take for its mark of an empty entry.
TEST(InterpreterMemory, MisalignedAccessInTheFirstPageFaultsLikeAnyOther) {
  for (const Opcode opcode : {Opcode::kLd, Opcode::kLw, Opcode::kLh, Opcode::kLb, Opcode::kSd,
                              Opcode::kSw, Opcode::kSh, Opcode::kSb}) {
    for (uint64_t address = 0; address < 32; ++address) {
      TestGuest guest;
      guest.hart.x[kS0] = address;
      Assembler code(guest.kCode);
      const bool loads = instruction_row(opcode).format == Format::kLoad;
      if (loads) {
        code.load(opcode, kA0, kS0);
      } else {
        code.store(opcode, kA0, kS0);
      }
      guest.put(code);
      guest.run(1);
      EXPECT_EQ(guest.hart.scause, cause(loads ? Cause::kLoadAccess : Cause::kStoreAccess));
      EXPECT_EQ(guest.hart.stval, address);
    }
  }
}

// `broken`: which of two neighbouring pages cannot be reached.
void two_pages(TestGuest& g, int broken) {
  PageTables tables(g.memory, g.kTables);
  tables.map(g.kCode.value, g.kCode, kAllRights);
  tables.map(g.kHandler.value, g.kHandler, kAllRights);
  tables.map(kVirtual, g.kData, broken == 0 ? 0 : kReadWrite);
  tables.map(kVirtual + kPageSize, g.kData + 3 * kPageSize, broken == 1 ? 0 : kReadWrite);
  g.hart.satp = tables.satp();
  g.hart.x[kS0] = kVirtual + kPageSize - 3;
  g.hart.x[kS1] = ~uint64_t{0};
}

TEST(InterpreterMemory, ASplitAccessThatFaultsHasNoEffectAtAll) {
  for (const int broken : {0, 1}) {
    for (const bool store : {false, true}) {
      const auto guest = run_every_way(3, [&](TestGuest& g) {
        two_pages(g, broken);
        Assembler code(g.kCode);
        if (store) {
          code.store(Opcode::kSd, kS1, kS0);
        } else {
          code.load(Opcode::kLd, kS1, kS0);
        }
        g.put(code);
      });
      EXPECT_EQ(guest->hart.scause, cause(store ? Cause::kStorePage : Cause::kLoadPage));
      EXPECT_EQ(guest->hart.stval, broken == 0 ? kVirtual + kPageSize - 3 : kVirtual + kPageSize);
      EXPECT_EQ(guest->hart.x[kS1], ~uint64_t{0});
      for (uint64_t i = 0; i < 4 * kPageSize; i += 8) {
        ASSERT_EQ(guest->memory.load<uint64_t>(guest->kData + i), 0u);
      }
    }
  }
}

TEST(InterpreterMemory, ASplitStoreReachesBothPages) {
  const auto guest = run_every_way(2, [](TestGuest& g) {
    two_pages(g, -1);
    Assembler code(g.kCode);
    code.store(Opcode::kSd, kS1, kS0);
    code.load(Opcode::kLd, kA0, kS0);
    g.put(code);
  });
  EXPECT_EQ(guest->memory.load<uint32_t>(guest->kData + kPageSize - 4), 0xffffff00u);
  EXPECT_EQ(guest->memory.load<uint64_t>(guest->kData + 3 * kPageSize), 0xffffffffffu);
  EXPECT_EQ(guest->hart.x[kA0], ~uint64_t{0});
}

TEST(InterpreterMemory, AnAccessAcrossTheEndOfRamFaultsWithoutEffect) {
  const auto guest = run_every_way(1, [](TestGuest& g) {
    g.hart.x[kS0] = kRamBase.value + g.ram.size() - 4;
    g.hart.x[kS1] = ~uint64_t{0};
    Assembler code(g.kCode);
    code.store(Opcode::kSd, kS1, kS0);
    g.put(code);
  });
  EXPECT_EQ(guest->hart.scause, cause(Cause::kStoreAccess));
  EXPECT_EQ(guest->hart.stval, kRamBase.value + guest->ram.size());
  EXPECT_EQ(guest->memory.load<uint32_t>(kRamBase + (guest->ram.size() - 4)), 0u);
}

}  // namespace
}  // namespace lockstep::riscv
