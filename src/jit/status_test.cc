// sstatus.SUM, which kernels set and clear by a register around each access to user memory, and
// what else changes which translations serve an access: each takes effect at the very next one.
#include <fmt/format.h>
#include <functional>
#include <gtest/gtest.h>
#include <vector>

#include "jit/testing/every_step.h"
#include "jit/translator.h"

namespace lockstep::jit {
namespace {

using namespace lockstep::riscv;
using namespace lockstep::riscv::testing;
using jit::testing::run_to_each_step;

constexpr uint64_t kUser = 0x4000'0000;
constexpr uint64_t kUserCode = 0x4000'1000;
constexpr uint64_t kExecuteOnly = 0x4000'2000;
constexpr GuestAddress kUserPage = TestGuest::kData;
constexpr GuestAddress kUserCodePage = TestGuest::kData + kPageSize;
constexpr GuestAddress kOtherUserPage = TestGuest::kData + 2 * kPageSize;
// The tables of a second address space, in which kUser is another page.
constexpr GuestAddress kOtherTables = TestGuest::kTables + 0x10000;
constexpr uint64_t kUserRights = kReadWrite | kPteUser;
constexpr uint64_t kMark = 0x1111;
constexpr uint64_t kOtherMark = 0x2222;

constexpr uint8_t kCounter = kS2;
constexpr uint8_t kSum = kA1;          // holds SUM
constexpr uint8_t kSumInMemory = kT1;  // SUM, too, in a register that is none of the host's
constexpr uint8_t kPlace = kS0;        // kUser
constexpr uint8_t kKernelPlace = kS1;

PageTables map_space(TestGuest& g, GuestAddress tables_at, GuestAddress user_page) {
  PageTables tables(g.memory, tables_at);
  tables.map(kRamBase.value, kRamBase, kAllRights, 2);
  tables.map(kUser, user_page, kUserRights);
  tables.map(kUserCode, kUserCodePage, kPteUser | kReadExecute);
  tables.map(kExecuteOnly, user_page, kPteValid | kPteExecute | kPteAccessed);
  return tables;
}

// Goes on behind what trapped, with SUM as it was; in S-mode.
void put_handler(TestGuest& g) {
  Assembler handler(TestGuest::kHandler);
  handler.csr_read(kT6, Csr::kSepc);
  handler.addi(kT6, kT6, 4);
  handler.csr_write(Csr::kSepc, kT6);
  handler.csr_read(kT5, Csr::kScause);
  handler.load(Opcode::kLd, kA7, kPlace, 8);  // faults itself unless SUM is set
  handler.op(Opcode::kSret);
  g.put(handler);
}

using Body = std::function<void(Assembler&)>;

struct Run {
  uint64_t steps = 90;
  uint64_t turns = 3;
  uint64_t code = TestGuest::kCode.value;
  uint64_t status = 0;  // bits of sstatus that are set at the start
};

// `body` in a loop, in S-mode.
std::unique_ptr<TestGuest> run(const Run& options, const Body& body,
                               const std::function<void(TestGuest&)>& more = {}) {
  return run_to_each_step(options.steps, [&](TestGuest& g) {
    const PageTables tables = map_space(g, TestGuest::kTables, kUserPage);
    map_space(g, kOtherTables, kOtherUserPage);
    g.memory.store(kUserPage, kMark);
    g.memory.store(kOtherUserPage, kOtherMark);
    Assembler handler(TestGuest::kHandler);
    handler.csr_read(kT6, Csr::kSepc);
    handler.addi(kT6, kT6, 4);
    handler.csr_write(Csr::kSepc, kT6);
    handler.op(Opcode::kSret);
    g.put(handler);
    g.hart.satp = tables.satp();
    g.hart.sstatus |= kStatusFs | options.status;
    g.hart.x[kCounter] = options.turns;
    g.hart.x[kSum] = kStatusSum;
    g.hart.x[kSumInMemory] = kStatusSum;
    g.hart.x[kPlace] = kUser;
    g.hart.x[kKernelPlace] = TestGuest::kData.value + 4 * kPageSize;
    Assembler code{GuestAddress(options.code)};
    body(code);
    code.addi(kCounter, kCounter, -1);
    code.branch(Opcode::kBne, kCounter, kZero, options.code);
    code.spin();
    g.put(code);
    g.hart.pc = options.code;
    if (more) more(g);
  });
}

void set_sum(Assembler& code, uint8_t by = kSum) {
  code.csr(Opcode::kCsrrs, kZero, Csr::kSstatus, by);
}
void clear_sum(Assembler& code, uint8_t by = kSum) {
  code.csr(Opcode::kCsrrc, kZero, Csr::kSstatus, by);
}

TEST(TranslatorSum, OpensAndClosesUserMemoryForTheNextAccess) {
  for (const uint8_t by : {kSum, kSumInMemory}) {
    const auto guest = run({}, [by](Assembler& code) {
      code.load(Opcode::kLd, kA0, kPlace);  // faults
      set_sum(code, by);
      code.load(Opcode::kLd, kA2, kPlace);
      code.store(Opcode::kSd, kA2, kPlace, 8);
      clear_sum(code, by);
      code.store(Opcode::kSd, kSum, kPlace, 8);  // faults
      code.load(Opcode::kLd, kA3, kKernelPlace);
      code.store(Opcode::kSd, kA2, kKernelPlace, 8);
    });
    EXPECT_EQ(guest->hart.traps, 6u);
    EXPECT_EQ(guest->hart.x[kA0], 0u);
    EXPECT_EQ(guest->hart.x[kA2], kMark);
    EXPECT_EQ(guest->memory.load<uint64_t>(kUserPage + 8), kMark);
    EXPECT_EQ(guest->hart.scause, static_cast<uint64_t>(Cause::kStorePage));
    EXPECT_EQ(guest->hart.stval, kUser + 8);
    EXPECT_EQ(guest->hart.sstatus & kStatusSum, 0u);
    if (HasFailure()) return;
  }
}

TEST(TranslatorSum, StaysSetThroughTrapsAndReturns) {
  const auto guest = run({.steps = 110}, [](Assembler& code) {
    set_sum(code);
    code.load(Opcode::kLd, kA0, kPlace);
    code.word(0xffffffff);  // illegal
    code.load(Opcode::kLd, kA2, kPlace);
    code.load(Opcode::kLd, kA3, kPlace, -8);  // not mapped
    code.load(Opcode::kLd, kA4, kPlace);
    clear_sum(code);
    code.op(Opcode::kEbreak);
    code.load(Opcode::kLd, kA5, kPlace);  // faults
  });
  EXPECT_EQ(guest->hart.traps, 12u);
  EXPECT_EQ(guest->hart.x[kA4], kMark);
  EXPECT_EQ(guest->hart.x[kA5], 0u);
}

TEST(TranslatorSum, IsAsItWasWhereTheTrapIsTaken) {
  // The handler itself reaches user memory, in the bank that stands at the trap.
  const auto guest = run(
      {},
      [](Assembler& code) {
        set_sum(code);
        code.word(0xffffffff);
        code.load(Opcode::kLd, kA2, kPlace);
        code.addi(kA3, kA7, 0);
        code.op(Opcode::kEbreak);
        clear_sum(code);
      },
      [](TestGuest& g) {
        put_handler(g);
        g.memory.store(kUserPage + 8, kOtherMark);
      });
  EXPECT_EQ(guest->hart.x[kA3], kOtherMark);
}

TEST(TranslatorSum, ServesTheWayOnInOtherPages) {
  // Set in one page, used in the next and behind a call, which are fetched by the same bank.
  constexpr uint64_t kFunction = TestGuest::kCode.value + 3 * kPageSize;
  for (const unsigned before_end : {16u, 12u, 10u, 8u, 6u}) {
    SCOPED_TRACE(before_end);
    const auto guest = run(
        {.code = TestGuest::kCode.value + kPageSize - before_end},
        [&](Assembler& code) {
          code.nop();
          set_sum(code);
          code.load(Opcode::kLd, kA0, kPlace);
          code.jalr(kRa, kA4);
          clear_sum(code);
          code.jalr(kRa, kA4);
        },
        [](TestGuest& g) {
          g.hart.x[kA4] = kFunction;
          Assembler function{GuestAddress(kFunction)};
          function.load(Opcode::kLd, kA2, kPlace);
          function.addi(kA3, kA3, 1);
          function.jalr(kZero, kRa);
          g.put(function);
        });
    EXPECT_EQ(guest->hart.traps, 3u);
    EXPECT_EQ(guest->hart.x[kA3], 6u);
    if (HasFailure()) return;
  }
}

TEST(TranslatorSum, AllowsNoFetchFromUserPages) {
  const auto guest = run(
      {},
      [](Assembler& code) {
        set_sum(code);
        code.load(Opcode::kLd, kA0, kPlace);
        code.emit(immediate_form(Opcode::kAuipc, kRa, 0, 0));
        code.jalr(kRa, kA4);
        clear_sum(code);
      },
      [](TestGuest& g) {
        g.hart.x[kA4] = kUserCode;
        // Behind the jump, in S-mode, with SUM set.
        Assembler handler(TestGuest::kHandler);
        handler.csr_write(Csr::kSepc, kRa);
        handler.op(Opcode::kSret);
        g.put(handler);
      });
  EXPECT_EQ(guest->hart.traps, 3u);
  EXPECT_EQ(guest->hart.scause, static_cast<uint64_t>(Cause::kFetchPage));
}

TEST(TranslatorSum, WithOtherBitsIsTheSame) {
  struct Case {
    const char* name;
    uint64_t bits;
  };
  for (const Case& tested :
       {Case{"SIE", kStatusSum | kStatusSie}, Case{"MXR", kStatusSum | kStatusMxr},
        Case{"FS", kStatusSum | kStatusFs}, Case{"read only", kStatusSum | kStatusUxl64},
        Case{"all", ~uint64_t{0}}, Case{"none", 0}, Case{"without SUM", kStatusMxr}}) {
    for (const uint8_t rd : {kZero, kA2}) {
      SCOPED_TRACE(fmt::format("{}, rd {}", tested.name, rd));
      run(
          {.steps = 100},
          [&](Assembler& code) {
            code.csr(Opcode::kCsrrs, rd, Csr::kSstatus, kSum);
            code.load(Opcode::kLd, kA3, kPlace);
            code.load(Opcode::kLd, kA4, kT2);  // kExecuteOnly: by MXR only
            code.op(Opcode::kFaddD, 3, 1, 2);
            code.csr(Opcode::kCsrrc, rd, Csr::kSstatus, kSum);
            code.load(Opcode::kLd, kA5, kPlace);
            code.load(Opcode::kLd, kA4, kT2);
            code.op(Opcode::kFaddD, 3, 1, 2);
          },
          [&](TestGuest& g) {
            g.hart.x[kSum] = tested.bits;
            g.hart.x[kT2] = kExecuteOnly;
          });
      if (HasFailure()) return;
    }
  }
}

TEST(TranslatorSum, ServesWindowsAtomicsAndFloatingPoint) {
  const auto guest = run({}, [](Assembler& code) {
    set_sum(code);
    code.load(Opcode::kLd, kA0, kPlace);
    code.store(Opcode::kSd, kA0, kPlace, 8);
    code.load(Opcode::kFld, 1, kPlace, 16);
    code.op(Opcode::kAmoaddD, kA2, kPlace, kA0);
    code.op(Opcode::kLrD, kA3, kPlace, 0);
    code.op(Opcode::kScD, kA4, kPlace, kA0);
    code.store(Opcode::kFsd, 1, kPlace, 24);
    clear_sum(code);
    code.op(Opcode::kAmoaddD, kA2, kPlace, kA0);  // faults
    code.op(Opcode::kLrD, kA3, kPlace, 0);        // faults
    code.load(Opcode::kLd, kA5, kKernelPlace);
    code.store(Opcode::kSd, kA5, kKernelPlace, 8);
  });
  EXPECT_EQ(guest->hart.traps, 6u);
}

TEST(TranslatorSum, StandsWhileTheAddressSpaceChanges) {
  const auto guest = run(
      {.steps = 100},
      [](Assembler& code) {
        set_sum(code);
        code.load(Opcode::kLd, kA0, kPlace);
        code.csr(Opcode::kCsrrw, kA2, Csr::kSatp, kT2);
        code.load(Opcode::kLd, kA3, kPlace);
        clear_sum(code);
        code.load(Opcode::kLd, kA4, kPlace);  // faults
        set_sum(code);
        code.load(Opcode::kLd, kA4, kPlace);
        code.csr(Opcode::kCsrrw, kT2, Csr::kSatp, kA2);
        code.load(Opcode::kLd, kA5, kPlace);
        clear_sum(code);
      },
      [](TestGuest& g) { g.hart.x[kT2] = make_satp(kOtherTables); });
  EXPECT_EQ(guest->hart.traps, 3u);
  EXPECT_EQ(guest->hart.x[kA0], kMark);
  EXPECT_EQ(guest->hart.x[kA3], kOtherMark);
  EXPECT_EQ(guest->hart.x[kA4], kOtherMark);
  EXPECT_EQ(guest->hart.x[kA5], kMark);
}

TEST(TranslatorSum, IsOfNoMeaningInUserMode) {
  // From S-mode to U-mode and back, with SUM set or not: U-mode reaches its own memory only, and
  // may not change sstatus.
  for (const uint64_t status : {uint64_t{0}, kStatusSum}) {
    SCOPED_TRACE(status);
    const auto guest = run(
        {.steps = 200, .status = status},
        [](Assembler& code) {
          code.emit(immediate_form(Opcode::kAuipc, kRa, 0, 0));
          code.addi(kRa, kRa, 5 * 4);
          code.csr_write(Csr::kSepc, kA4);
          code.csr(Opcode::kCsrrc, kZero, Csr::kSstatus, kA5);  // SPP
          code.op(Opcode::kSret);
          code.load(Opcode::kLd, kA3, kPlace);
          set_sum(code);
          code.load(Opcode::kLd, kA3, kPlace);
          clear_sum(code);
        },
        [](TestGuest& g) {
          g.hart.x[kA4] = kUserCode;
          g.hart.x[kA5] = kStatusSpp;
          Assembler user(kUserCodePage);
          user.load(Opcode::kLd, kA0, kPlace);
          user.csr(Opcode::kCsrrs, kZero, Csr::kSstatus, kSum);  // illegal
          user.load(Opcode::kLd, kA2, kKernelPlace);             // faults
          user.store(Opcode::kSd, kA0, kPlace, 16);
          user.op(Opcode::kEcall);
          g.put(user);
          // From U-mode: behind the instruction; by ecall, to ra in S-mode.
          Assembler handler(TestGuest::kHandler);
          handler.csr_read(kT5, Csr::kScause);
          handler.csr_read(kT6, Csr::kSepc);
          handler.addi(kT6, kT6, 4);
          handler.addi(kT5, kT5, -static_cast<int32_t>(Cause::kUserCall));
          handler.branch(Opcode::kBne, kT5, kZero, handler.here() + 12);
          handler.addi(kT6, kRa, 0);
          handler.csr(Opcode::kCsrrs, kZero, Csr::kSstatus, kA5);
          handler.csr_write(Csr::kSepc, kT6);
          handler.op(Opcode::kSret);
          g.put(handler);
        });
    EXPECT_EQ(guest->hart.x[kCounter], 0u);
    EXPECT_EQ(guest->memory.load<uint64_t>(kUserPage + 16), kMark);
    if (HasFailure()) return;
  }
}

TEST(TranslatorSum, AHandlerOfUserCodeReachesWhatSModeReaches) {
  // U-mode has used its page, so that it is cached for U-mode; the handler, without SUM, may not.
  struct Case {
    const char* name;
    std::function<void(Assembler&)> trap;
  };
  const std::vector<Case> cases = {
      {"load", [](Assembler& code) { code.load(Opcode::kLd, kA2, kKernelPlace); }},
      {"store", [](Assembler& code) { code.store(Opcode::kSd, kA2, kKernelPlace); }},
      {"atomic", [](Assembler& code) { code.op(Opcode::kAmoaddD, kA2, kKernelPlace, kA2); }},
      {"ecall", [](Assembler& code) { code.op(Opcode::kEcall); }},
      {"ebreak", [](Assembler& code) { code.op(Opcode::kEbreak); }},
      {"CSR", [](Assembler& code) { code.csr_read(kA2, Csr::kSscratch); }},
      {"stvec", [](Assembler& code) { code.csr_read(kA2, Csr::kStvec); }},
      {"jump", [](Assembler& code) { code.jalr(kZero, kKernelPlace); }},
  };
  for (const Case& tested : cases) {
    SCOPED_TRACE(tested.name);
    const auto guest = run(
        {.steps = 30}, [](Assembler& code) { code.nop(); },
        [&](TestGuest& g) {
          constexpr GuestAddress kSecondHandler = TestGuest::kHandler + kPageSize;
          g.hart.privilege = Privilege::kUser;
          g.hart.pc = kUserCode;
          g.hart.x[kT4] = kSecondHandler.value;
          Assembler user(kUserCodePage);
          user.load(Opcode::kLd, kA0, kPlace);
          user.store(Opcode::kSd, kA0, kPlace, 8);
          tested.trap(user);
          user.spin();
          g.put(user);
          Assembler handler(TestGuest::kHandler);
          handler.csr_write(Csr::kStvec, kT4);
          handler.load(Opcode::kLd, kA7, kPlace);                // faults
          handler.store(Opcode::kSd, kKernelPlace, kPlace, 16);  // faults
          handler.load(Opcode::kLd, kA3, kKernelPlace);
          handler.store(Opcode::kSd, kPlace, kKernelPlace, 8);
          handler.spin();
          g.put(handler);
          Assembler second(kSecondHandler);
          second.csr_read(kT6, Csr::kSepc);
          second.addi(kT6, kT6, 4);
          second.csr_write(Csr::kSepc, kT6);
          second.op(Opcode::kSret);
          g.put(second);
        });
    EXPECT_EQ(guest->hart.traps, 3u);
    EXPECT_EQ(guest->hart.x[kA0], kMark);
    EXPECT_EQ(guest->hart.x[kA7], 0u);
    EXPECT_EQ(guest->memory.load<uint64_t>(kUserPage + 16), 0u);
    if (HasFailure()) return;
  }
}

TEST(TranslatorSum, WithAnInterruptThatComesMeanwhile) {
  constexpr uint64_t kOneTickAStep = uint64_t{1} << 32;
  for (uint64_t tick = 0; tick < 24; ++tick) {
    SCOPED_TRACE(tick);
    run(
        {.steps = 60, .status = kStatusSie},
        [](Assembler& code) {
          set_sum(code);
          code.load(Opcode::kLd, kA2, kPlace);
          code.store(Opcode::kSd, kA2, kPlace, 16);
          clear_sum(code);
          code.load(Opcode::kLd, kA3, kKernelPlace);
        },
        [&](TestGuest& g) {
          g.hart.time.set_anchor(Step(0), GuestTicks(0), kOneTickAStep);
          g.hart.stimecmp = GuestTicks(tick);
          g.hart.sie = kTimerInterrupt;
          Assembler handler(TestGuest::kHandler);
          handler.load(Opcode::kLd, kA7, kPlace);  // may fault: then this is where it goes on
          handler.addi(kA6, kA6, 1);
          handler.addi(kT6, kZero, -1);
          handler.csr_write(Csr::kStimecmp, kT6);
          handler.op(Opcode::kSret);
          g.put(handler);
        });
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace lockstep::jit
