// Code that changes takes effect at the next instruction, fence.i or not: design §1, engine.md
// ("Self-modifying code"). Each guest runs the code before it changes it, so that it is decoded.
#include <gtest/gtest.h>
#include <vector>

#include "riscv/encoder.h"
#include "riscv/interpreter/context.h"
#include "riscv/testing/test_guest.h"

namespace lockstep::riscv {
namespace {

using namespace lockstep::riscv::testing;

constexpr int32_t kOld = 16;  // differs from kNew in one byte of the instruction
constexpr int32_t kNew = 64;
constexpr uint64_t kSteps = 60;
constexpr uint64_t kAlias = 0x4000'0000;

uint32_t add_to_a0(int32_t amount) {
  return encode(immediate_form(Opcode::kAddi, kA0, kA0, amount));
}

// Runs twice: `store`, then the instruction at `target`, which is first `a0 += kOld` and which the
// second pass finds as `a0 += kNew`. In the first pass the store writes what already stands there.
// Registers: s0 target, s1 what to store, t0 passes.
struct Change {
  uint64_t target = TestGuest::kCode.value + 0x800;
  Opcode store = Opcode::kSw;
  int32_t offset = 0;       // from the target, of the store
  unsigned shift = 0;       // of the new bits, for a store of a part
  uint64_t store_from = 0;  // the page by which the store reaches the target; 0: its own
  uint64_t code = TestGuest::kCode.value;
  std::function<void(TestGuest&)> prepare = {};
};

std::unique_ptr<TestGuest> run_change(const Change& change) {
  return run_every_way(kSteps, [&](TestGuest& g) {
    Assembler code(GuestAddress(change.code));
    code.addi(kT0, kT0, 1);
    code.store(change.store, kS1, kS0, change.offset);
    code.jal(kZero, change.target);
    const uint64_t back = code.here();
    code.addi(kS1, kS2, 0);
    code.li(kT1, 2);
    code.branch(Opcode::kBne, kT0, kT1, change.code);
    code.spin();
    g.put(code);
    Assembler target{GuestAddress(change.target)};
    target.word(add_to_a0(kOld));
    target.jal(kZero, back);
    g.put(target);
    g.hart.pc = change.code;
    const uint64_t reach =
        change.store_from == 0 ? change.target : change.store_from + change.target % kPageSize;
    g.hart.x[kS0] = reach;
    g.hart.x[kS1] = static_cast<uint64_t>(add_to_a0(kOld)) >> change.shift;
    g.hart.x[kS2] = static_cast<uint64_t>(add_to_a0(kNew)) >> change.shift;
    if (change.prepare) change.prepare(g);
  });
}

void expect_changed(const Change& change) {
  const auto guest = run_change(change);
  EXPECT_EQ(guest->hart.x[kA0], static_cast<uint64_t>(kOld + kNew));
  EXPECT_EQ(guest->hart.traps, 0u);
}

void map_everything(TestGuest& g, uint64_t alias_of = TestGuest::kCode.value) {
  PageTables tables(g.memory, g.kTables);
  tables.map(kRamBase.value, kRamBase, kAllRights, 2);
  tables.map(kAlias, GuestAddress(alias_of), kReadWrite);
  tables.map(kAlias + kPageSize, GuestAddress(alias_of + kPageSize), kReadWrite);
  g.hart.satp = tables.satp();
}

TEST(CodeChange, InTheSamePage) {
  expect_changed({});
}

TEST(CodeChange, InAnotherPage) {
  expect_changed({.target = TestGuest::kCode.value + 5 * kPageSize + 0x10});
}

TEST(CodeChange, TheInstructionRightAfterTheStore) {
  const auto guest = run_every_way(20, [](TestGuest& g) {
    Assembler code(g.kCode);
    const uint64_t loop = code.here();
    code.store(Opcode::kSw, kS1, kS0);
    g.hart.x[kS0] = code.here();
    code.word(add_to_a0(kOld));
    code.addi(kS1, kS2, 0);
    code.addi(kT0, kT0, 1);
    code.li(kT1, 2);
    code.branch(Opcode::kBne, kT0, kT1, loop);
    code.spin();
    g.put(code);
    g.hart.x[kS1] = add_to_a0(kOld);
    g.hart.x[kS2] = add_to_a0(kNew);
  });
  EXPECT_EQ(guest->hart.x[kA0], static_cast<uint64_t>(kOld + kNew));
}

TEST(CodeChange, OfAnInstructionsHalvesAndBytes) {
  constexpr unsigned kUpperHalf = 16;
  expect_changed({.store = Opcode::kSh, .offset = 2, .shift = kUpperHalf});
  expect_changed({.store = Opcode::kSb, .offset = 3, .shift = 24});
  expect_changed({.target = TestGuest::kCode.value + 0x802,
                  .store = Opcode::kSh,
                  .offset = 2,
                  .shift = kUpperHalf});
}

TEST(CodeChange, OfAnInstructionAcrossTwoPages) {
  constexpr uint64_t kLastHalf = TestGuest::kCode.value + 3 * kPageSize - 2;
  expect_changed({.target = kLastHalf, .store = Opcode::kSh, .offset = 2, .shift = 16});
  expect_changed({.target = kLastHalf});  // a store across both pages
  // Its first half: addi and xori of kOld to a0 differ there.
  const auto guest = run_every_way(kSteps, [](TestGuest& g) {
    Assembler target{GuestAddress(kLastHalf)};
    target.word(add_to_a0(5));
    target.jalr(kZero, kRa);
    g.put(target);
    const uint32_t other = encode(immediate_form(Opcode::kXori, kA0, kA0, 5));
    Assembler code(g.kCode);
    code.li(kS0, kLastHalf);
    code.jalr(kRa, kS0);
    code.li(kT0, other & 0xffff);
    code.store(Opcode::kSh, kT0, kS0);
    code.jalr(kRa, kS0);
    code.spin();
    g.put(code);
  });
  EXPECT_EQ(guest->hart.x[kA0], 0u) << "5 ^ 5";
}

TEST(CodeChange, ThroughAnotherVirtualAddress) {
  expect_changed({.store_from = kAlias, .prepare = [](TestGuest& g) { map_everything(g); }});
}

TEST(CodeChange, ThroughAWriteEntryThatWasWarmBeforeThePageHeldCode) {
  const auto guest = run_every_way(40, [](TestGuest& g) {
    map_everything(g, g.kCode.value + 2 * kPageSize);
    const GuestAddress target = g.kCode + 2 * kPageSize;
    Assembler function(target);
    function.word(add_to_a0(kOld));
    function.jalr(kZero, kRa);
    g.put(function);
    Assembler code(g.kCode);
    code.store(Opcode::kSw, kZero, kS1, 0x100);  // warms the alias for writing
    code.store(Opcode::kSw, kZero, kS2, 0x100);  // and the page itself
    code.jalr(kRa, kS2);                         // now it is code
    code.store(Opcode::kSw, kT2, kS1);
    code.jalr(kRa, kS2);
    code.store(Opcode::kSw, kT3, kS2);
    code.jalr(kRa, kS2);
    code.spin();
    g.put(code);
    g.hart.x[kS1] = kAlias;
    g.hart.x[kS2] = target.value;
    g.hart.x[kT2] = add_to_a0(kNew);
    g.hart.x[kT3] = add_to_a0(1'000);
  });
  EXPECT_EQ(guest->hart.x[kA0], static_cast<uint64_t>(kOld + kNew + 1'000));
}

TEST(CodeChange, ByEveryKindOfStore) {
  const auto with = [](const std::function<void(Assembler&)>& store) {
    return run_every_way(40, [&](TestGuest& g) {
      g.hart.sstatus |= kStatusFs;
      Assembler code(g.kCode);
      const uint64_t loop = code.here();
      store(code);
      g.hart.x[kS0] = code.here();
      code.word(add_to_a0(kOld));
      code.addi(kS1, kS2, 0);
      code.op(Opcode::kFmvWX, 1, kS1, 0);
      code.addi(kT0, kT0, 1);
      code.li(kT1, 2);
      code.branch(Opcode::kBne, kT0, kT1, loop);
      code.spin();
      g.put(code);
      g.hart.x[kS1] = add_to_a0(kOld);
      g.hart.f[1] = add_to_a0(kOld);
      g.hart.x[kS2] = add_to_a0(kNew);
    });
  };
  const auto expected = static_cast<uint64_t>(kOld + kNew);
  EXPECT_EQ(with([](Assembler& code) { code.op(Opcode::kAmoswapW, kT2, kS0, kS1); })->hart.x[kA0],
            expected);
  EXPECT_EQ(with([](Assembler& code) {
              code.op(Opcode::kLrW, kT2, kS0, 0);
              code.op(Opcode::kScW, kT2, kS0, kS1);
            })->hart.x[kA0],
            expected);
  EXPECT_EQ(with([](Assembler& code) { code.store(Opcode::kFsw, 1, kS0); })->hart.x[kA0], expected);
}

TEST(CodeChange, ByADeviceDuringTheAccessBefore) {
  const auto guest = run_every_way(20, [](TestGuest& g) {
    Assembler code(g.kCode);
    const uint64_t loop = code.here();
    code.store(Opcode::kSw, kT0, kS0);
    const uint64_t target = code.here();
    code.word(add_to_a0(kOld));
    code.addi(kT0, kT0, 1);
    code.li(kT1, 2);
    code.branch(Opcode::kBne, kT0, kT1, loop);
    code.spin();
    g.put(code);
    g.hart.x[kS0] = TestBus::kDevice.value;
    g.bus.on_write = [&g, target](uint64_t, uint64_t value) {
      if (value == 1) g.memory.store(GuestAddress(target), add_to_a0(kNew));
    };
  });
  EXPECT_EQ(guest->hart.x[kA0], static_cast<uint64_t>(kOld + kNew));
}

TEST(CodeChange, ByADeviceBetweenTwoRuns) {
  TestGuest guest;
  Assembler code(guest.kCode);
  const uint64_t loop = code.here();
  code.word(add_to_a0(kOld));
  code.jal(kZero, loop);
  guest.put(code);
  guest.run(10);
  guest.memory.store(guest.kCode, add_to_a0(kNew));
  guest.run(2);
  EXPECT_EQ(guest.hart.x[kA0], static_cast<uint64_t>(5 * kOld + kNew));
}

// Past the limit at which a page is given up as code, while it runs in that very page.
TEST(CodeChange, AgainAndAgain) {
  constexpr uint64_t kPasses = 3 * interpreter::Context::kRetireAfterWrites;
  constexpr uint64_t kInstructionsInLoop = 5;
  TestGuest guest;
  Assembler code(guest.kCode);
  guest.hart.x[kT2] = uint64_t{1} << 20;  // one more in the immediate
  const uint64_t loop = code.here();
  code.op(Opcode::kAdd, kS1, kS1, kT2);
  code.store(Opcode::kSw, kS1, kS0);
  guest.hart.x[kS0] = code.here();
  guest.hart.x[kS1] = add_to_a0(0);
  code.word(add_to_a0(0));
  code.addi(kT0, kT0, 1);
  code.jal(kZero, loop);
  guest.put(code);
  guest.run(kPasses * kInstructionsInLoop);
  uint64_t expected = 0;
  for (uint64_t i = 1; i <= kPasses; ++i) expected += i;  // kPasses is below 2,048
  EXPECT_EQ(guest.hart.x[kA0], expected);
}

// A guest that runs through `pages` pages of code, two instructions in each, and then again.
std::unique_ptr<TestGuest> long_walk(uint64_t pages) {
  auto guest = std::make_unique<TestGuest>(pages + 100);
  const GuestAddress first = kRamBase + 64 * kPageSize;
  for (uint64_t i = 0; i < pages; ++i) {
    const GuestAddress page = first + i * kPageSize;
    Assembler code(page);
    code.word(add_to_a0(kOld));
    code.jal(kZero, i + 1 < pages ? page.value + kPageSize : page.value + 8);
    if (i + 1 == pages) code.jalr(kZero, kS0);
    guest->put(code);
  }
  guest->hart.pc = first.value;
  guest->hart.x[kS0] = first.value;
  return guest;
}

TEST(CodeChange, InMorePagesThanAreKept) {
  constexpr uint64_t kCodePages = interpreter::Context::kMaxCodePages + 10;
  constexpr uint64_t kRound = 2 * kCodePages + 1;
  const auto guest = long_walk(kCodePages);
  guest->run(kRound);
  EXPECT_EQ(guest->hart.x[kA0], kCodePages * kOld);
  guest->memory.store(GuestAddress(guest->hart.x[kS0]), add_to_a0(kNew));
  guest->run(3 * kRound);
  EXPECT_EQ(guest->hart.x[kA0], 4 * kCodePages * kOld + 3 * (kNew - kOld));
}

TEST(CodePages, AreBoundedWithinOneRun) {
  constexpr uint64_t kCodePages = interpreter::Context::kMaxCodePages + 10;
  constexpr uint64_t kFourRounds = 4 * (2 * kCodePages + 1);
  const auto guest = long_walk(kCodePages);
  interpreter::Context context(guest->hart, guest->memory, guest->bus, guest->environment);
  context.limit = Step(kFourRounds);
  context.left = kFourRounds;
  context.execute();
  EXPECT_EQ(context.left, 0u);
  EXPECT_LE(context.code_pages(), interpreter::Context::kMaxCodePages + 1);
}

// --- Fetch across two pages ---------------------------------------------------------------------

TEST(CodeAcrossPages, AFaultOnTheSecondPageShowsItsAddress) {
  const auto guest = run_every_way(2, [](TestGuest& g) {
    PageTables tables(g.memory, g.kTables);
    tables.map(g.kHandler.value, g.kHandler, kAllRights);
    tables.map(kAlias, g.kCode, kReadExecute);
    g.hart.satp = tables.satp();
    g.hart.pc = kAlias + kPageSize - 2;
    g.memory.store(g.kCode + kPageSize - 2, add_to_a0(1));
  });
  EXPECT_EQ(guest->hart.scause, static_cast<uint64_t>(Cause::kFetchPage));
  EXPECT_EQ(guest->hart.stval, kAlias + kPageSize);
  EXPECT_EQ(guest->hart.sepc, kAlias + kPageSize - 2);
  EXPECT_EQ(guest->hart.traps, 1u);
}

TEST(CodeAcrossPages, TheHalvesMayLieInPagesFarApart) {
  const auto guest = run_every_way(4, [](TestGuest& g) {
    PageTables tables(g.memory, g.kTables);
    tables.map(kAlias, g.kCode, kReadExecute);
    tables.map(kAlias + kPageSize, g.kData, kReadExecute);
    g.hart.satp = tables.satp();
    g.hart.pc = kAlias + kPageSize - 2;
    const uint32_t bits = add_to_a0(kNew);
    g.memory.store(g.kCode + (kPageSize - 2), static_cast<uint16_t>(bits));
    g.memory.store(g.kData, static_cast<uint16_t>(bits >> 16));
    Assembler next(g.kData + 2);
    next.jal(kA1, kAlias + kPageSize - 2 - (kAlias + kPageSize) + g.kData.value);
    g.put(next);
  });
  EXPECT_EQ(guest->hart.x[kA0], static_cast<uint64_t>(2 * kNew));
  EXPECT_EQ(guest->hart.x[kA1], kAlias + kPageSize + 6);
}

TEST(CodeAcrossPages, ATwoByteInstructionAtTheEndNeedsOnePage) {
  const auto guest = run_every_way(2, [](TestGuest& g) {
    PageTables tables(g.memory, g.kTables);
    tables.map(g.kHandler.value, g.kHandler, kAllRights);
    tables.map(kAlias, g.kCode, kReadExecute);
    g.hart.satp = tables.satp();
    g.hart.pc = kAlias + kPageSize - 2;
    g.memory.store<uint16_t>(g.kCode + (kPageSize - 2), 0x0505);  // c.addi a0, 1
  });
  EXPECT_EQ(guest->hart.x[kA0], 1u);
  EXPECT_EQ(guest->hart.sepc, kAlias + kPageSize);
  EXPECT_EQ(guest->hart.stval, kAlias + kPageSize);
}

}  // namespace
}  // namespace lockstep::riscv
