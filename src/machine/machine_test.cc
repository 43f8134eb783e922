#include "machine/machine.h"

#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <random>

#include "base/state_visitors.h"
#include "machine/testing/test_machine.h"
#include "riscv/guest_time.h"
#include "riscv/testing/assembler.h"

namespace lockstep::machine {
namespace {

using namespace lockstep::riscv::testing;
using lockstep::machine::testing::TestMachine;
using riscv::Csr;
using riscv::Opcode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr GuestAddress kKernel = kRamBase + TestMachine::kLoadOffset;
constexpr GuestAddress kData = kKernel + 0x8000;
constexpr uint64_t kSystemReset = 0x53525354;

Bytes program(const std::function<void(Assembler&)>& body) {
  Assembler code(kKernel);
  body(code);
  code.spin();
  return code.bytes();
}

Bytes bytes_of(std::string_view text) {
  const ByteView view = as_byte_view(text);
  return Bytes(view.begin(), view.end());
}

void expect_refused(TestMachine& guest, log::Payload payload) {
  const Hash128 before = guest.machine->digest();
  const Status applied = guest.apply(std::move(payload));
  ASSERT_FALSE(applied.has_value());
  EXPECT_EQ(applied.error().code, ErrorCode::kDiverged);
  EXPECT_EQ(guest.machine->digest(), before) << "a refused entry leaves no trace";
}

TEST(MachineCreate, SaysWhatToDoWithoutMemoryForCode) {
  posix::AnonymousMemory ram = posix::AnonymousMemory::create(kMinMemory).value();
  testing::NotingOutside outside;
  EngineChoice choice;
  choice.translator.code_cache_bytes = size_t{4} << 30;  // it must lie below 2 GiB
  const auto made = Machine::create(TestMachine::board_of(Bytes(4)), ram.bytes(), outside, choice);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ErrorCode::kSystem);
  EXPECT_THAT(made.error().text(), HasSubstr("4294967296 bytes"));
  EXPECT_THAT(made.error().advice, HasSubstr("make code_cache smaller"));
  EXPECT_THAT(made.error().advice, HasSubstr("--engine interpreter"));
  choice.kind = EngineKind::kInterpreter;
  EXPECT_TRUE(Machine::create(TestMachine::board_of(Bytes(4)), ram.bytes(), outside, choice));
}

TEST(MachineApply, RefusesWhatCannotBe) {
  TestMachine guest(program([](Assembler& code) { code.nop(); }));
  guest.machine->run_until(Step(1'000));
  const GuestTicks now = guest.machine->guest_time();
  ASSERT_GT(now.value, 0u);
  expect_refused(guest, log::TimeAnchor{now - 1, 1});
  expect_refused(guest, log::Warp{now - 1, 1});
  expect_refused(guest, log::TimeAnchor{now, 0});
  expect_refused(guest, log::TimeAnchor{now, riscv::kMaxRateQ32 + 1});
  expect_refused(guest, log::FrameIn{DeviceIndex{1}, Bytes(64)});
  expect_refused(guest, log::DiskCompletion{DeviceIndex{1}, 0, log::DiskStatus::kOk, false, {}});
  // Of these nothing was asked.
  expect_refused(guest, log::DiskCompletion{DeviceIndex{0}, 0, log::DiskStatus::kOk, false, {}});
  expect_refused(guest, log::Entropy{Bytes(4)});
  expect_refused(guest, log::ConsoleInput{DeviceIndex{2}, Bytes(1)});
  expect_refused(guest, log::Control{static_cast<log::ControlOperation>(9)});
  Hash128 wrong = guest.machine->digest();
  wrong.low ^= 1;
  expect_refused(guest, log::Digest{wrong});
  for (const Step step : {Step(999), Step(1'001)}) {
    const Status applied = guest.machine->apply({step, log::FrameIn{}});
    ASSERT_FALSE(applied.has_value());
    EXPECT_EQ(applied.error().code, ErrorCode::kDiverged);
  }
}

TEST(MachineApply, TakesWhatCanBe) {
  TestMachine guest(program([](Assembler& code) { code.nop(); }));
  guest.machine->run_until(Step(1'000));
  const GuestTicks now = guest.machine->guest_time();
  EXPECT_TRUE(guest.apply(log::TimeAnchor{now, riscv::kMaxRateQ32}));
  EXPECT_TRUE(guest.apply(log::Warp{now + 5, riscv::kMinRateQ32}));
  EXPECT_EQ(guest.machine->guest_time(), now + 5);
  EXPECT_TRUE(guest.apply(log::FrameIn{DeviceIndex{0}, Bytes(64)}));
  EXPECT_TRUE(guest.apply(log::ConsoleInput{kUartPort, bytes_of("a")}));
  EXPECT_TRUE(guest.apply(log::ConsoleInput{kVirtioConsolePort, bytes_of("b")}));
  EXPECT_EQ(guest.machine->inputs_applied(), 3u);
  EXPECT_TRUE(guest.apply(log::Control{log::ControlOperation::kFailover}));
  EXPECT_TRUE(guest.apply(log::Horizon{}));
  EXPECT_TRUE(guest.apply(log::Digest{guest.machine->digest()}));
  EXPECT_EQ(guest.machine->step(), Step(1'000)) << "entries take no step";
}

TEST(MachineDigest, DependsOnContentsAlone) {
  const Bytes kernel = program([](Assembler& code) {
    code.li(kT0, kData.value);
    code.store(Opcode::kSd, kT0, kT0);
    code.store(Opcode::kSd, kZero, kT0);
  });
  TestMachine quiet(kernel);
  TestMachine nosy(kernel);
  nosy.machine->digest();
  for (uint64_t step = 1; step < 40; ++step) {
    nosy.machine->run_until(Step(step));
    nosy.machine->digest();
    nosy.machine->flush_derived_state();
  }
  quiet.machine->run_until(Step(39));
  EXPECT_EQ(quiet.machine->digest(), nosy.machine->digest());
  EXPECT_EQ(quiet.machine->digest(), quiet.machine->digest());
}

TEST(MachineDigest, SeesEachWriteAfterADigestBefore) {
  // The same page is written again by a warm TLB entry after each digest.
  TestMachine guest(program([](Assembler& code) {
    code.li(kT0, kData.value);
    const uint64_t loop = code.here();
    code.store(Opcode::kSd, kT1, kT0, 8);
    code.addi(kT1, kT1, 1);
    code.jal(kZero, loop);
  }));
  std::vector<Hash128> digests;
  for (uint64_t step = 50; step < 80; step += 3) {
    guest.machine->run_until(Step(step));
    digests.push_back(guest.machine->digest());
    TestMachine fresh(guest.machine->board().kernel.read().value());
    fresh.machine->run_until(Step(step));
    EXPECT_EQ(fresh.machine->digest(), digests.back());
  }
}

TEST(MachineOutput, IsNumberedByPortAndStampedWithItsStep) {
  TestMachine guest(program([](Assembler& code) {
    code.li(kT0, kUartBase.value);      // one instruction
    code.li(kT1, 'x');                  // one
    code.store(Opcode::kSb, kT1, kT0);  // step 2
    code.nop();
    code.store(Opcode::kSb, kT1, kT0);  // step 4
  }));
  guest.machine->run_until(Step(20));
  ASSERT_EQ(guest.outside.console.size(), 2u);
  EXPECT_EQ(guest.outside.console[0], (testing::OutputNote{Step(2), kUartPort, 0, bytes_of("x")}));
  EXPECT_EQ(guest.outside.console[1], (testing::OutputNote{Step(4), kUartPort, 1, bytes_of("x")}));
}

TEST(MachineRun, AnInterruptFromOutsideCutsTheRunAndChangesNothing) {
  const Bytes kernel = program([](Assembler& code) {
    code.li(kT0, kUartBase.value);
    const uint64_t loop = code.here();
    code.addi(kT1, kT1, 1);
    code.store(Opcode::kSb, kT1, kT0);
    code.jal(kZero, loop);
  });
  TestMachine whole(kernel);
  TestMachine cut(kernel);
  cut.outside.on_output = [&] { cut.machine->interrupt(); };
  EXPECT_EQ(whole.machine->run_until(Step(300)), StopReason::kReached);
  uint64_t cuts = 0;
  while (cut.machine->run_until(Step(300)) == StopReason::kInterrupted) ++cuts;
  EXPECT_EQ(cuts, 100u - 1);  // the last output may fall on the last step
  EXPECT_EQ(cut.machine->digest(), whole.machine->digest());
  EXPECT_EQ(cut.outside.console, whole.outside.console);
}

TEST(MachineRun, WaitsUntilAnEntryMakesAnInterruptPending) {
  TestMachine guest(program([](Assembler& code) {
    code.li(kT0, riscv::kTimerInterrupt);
    code.csr_write(Csr::kSie, kT0);
    code.li(kT0, 5'000);
    code.csr_write(Csr::kStimecmp, kT0);
    code.op(Opcode::kWfi);
  }));
  EXPECT_EQ(guest.machine->run_until(Step(1'000)), StopReason::kWaiting);
  EXPECT_TRUE(guest.machine->waiting());
  EXPECT_EQ(guest.machine->timer_deadline(), GuestTicks(5'000));
  const Step step = guest.machine->step();
  ASSERT_TRUE(guest.apply(log::Warp{GuestTicks(4'999), riscv::kMinRateQ32}));
  EXPECT_EQ(guest.machine->run_until(Step(1'000)), StopReason::kWaiting);
  EXPECT_EQ(guest.machine->step(), step);
  ASSERT_TRUE(guest.apply(log::Warp{GuestTicks(5'000), riscv::kMinRateQ32}));
  EXPECT_FALSE(guest.machine->waiting());
  EXPECT_EQ(guest.machine->run_until(Step(1'000)), StopReason::kReached);
}

// A kernel that scribbles over its memory, and then asks for `type` of SBI's reset.
Bytes resetting_kernel(uint64_t type, uint64_t reason = 0) {
  return program([&](Assembler& code) {
    code.li(kT0, kData.value);
    code.store(Opcode::kSd, kT0, kT0);
    code.li(kT1, kUartBase.value);
    code.store(Opcode::kSb, kT0, kT1);
    code.li(kA7, kSystemReset);
    code.li(kA6, 0);
    code.li(kA0, type);
    code.li(kA1, reason);
    code.op(Opcode::kEcall);
  });
}

Bytes pc_of(Machine& machine) {
  StateLister state;
  machine.visit_state(state);
  return std::ranges::find(state.fields(), "hart[0].pc", &StateLister::Field::name)->value;
}

TEST(MachineRestart, IsThePowerOnStateWithStepsAndNumbersGoingOn) {
  constexpr uint64_t kSteps = 12'345;
  for (const bool by_control : {false, true}) {
    TestMachine guest(resetting_kernel(by_control ? 9 : 1));
    StateLister fresh;
    guest.machine->visit_state(fresh);
    const Bytes fresh_ram(guest.machine->ram().begin(), guest.machine->ram().end());
    const Bytes pc = pc_of(*guest.machine);
    if (by_control) {
      guest.machine->run_until(Step(kSteps));
      ASSERT_TRUE(guest.apply(log::Control{log::ControlOperation::kReset}));
    } else {
      while (guest.outside.console.empty() || pc_of(*guest.machine) != pc) {
        guest.machine->run_until(guest.machine->step() + 1);
        ASSERT_LT(guest.machine->step(), Step(100));
      }
    }
    EXPECT_TRUE(std::ranges::equal(guest.machine->ram(), fresh_ram));
    StateLister after;
    guest.machine->visit_state(after);
    ASSERT_EQ(after.fields().size(), fresh.fields().size());
    std::vector<std::string> changed;
    for (size_t i = 0; i < fresh.fields().size(); ++i) {
      if (fresh.fields()[i] != after.fields()[i]) changed.push_back(fresh.fields()[i].name);
    }
    EXPECT_THAT(changed, ElementsAre("hart[0].step", "machine[0].console_bytes"));
    // And it runs as it did the first time.
    const Step before = guest.machine->step();
    guest.machine->run_until(before + 20);
    EXPECT_EQ(guest.outside.console.back().number, guest.outside.console.size() - 1);
  }
}

TEST(MachineRestart, IsSeenByTheDigestWhicheverPagesAnEarlierOneSaw) {
  constexpr uint64_t kSteps = 50;
  TestMachine seen(resetting_kernel(9));
  TestMachine unseen(resetting_kernel(9));
  for (TestMachine* guest : {&seen, &unseen}) {
    ASSERT_TRUE(guest->machine->run_until(Step(kSteps)).has_value());
    if (guest == &seen) guest->machine->digest();
    ASSERT_TRUE(guest->apply(log::Control{log::ControlOperation::kReset}));
  }
  EXPECT_EQ(seen.machine->digest(), unseen.machine->digest());
}

// A restart from other bytes would be the start of another machine.
TEST(MachineRestart, WithoutTheBytesOfTheFirstStartIsAnErrorThatStays) {
  Bytes other = resetting_kernel(1);
  other.back() ^= std::byte{1};
  const Bytes longer(other.size() + 1);
  const Result<Bytes> gone = fail(ErrorCode::kNotFound, "cannot open", "the file");
  for (const bool by_control : {false, true}) {
    for (const auto& [now, code, text] :
         {std::tuple(Result<Bytes>(other), ErrorCode::kCorrupt, "its bytes are others"),
          std::tuple(Result<Bytes>(longer), ErrorCode::kCorrupt, "bytes, now"),
          std::tuple(gone, ErrorCode::kNotFound, "cannot open the file")}) {
      TestMachine guest(resetting_kernel(by_control ? 9 : 1));
      guest.kernel->bytes = now;
      Status status;
      if (by_control) {
        ASSERT_TRUE(guest.machine->run_until(Step(7)).has_value());
        status = guest.apply(log::Control{log::ControlOperation::kReset});
      } else {
        const Result<StopReason> stop = guest.machine->run_until(Step(1'000));
        if (!stop) status = std::unexpected(stop.error());
      }
      ASSERT_FALSE(status.has_value());
      EXPECT_EQ(status.error().code, code);
      EXPECT_THAT(status.error().text(), HasSubstr("the guest cannot restart: "));
      EXPECT_THAT(status.error().text(), HasSubstr(text));

      const Step step = guest.machine->step();
      EXPECT_FALSE(guest.machine->run_until(step + 10).has_value());
      EXPECT_FALSE(guest.apply(log::ConsoleInput{kUartPort, Bytes(1)}).has_value());
      EXPECT_EQ(guest.machine->step(), step);
    }
  }
}

TEST(MachineStart, RefusesAFileThatChangedSinceItWasDescribed) {
  const Bytes kernel = program([](Assembler&) {});
  auto source = std::make_shared<testing::MemoryBootSource>(kernel);
  BoardDescription board;
  board.memory_bytes = kMinMemory;
  board.kernel_image_size = kernel.size();
  board.kernel = BootFile(kernel, source);
  source->bytes->front() ^= std::byte{1};
  posix::AnonymousMemory ram = posix::AnonymousMemory::create(kMinMemory).value();
  testing::NotingOutside outside;
  const auto machine = Machine::create(board, ram.bytes(), outside);
  ASSERT_FALSE(machine.has_value());
  EXPECT_EQ(machine.error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(machine.error().object, source->name());
}

TEST(MachineIsa, WhatTheBoardDoesNotOfferIsIllegalAfterARestartToo) {
  for (const bool offered : {true, false}) {
    TestMachine guest(program([](Assembler& code) { code.op(Opcode::kClz, kT0, kT0, 0); }),
                      offered ? riscv::kAllExtensions : riscv::IsaExtensions{});
    for (int run = 0; run < 2; ++run) {
      const uint64_t traps = guest.machine->traps();
      guest.machine->run_until(guest.machine->step() + 1);
      EXPECT_EQ(guest.machine->traps() - traps, offered ? 0u : 1u) << "run " << run;
      ASSERT_TRUE(guest.apply(log::Control{log::ControlOperation::kReset}));
    }
  }
}

TEST(MachinePower, ShutdownEndsTheRunAfterTheCall) {
  for (const auto& [reason, power] :
       {std::pair{0, PowerState::kOff}, std::pair{1, PowerState::kFailed}}) {
    TestMachine guest(resetting_kernel(0, static_cast<uint64_t>(reason)));
    EXPECT_EQ(guest.machine->run_until(Step(1'000)), StopReason::kPoweredOff);
    EXPECT_EQ(guest.machine->power(), power);
    const Step step = guest.machine->step();
    EXPECT_LT(step, Step(30));
    EXPECT_EQ(guest.machine->run_until(Step(1'000)), StopReason::kPoweredOff);
    EXPECT_EQ(guest.machine->step(), step);
  }
  TestMachine guest(program([](Assembler&) {}));
  guest.machine->run_until(Step(10));
  ASSERT_TRUE(guest.apply(log::Control{log::ControlOperation::kPowerOff}));
  EXPECT_EQ(guest.machine->run_until(Step(20)), StopReason::kPoweredOff);
  EXPECT_EQ(guest.machine->step(), Step(10));
}

// The clock's low word at step 2, again at step 4.
Bytes clock_kernel() {
  return program([](Assembler& code) {
    code.li(kT0, kRtcBase.value);
    code.load(Opcode::kLw, kA0, kT0);
    code.nop();
    code.load(Opcode::kLw, kA1, kT0);
  });
}

TEST(MachineClock, AReadIsAnsweredByTheEntryOfItsStepOrAsked) {
  TestMachine primary(clock_kernel());
  primary.outside.clock = [](Step step) { return 1'000 + step.value; };
  primary.machine->run_until(Step(20));
  ASSERT_EQ(primary.outside.clock_reads.size(), 2u);

  TestMachine replica(clock_kernel());
  for (const Step step : primary.outside.clock_reads) {
    replica.machine->run_until(step);
    ASSERT_TRUE(replica.apply(log::WallClockRead{1'000 + step.value}));
  }
  replica.machine->run_until(Step(20));
  EXPECT_TRUE(replica.outside.clock_reads.empty());
  EXPECT_EQ(replica.machine->digest(), primary.machine->digest());
}

TEST(MachineClock, AnEntryForAnotherStepIsNotTaken) {
  TestMachine guest(clock_kernel());
  ASSERT_TRUE(guest.apply(log::WallClockRead{77}));
  guest.machine->run_until(Step(20));
  EXPECT_EQ(guest.outside.clock_reads.size(), 2u) << "the log's answer was for another step";
}

}  // namespace
}  // namespace lockstep::machine
