// That the hot guests do what they are for: every instruction of the table runs, most of them often
// enough to be translated, in both modes, among traps and changes of code and tables.
#include <gtest/gtest.h>
#include <map>
#include <set>

#include "riscv/instruction.h"
#include "riscv/interpreter/interpreter.h"
#include "riscv/testing/audit_guest.h"

namespace lockstep::riscv::testing {
namespace {

constexpr uint64_t kSeeds = 40;
constexpr uint64_t kSteps = 100'000;
constexpr uint64_t kHot = 30;  // runs of one place

struct Observed {
  uint64_t steps = 0;
  uint64_t hot_steps = 0;
  uint64_t user_steps = 0;
  uint64_t page_table_writes = 0;
  std::map<Opcode, uint64_t> retired;
  std::set<uint64_t> causes;
};

void wake(Hart& hart) {
  if (!hart.waiting) return;
  hart.stimecmp = hart.time.at(hart.step);
  hart.sie |= kTimerInterrupt;
  hart.wake_if_pending();
}

void observe(uint64_t seed, Observed& observed) {
  const AuditProgram program = hot_program(seed);
  AuditGuest guest(program, make_interpreter);
  guest.hart.time.set_anchor(Step(0), GuestTicks(0), (uint64_t{1} << 32) >> seed % 5);
  std::map<uint64_t, uint64_t> runs;  // by pc; the handler's own do not count
  while (guest.hart.step.value < kSteps) {
    wake(guest.hart);
    const uint64_t traps = guest.hart.traps;
    const uint64_t pc = guest.hart.pc;
    const std::optional<uint32_t> bits = guest.next_instruction();
    observed.user_steps += guest.hart.privilege == Privilege::kUser ? 1 : 0;
    ASSERT_FALSE(guest.run_until(guest.hart.step + 1));
    ++observed.steps;
    if (pc < kAuditRam.value && ++runs[pc] > kHot) ++observed.hot_steps;
    if (guest.hart.traps != traps) {
      observed.causes.insert(guest.hart.scause);
    } else if (bits) {
      ++observed.retired[decode(*bits).opcode];
    }
  }
  observed.page_table_writes += guest.engine->statistics().mmu.page_table_writes;
}

TEST(HotProgram, RunsEveryInstructionInLoopsAmongTrapsAndChanges) {
  Observed observed;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) observe(seed, observed);
  for (const InstructionRow& row : instruction_table()) {
    if (row.opcode == Opcode::kEbreak) continue;  // never retires
    EXPECT_GT(observed.retired[row.opcode], 0u) << row.mnemonic;
  }
  EXPECT_GT(observed.hot_steps, observed.steps / 3);
  EXPECT_GT(observed.user_steps, observed.steps / 12);
  EXPECT_GT(observed.page_table_writes, observed.steps / 200);
  for (const Cause cause :
       {Cause::kFetchAccess, Cause::kIllegalInstruction, Cause::kBreakpoint, Cause::kLoadAccess,
        Cause::kStoreAccess, Cause::kUserCall, Cause::kFetchPage, Cause::kLoadPage,
        Cause::kStorePage, Cause::kStoreMisaligned}) {
    EXPECT_TRUE(observed.causes.contains(static_cast<uint64_t>(cause)))
        << static_cast<uint64_t>(cause);
  }
  for (const uint64_t interrupt : {1u, 5u, 9u}) {
    EXPECT_TRUE(observed.causes.contains(kCauseInterrupt | interrupt)) << interrupt;
  }
}

}  // namespace
}  // namespace lockstep::riscv::testing
