// The translator stops at any step, and takes an interrupt at the step at which the interpreter
// does, in superblocks of several segments that have all kinds of instructions.
#include <cstddef>
#include <fmt/format.h>
#include <functional>
#include <gtest/gtest.h>

#include "jit/testing/every_step.h"
#include "jit/translator.h"

namespace lockstep::jit {
namespace {

using namespace lockstep::riscv;
using namespace lockstep::riscv::testing;
using jit::testing::run_to_each_step;
using jit::testing::run_to_the_end;

constexpr GuestAddress kLog = TestGuest::kData + kPageSize;
constexpr uint64_t kOneTickAStep = uint64_t{1} << 32;
constexpr uint8_t kCounter = kS2;

// Notes where, when and why it was taken, puts off the timer and takes back the software interrupt;
// the external one comes again as soon as it may.
void put_interrupt_handler(TestGuest& g, uint64_t next_interrupt) {
  Assembler handler(TestGuest::kHandler);
  // t6 points into the log.
  handler.csr(Opcode::kCsrrw, kT6, Csr::kSscratch, kT6);
  handler.store(Opcode::kSd, kT5, kT6, 0);
  handler.csr_read(kT5, Csr::kSepc);
  handler.store(Opcode::kSd, kT5, kT6, 8);
  handler.csr_read(kT5, Csr::kCycle);
  handler.store(Opcode::kSd, kT5, kT6, 16);
  handler.csr_read(kT5, Csr::kScause);
  handler.store(Opcode::kSd, kT5, kT6, 24);
  handler.csr_read(kT5, Csr::kSstatus);
  handler.store(Opcode::kSd, kT5, kT6, 32);
  handler.csr_read(kT5, Csr::kTime);
  handler.addi(kT5, kT5, static_cast<int32_t>(next_interrupt));
  handler.csr_write(Csr::kStimecmp, kT5);
  handler.csr(Opcode::kCsrrci, kZero, Csr::kSip, kSoftwareInterrupt);
  handler.load(Opcode::kLd, kT5, kT6, 0);
  handler.addi(kT6, kT6, 40);
  handler.csr(Opcode::kCsrrw, kT6, Csr::kSscratch, kT6);
  handler.op(Opcode::kSret);
  g.put(handler);
  g.hart.sscratch = kLog.value;
}

void set_up_hart(TestGuest& g) {
  g.hart.sstatus |= kStatusFs;
  g.hart.time.set_anchor(Step(0), GuestTicks(0), kOneTickAStep);
  g.hart.x[kS0] = TestGuest::kData.value;
  g.hart.x[kT0] = TestGuest::kData.value + 256;
  g.hart.x[kCounter] = 3;
  g.hart.x[kA2] = 0x123456789abcdef0;
  g.hart.f[1] = 0x3ff8000000000000;
  g.hart.f[2] = 0x4005bf0a8b145769;
}

// A turn of everything; goes round kCounter times, then spins.
void put_everything(TestGuest& g) {
  Assembler code(TestGuest::kCode);
  const uint64_t start = code.here();
  code.load(Opcode::kLd, kA0, kS0, 0);  // a window
  code.addi(kA0, kA0, 3);
  code.store(Opcode::kSd, kA0, kS0, 8);
  code.branch(Opcode::kBeq, kA0, kZero, code.here() + 12);
  code.op(Opcode::kFaddD, 3, 1, 2);
  code.op(Opcode::kFdivD, 4, 3, 2);
  code.op(Opcode::kFmulD, 1, 4, 1);
  code.emit(immediate_form(Opcode::kAndi, kA1, kCounter, 1));
  const uint64_t other = code.here() + 24;
  code.branch(Opcode::kBne, kA1, kZero, other);  // every other turn
  code.csr_read(kA3, Csr::kInstret);
  code.csr(Opcode::kCsrrw, kA3, Csr::kSscratch, kA3);
  code.csr(Opcode::kCsrrw, kA3, Csr::kSscratch, kA3);
  code.csr_read(kA4, Csr::kFflags);
  code.store(Opcode::kSd, kA4, kS0, 16);
  // other:
  const uint64_t retry = code.here();
  code.op(Opcode::kLrD, kA5, kT0, 0);
  code.addi(kA5, kA5, 1);
  code.op(Opcode::kScD, kT1, kT0, kA5);
  code.branch(Opcode::kBne, kT1, kZero, retry);  // backwards: a superblock ends
  code.op(Opcode::kAmoaddW, kT2, kT0, kA2);
  code.emit(immediate_form(Opcode::kLui, kT3, 0, 0x12345000));  // a pair
  code.emit(immediate_form(Opcode::kAddiw, kT3, kT3, 0x678));
  code.emit(immediate_form(Opcode::kSlli, kT4, kA2, 48));  // another
  code.emit(immediate_form(Opcode::kSrli, kT4, kT4, 48));
  code.load(Opcode::kFlw, 5, kT0, 4);
  code.store(Opcode::kFsd, 4, kT0, 8);
  code.csr(Opcode::kCsrrsi, kZero, Csr::kSstatus, kStatusSie);
  code.csr(Opcode::kCsrrci, kA6, Csr::kSstatus, kStatusSie);
  code.op(Opcode::kRemu, kA7, kA2, kA5);
  const uint64_t function = TestGuest::kCode.value + kPageSize - 2;
  code.emit(immediate_form(Opcode::kAuipc, kRa, 0, 0x1000));  // a call: a pair
  code.jalr(kRa, kRa, static_cast<int32_t>(function - (code.here() - 4) - 0x1000));
  code.addi(kCounter, kCounter, -1);
  code.branch(Opcode::kBne, kCounter, kZero, start);
  code.spin();
  code.pad_to(function);  // across the page's end
  code.op(Opcode::kAdd, kS1, kS1, kA5);
  code.jalr(kZero, kRa);
  g.put(code);
}

constexpr uint64_t kStepsOfEverything = 110;

TEST(TranslatorBudget, EndsAtEachStepOfEverything) {
  const auto guest = run_to_each_step(kStepsOfEverything, [](TestGuest& g) {
    set_up_hart(g);
    put_everything(g);
  });
  EXPECT_EQ(guest->hart.x[kCounter], 0u);
  EXPECT_GT(guest->engine->statistics().budget_exits, 0u);
  EXPECT_EQ(guest->hart.traps, 0u);
}

TEST(TranslatorBudget, EndsAtEachStepOfUserCode) {
  // In U-mode the same has traps: the CSRs of S-mode are illegal there.
  const auto guest = run_to_each_step(kStepsOfEverything, [](TestGuest& g) {
    set_up_hart(g);
    put_everything(g);
    Assembler handler(TestGuest::kHandler);
    handler.csr_read(kT6, Csr::kSepc);
    handler.addi(kT6, kT6, 4);
    handler.csr_write(Csr::kSepc, kT6);
    handler.op(Opcode::kSret);
    g.put(handler);
    g.hart.privilege = Privilege::kUser;
    g.hart.scounteren = 7;
  });
  EXPECT_GT(guest->hart.traps, 4u);
}

TEST(TranslatorBudget, EndsAtEachStepOfTheLongestSuperblock) {
  run_to_each_step(2 * 130, [](TestGuest& g) {
    set_up_hart(g);
    Assembler code(TestGuest::kCode);
    for (int i = 0; i < 120; ++i) code.addi(kA0, kA0, i);
    code.jal(kZero, TestGuest::kCode.value);
    g.put(code);
  });
}

// --- Interrupts

TEST(TranslatorInterrupts, OfTheTimerAreTakenAtTheFirstStepOfTheirTime) {
  for (const Privilege privilege : {Privilege::kSupervisor, Privilege::kUser}) {
    for (uint64_t tick = 0; tick < 60; ++tick) {
      SCOPED_TRACE(fmt::format("tick {}, privilege {}", tick, static_cast<int>(privilege)));
      // In S-mode, SIE is set all the time, in U-mode it need not be.
      const auto guest = run_to_the_end(170, [&](TestGuest& g) {
        set_up_hart(g);
        if (privilege == Privilege::kSupervisor) {
          put_everything(g);
          g.hart.sstatus |= kStatusSie;
        } else {
          Assembler code(TestGuest::kCode);
          for (int i = 0; i < 12; ++i) code.store(Opcode::kSd, kA2, i % 2 == 0 ? kS0 : kT0, 8 * i);
          code.jal(kZero, TestGuest::kCode.value);
          g.put(code);
        }
        put_interrupt_handler(g, 37);
        g.hart.privilege = privilege;
        g.hart.sie = kTimerInterrupt;
        g.hart.stimecmp = GuestTicks(tick);
      });
      EXPECT_GT(guest->hart.traps, 0u);
      if (HasFailure()) return;
    }
  }
}

TEST(TranslatorInterrupts, OfTheTimerWithEveryCutOfTheRun) {
  for (const uint64_t tick : {uint64_t{7}, uint64_t{20}, uint64_t{41}}) {
    SCOPED_TRACE(tick);
    run_to_each_step(150, [&](TestGuest& g) {
      set_up_hart(g);
      put_everything(g);
      put_interrupt_handler(g, 23);
      g.hart.sstatus |= kStatusSie;
      g.hart.sie = kTimerInterrupt;
      g.hart.stimecmp = GuestTicks(tick);
    });
  }
}

// Each way to allow an interrupt that is pending: it is taken right behind.
struct Enabling {
  const char* name;
  std::function<void(Assembler&)> emit;
};

const std::vector<Enabling>& enablings() {
  constexpr auto kSie = static_cast<uint8_t>(kStatusSie);
  static const std::vector<Enabling> kAll = {
      {"csrsi", [](Assembler& code) { code.csr(Opcode::kCsrrsi, kZero, Csr::kSstatus, kSie); }},
      {"csrsi with rd",
       [](Assembler& code) { code.csr(Opcode::kCsrrsi, kA0, Csr::kSstatus, kSie); }},
      {"csrs", [](Assembler& code) { code.csr(Opcode::kCsrrs, kZero, Csr::kSstatus, kA1); }},
      {"csrs from memory",
       [](Assembler& code) { code.csr(Opcode::kCsrrs, kZero, Csr::kSstatus, kT1); }},
      {"csrs with rd", [](Assembler& code) { code.csr(Opcode::kCsrrs, kA0, Csr::kSstatus, kA1); }},
      {"csrs of more",
       [](Assembler& code) { code.csr(Opcode::kCsrrs, kZero, Csr::kSstatus, kA3); }},
      {"csrs of nothing, then csrs",
       [](Assembler& code) {
         code.csr(Opcode::kCsrrs, kZero, Csr::kSstatus, kA4);  // holds 0
         code.csr(Opcode::kCsrrs, kZero, Csr::kSstatus, kA1);
       }},
      {"csrw",
       [](Assembler& code) {
         code.csr_read(kA0, Csr::kSstatus);
         code.emit(immediate_form(Opcode::kOri, kA0, kA0, kSie));
         code.csr_write(Csr::kSstatus, kA0);
       }},
      {"csrwi", [](Assembler& code) { code.csr(Opcode::kCsrrwi, kZero, Csr::kSstatus, kSie); }},
      {"sret to S-mode",
       [](Assembler& code) {
         code.emit(immediate_form(Opcode::kAuipc, kA0, 0, 0));
         code.addi(kA0, kA0, 20);
         code.csr_write(Csr::kSepc, kA0);
         code.csr(Opcode::kCsrrs, kZero, Csr::kSstatus, kA5);  // SPP and SPIE
         code.op(Opcode::kSret);
       }},
      {"sret to U-mode",
       [](Assembler& code) {
         code.emit(immediate_form(Opcode::kAuipc, kA0, 0, 0));
         code.addi(kA0, kA0, 16);
         code.csr_write(Csr::kSepc, kA0);
         // Behind it comes what sret leads to; SPP is clear.
         code.op(Opcode::kSret);
       }},
  };
  return kAll;
}

void put_enabling(TestGuest& g, const Enabling& enabling, uint64_t start) {
  Assembler code{GuestAddress(start)};
  code.addi(kT2, kT2, 1);
  code.store(Opcode::kSd, kT2, kS0, 0);
  enabling.emit(code);
  for (int i = 1; i < 6; ++i) {
    code.addi(kT2, kT2, i);
    code.store(Opcode::kSd, kT2, kS0, 8 * i);
  }
  code.spin();
  g.put(code);
  g.hart.pc = start;
  set_up_hart(g);
  g.hart.x[kA1] = kStatusSie;
  g.hart.x[kT1] = kStatusSie;
  g.hart.x[kA3] = kStatusSie | kStatusSum | kStatusMxr;
  g.hart.x[kA5] = kStatusSpie | kStatusSpp;
  put_interrupt_handler(g, 1000);
}

TEST(TranslatorInterrupts, AreTakenRightBehindWhatAllowsThem) {
  for (const Enabling& enabling : enablings()) {
    for (const uint64_t source : {kExternalInterrupt, kSoftwareInterrupt, kTimerInterrupt}) {
      SCOPED_TRACE(fmt::format("{}, source {:#x}", enabling.name, source));
      const auto guest = run_to_each_step(60, [&](TestGuest& g) {
        put_enabling(g, enabling, TestGuest::kCode.value);
        g.hart.sie = kExternalInterrupt | kSoftwareInterrupt | kTimerInterrupt;
        g.hart.external_interrupt = source == kExternalInterrupt;
        g.hart.software_interrupt = source == kSoftwareInterrupt;
        if (source == kTimerInterrupt) g.hart.stimecmp = GuestTicks(0);
      });
      EXPECT_GT(guest->hart.traps, 0u);
      if (HasFailure()) return;
    }
  }
}

TEST(TranslatorInterrupts, ThatAreNotAllowedOrNotPendingAreNotTaken) {
  for (const Enabling& enabling : enablings()) {
    SCOPED_TRACE(enabling.name);
    const auto guest = run_to_each_step(30, [&](TestGuest& g) {
      put_enabling(g, enabling, TestGuest::kCode.value);
      g.hart.sie = kSoftwareInterrupt;
      g.hart.external_interrupt = true;
    });
    EXPECT_EQ(guest->hart.traps, 0u);
    if (HasFailure()) return;
  }
}

TEST(TranslatorInterrupts, AllowedInThePagesLastInstruction) {
  for (const Enabling& enabling : enablings()) {
    for (const uint64_t bytes_before_end : {uint64_t{12}, uint64_t{10}, uint64_t{16}}) {
      SCOPED_TRACE(fmt::format("{}, {}", enabling.name, bytes_before_end));
      run_to_each_step(60, [&](TestGuest& g) {
        put_enabling(g, enabling, TestGuest::kCode.value + kPageSize - bytes_before_end);
        g.hart.sie = kExternalInterrupt;
        g.hart.external_interrupt = true;
      });
      if (HasFailure()) return;
    }
  }
}

TEST(TranslatorInterrupts, ThatBecomePendingWhileTheyAreAllowed) {
  // By sip, sie, stimecmp, and by a store to a device.
  struct Case {
    const char* name;
    std::function<void(Assembler&)> emit;
  };
  const std::vector<Case> cases = {
      {"sip", [](Assembler& code) { code.csr(Opcode::kCsrrsi, kZero, Csr::kSip, 2); }},
      {"sie", [](Assembler& code) { code.csr(Opcode::kCsrrs, kZero, Csr::kSie, kA1); }},
      {"stimecmp", [](Assembler& code) { code.csr_write(Csr::kStimecmp, kZero); }},
      {"stimecmp, soon",
       [](Assembler& code) {
         code.csr_read(kA0, Csr::kTime);
         code.addi(kA0, kA0, 4);
         code.csr_write(Csr::kStimecmp, kA0);
       }},
      {"a device", [](Assembler& code) { code.store(Opcode::kSw, kA0, kA2, 0); }},
      {"a device that is read", [](Assembler& code) { code.load(Opcode::kLw, kA0, kA2, 0); }},
  };
  for (const Case& tested : cases) {
    SCOPED_TRACE(tested.name);
    const auto guest = run_to_each_step(60, [&](TestGuest& g) {
      put_enabling(g, {tested.name, tested.emit}, TestGuest::kCode.value);
      g.hart.x[kA1] = kExternalInterrupt;
      g.hart.x[kA2] = TestBus::kDevice.value;
      g.hart.sstatus |= kStatusSie;
      g.hart.sie = kTimerInterrupt | kSoftwareInterrupt;
      if (tested.name != std::string("sie")) g.hart.sie |= kExternalInterrupt;
      g.hart.external_interrupt = tested.name == std::string("sie");
      g.bus.on_write = [&g](uint64_t, uint64_t) { g.hart.external_interrupt = true; };
      g.bus.on_read = [&g](uint64_t) {
        g.hart.external_interrupt = true;
        return uint64_t{7};
      };
    });
    EXPECT_GT(guest->hart.traps, 0u);
    if (HasFailure()) return;
  }
}

TEST(TranslatorInterrupts, WfiWaitsUnlessOneIsPending) {
  for (const bool pending : {false, true}) {
    for (const bool allowed : {false, true}) {
      SCOPED_TRACE(fmt::format("pending {}, allowed {}", pending, allowed));
      const auto guest = run_to_each_step(40, [&](TestGuest& g) {
        put_enabling(g, {"wfi", [](Assembler& code) { code.op(Opcode::kWfi); }},
                     TestGuest::kCode.value);
        g.hart.sie = kExternalInterrupt;
        g.hart.external_interrupt = pending;
        if (allowed) g.hart.sstatus |= kStatusSie;
      });
      EXPECT_EQ(guest->hart.waiting, !pending);
      if (HasFailure()) return;
    }
  }
}

// --- Requests to stop

TEST(TranslatorStop, ARequestEndsTheRunBehindTheInstruction) {
  // A device store in the middle of a superblock, and an environment call.
  for (const bool by_device : {true, false}) {
    TestGuest g(jit::testing::kGuestPages, translator_factory({.hot_threshold = 1}));
    Assembler code(TestGuest::kCode);
    code.addi(kA0, kA0, 1);
    const uint64_t place = code.here();
    if (by_device) {
      code.store(Opcode::kSw, kA0, kA2, 0);
    } else {
      code.op(Opcode::kEcall);
    }
    code.addi(kA0, kA0, 1);
    code.jal(kZero, TestGuest::kCode.value);
    g.put(code);
    g.hart.x[kA2] = TestBus::kDevice.value;
    g.bus.on_write = [&g](uint64_t, uint64_t) { g.engine->request_stop(); };
    g.environment.on_call = [&g](Hart&) { g.engine->request_stop(); };
    for (uint64_t turn = 0; turn < 5; ++turn) {
      g.run(1000);
      EXPECT_EQ(g.hart.pc, place + 4);
      EXPECT_EQ(g.hart.step, Step(4 * turn + 2));
      EXPECT_EQ(g.hart.x[kA0], 2 * turn + 1);
    }
  }
}

}  // namespace
}  // namespace lockstep::jit
