// What the handlers work on: the hart, translation, and the cache of predecoded code.
//
// Invariants
//   1. While a handler runs, the step it executes is limit - left - 1.
//   2. current.va and current.ops describe the page that the running Op lies in:
//      pc = current.va + 2 * (op - current.ops).
//   3. A physical page with a CodePage is guarded (kCode): a store to it comes to
//      before_code_write(), which makes the Ops concerned decode again.
//   4. The CodePage that the running Op lies in is never freed under its handler.
//
// The translator (src/jit) runs its cold code by a Context, and reaches memory off its fast path by
// the same functions.
//
// Owner: the vCPU thread. Internal to riscv/interpreter and jit.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "riscv/bus.h"
#include "riscv/environment.h"
#include "riscv/hart.h"
#include "riscv/interpreter/op.h"
#include "riscv/mmu.h"
#include "riscv/physical_memory.h"

namespace lockstep::riscv::interpreter {

struct CodePage {
  // One more than the page has: running past the end looks up the next page.
  Op ops[kOpsPerPage + 1];
  uint64_t physical_page = 0;
  uint32_t writes = 0;
};

// Code that another engine derived from guest memory, beside the Ops of a Context.
class Translations {
 public:
  virtual ~Translations() = default;
  virtual bool has_code(uint64_t physical_page) const = 0;
  // [address, address + size) lies in one page and is about to change.
  virtual void before_code_write(GuestAddress address, size_t size) = 0;
};

struct Context final : WriteObserver {
  // Predecoded pages kept at most, with the one that runs beside them: 32 MiB.
  static constexpr size_t kMaxCodePages = 1024;
  // A page of code that is written this often is given up as code until it runs again.
  static constexpr uint32_t kRetireAfterWrites = 256;

  Context(Hart& hart, PhysicalMemory& memory, Bus& bus, EnvironmentCalls& environment);
  ~Context() override;

  Hart& hart;
  PhysicalMemory& memory;
  Bus& bus;
  EnvironmentCalls& environment;
  Mmu mmu;
  TlbBank* bank;
  Translations* translations = nullptr;

  Step limit;
  uint64_t left = 0;
  bool stop = false;

  static constexpr uint64_t kNoPage = 1;  // the address of no page
  struct CurrentPage {
    uint64_t va = kNoPage;
    const Op* ops = nullptr;
    CodePage* code = nullptr;
  } current;

  uint64_t pc_of(const Op* op) const {
    return current.va + 2 * static_cast<uint64_t>(op - current.ops);
  }
  // Brings hart.step to the running instruction: before anything that depends on time.
  void sync_step() { hart.step = limit - left - 1; }

  // The Op at `pc`, and the page becomes current; nullptr when it cannot be fetched (hart.pc = pc).
  const Op* lookup(uint64_t pc);
  // Same, for a jump: cheap within the current page.
  const Op* jump(uint64_t pc) {
    if ((pc & ~(kPageSize - 1)) == current.va) return current.ops + (pc & (kPageSize - 1)) / 2;
    return lookup(pc);
  }

  // Ways for a handler to end without a next Op.
  const Op* leave(uint64_t next_pc) {
    hart.pc = next_pc;
    return nullptr;
  }
  const Op* trap(uint64_t pc, Cause cause, uint64_t value);
  const Op* illegal(const Op* op);
  // satp, privilege or sstatus changed.
  void select_bank() {
    mmu.select_bank();
    bank = &mmu.bank();
  }

  // Memory access off the fast path. kChanged: done, and what was derived from the bytes written
  // (translations, code) was dropped; kLeave: done, but a wire may have changed.
  enum class Outcome : uint8_t { kDone, kChanged, kLeave, kTrapped };
  // `pc` is that of the running instruction.
  Outcome load(uint64_t pc, uint64_t address, unsigned size, uint64_t& value);
  Outcome store(uint64_t pc, uint64_t address, unsigned size, uint64_t value);
  // cbo.zero of the block that holds `address`, which lies in one page.
  Outcome zero_block(uint64_t pc, uint64_t address);
  // A place in RAM that may be loaded from or stored to as one aligned unit. False: trapped.
  bool locate(uint64_t pc, uint64_t address, unsigned size, Access access, GuestAddress& place);

  // Runs one instruction that lies across two pages.
  const Op* run_across_pages(const Op* op);
  uint32_t instruction_bits(uint64_t pc);

  // Executes from hart.pc until `left` is 0 (true) or a handler leaves (false).
  bool execute();
  // The same, and ends also (true, hart.pc set) when control went elsewhere than to the next
  // instruction and `look(physical page, halfword)` of where it went says so.
  template <typename Look>
  bool execute_until(Look look);
  bool has_code(uint64_t physical_page) const { return code_[physical_page] != nullptr; }
  void free_retired_pages();
  void drop_all_code();
  // In memory, those that wait to be freed included.
  size_t code_pages() const { return code_count_ + retired_.size(); }

  void before_code_write(GuestAddress address, size_t size) override;
  void before_page_table_write(GuestAddress address, ByteView bytes) override {
    mmu.before_page_table_write(address, bytes);
  }

  static const Op* decode_here(Context& context, const Op* op, uint64_t* x);
  static const Op* next_page(Context& context, const Op* op, uint64_t* x);
  static const Op* across_pages(Context& context, const Op* op, uint64_t* x);

 private:
  void fail_to_fetch();
  CodePage* make_code_page(uint64_t physical_page);
  void retire(uint64_t physical_page);
  Outcome load_split(uint64_t pc, uint64_t address, unsigned size, uint64_t& value);
  Outcome store_split(uint64_t pc, uint64_t address, unsigned size, uint64_t value);

  std::vector<std::unique_ptr<CodePage>> code_;  // by physical page
  std::vector<std::unique_ptr<CodePage>> retired_;
  size_t code_count_ = 0;
  Op scratch_[3] = {};  // an instruction across two pages, and the way on
};

template <typename Look>
bool Context::execute_until(Look look) {
  const Op* op = lookup(hart.pc);
  if (op == nullptr) {
    fail_to_fetch();
    return false;
  }
  uint64_t* const x = hart.x;
  // Counted in a register: `left` is only written, so that no step waits for the one before.
  uint64_t remaining = left;
  do {
    left = --remaining;
    const Op* const next = op->run(*this, op, x);
    if (next == nullptr) return false;
    const auto distance = static_cast<uint64_t>(next - op);
    op = next;
    if (distance - 1 > 1 && current.code != nullptr &&
        look(current.code->physical_page, static_cast<uint64_t>(op - current.ops))) {
      break;
    }
  } while (remaining != 0);
  hart.pc = pc_of(op);
  return true;
}

// Fills `op` from a decoded instruction that starts at byte `offset` of its page.
void build_op(Op& op, const Instruction& instruction, uint64_t offset, bool may_stay_in_page);

}  // namespace lockstep::riscv::interpreter
