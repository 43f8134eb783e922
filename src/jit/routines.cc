#include "jit/routines.h"

#include <cstddef>

namespace lockstep::jit {
namespace {

using x64::Alu;
using x64::Assembler;
using x64::at;
using x64::Cond;
using x64::Label;
using x64::Reg;
using x64::Shift;

constexpr std::array kCalleeSaved = {Reg::kRbx, Reg::kRbp, Reg::kR12,
                                     Reg::kR13, Reg::kR14, Reg::kR15};

class Emitter {
 public:
  Emitter(Assembler& assembler, uint32_t state, const Helpers& helpers)
      : a_(assembler), state_(state), helpers_(helpers) {}

  Routines emit();

 private:
  x64::Mem field(size_t offset) const { return state_field(state_, offset); }
  uint32_t begin() {
    a_.align(16);
    return a_.here();
  }
  void spill() {
    for (const Pinned& pinned : kPinned) a_.mov(x_place(pinned.guest), pinned.host);
  }
  void fill() {
    for (const Pinned& pinned : kPinned) a_.mov(pinned.host, x_place(pinned.guest));
  }
  template <typename Function>
  void call(Function function) {
    // SAFETY: only the address of the helper is used, to call it.
    a_.mov_imm(Reg::kRax, reinterpret_cast<uint64_t>(function));
    a_.call(Reg::kRax);
  }
  void emit_enter();
  void emit_exits();
  void emit_jump_slowly();
  // Calls, and goes back with ZF set when code must be left, or on at hart.pc: by the outcome in
  // `outcome`.
  template <typename Function>
  void call_for_access(Function helper, Reg outcome) {
    a_.alu_imm(Alu::kSub, Reg::kRsp, 8);  // aligned again
    call(helper);
    a_.alu_imm(Alu::kAdd, Reg::kRsp, 8);
    fill();
    a_.alu_l_imm(Alu::kCmp, outcome, 1);
    Label gone;
    a_.jcc(Cond::kAbove, gone);
    a_.ret();
    a_.bind(gone);
    a_.alu_imm(Alu::kAdd, Reg::kRsp, 8);  // not back to the superblock
    a_.jmp_to(resume_);
  }
  uint32_t emit_load(Helpers::Load helper);
  uint32_t emit_store(Helpers::Store helper);
  uint32_t emit_step(Helpers::Step helper, bool floating_point);
  void resume_at_hart();

  Assembler& a_;
  uint32_t state_;
  const Helpers& helpers_;
  Routines routines_;
  uint32_t resume_ = 0;
};

// In: rdi = code, rsi = &hart.x[16], rdx = bank, rcx = steps left.
void Emitter::emit_enter() {
  routines_.enter = begin();
  for (const Reg reg : kCalleeSaved) a_.push(reg);
  a_.alu_imm(Alu::kSub, Reg::kRsp, 8);
  a_.stmxcsr(field(offsetof(RuntimeState, host_mxcsr)));
  a_.ldmxcsr(field(offsetof(RuntimeState, guest_mxcsr)));
  a_.mov(kState, Reg::kRsi);
  a_.mov(kBank, Reg::kRdx);
  a_.mov(kBudget, Reg::kRcx);
  a_.mov(Reg::kRax, Reg::kRdi);
  fill();
  a_.jmp(Reg::kRax);
}

void Emitter::emit_exits() {
  Label exit;
  Label common;
  const auto with_reason = [&](ExitReason reason) {
    const uint32_t address = begin();
    a_.mov_imm(Reg::kRdx, static_cast<uint64_t>(reason));
    a_.jmp(common);
    return address;
  };
  routines_.not_translated = with_reason(ExitReason::kCold);
  routines_.exit_budget = with_reason(ExitReason::kBudget);
  routines_.exit_step = with_reason(ExitReason::kStep);
  routines_.exit_leave = with_reason(ExitReason::kLeave);
  routines_.exit_window = begin();
  a_.mov_l(field(offsetof(RuntimeState, site)), Reg::kRax);
  a_.mov_imm(Reg::kRdx, static_cast<uint64_t>(ExitReason::kWindow));
  a_.bind(common);
  a_.alu_l_imm(Alu::kAnd, Reg::kRax, riscv::kPageSize - 1);
  a_.alu(Alu::kAdd, Reg::kRax, field(offsetof(RuntimeState, page_va)));
  a_.mov(hart_field(offsetof(riscv::Hart, pc)), Reg::kRax);
  a_.mov(field(offsetof(RuntimeState, left)), kBudget);
  a_.bind(exit);
  a_.mov_l(field(offsetof(RuntimeState, exit_reason)), Reg::kRdx);
  spill();
  a_.stmxcsr(field(offsetof(RuntimeState, guest_mxcsr)));
  a_.ldmxcsr(field(offsetof(RuntimeState, host_mxcsr)));
  a_.alu_imm(Alu::kAdd, Reg::kRsp, 8);
  for (auto reg = kCalleeSaved.rbegin(); reg != kCalleeSaved.rend(); ++reg) a_.pop(*reg);
  a_.ret();

  routines_.exit_at_hart = begin();
  a_.mov_imm(Reg::kRdx, static_cast<uint64_t>(ExitReason::kLeave));
  a_.jmp(exit);
  routines_.jump_slowly = begin();  // from emit_jump(): rax is the target xor rdx
  a_.alu(Alu::kXor, Reg::kRax, Reg::kRdx);
  a_.mov(field(offsetof(RuntimeState, target_pc)), Reg::kRax);
  spill();
  a_.mov(Reg::kRdi, field(offsetof(RuntimeState, translator)));
  call(helpers_.find);
  fill();
  a_.mov(Reg::kRcx, Reg::kRax);
  a_.mov(Reg::kRax, field(offsetof(RuntimeState, target_pc)));
  a_.test(Reg::kRcx, Reg::kRcx);
  Label nowhere;
  a_.jcc(Cond::kEqual, nowhere);
  a_.jmp(Reg::kRcx);
  a_.bind(nowhere);  // the interpreter raises the fault
  a_.mov(hart_field(offsetof(riscv::Hart, pc)), Reg::kRax);
  a_.mov(field(offsetof(RuntimeState, left)), kBudget);
  a_.mov_imm(Reg::kRdx, static_cast<uint64_t>(ExitReason::kStep));
  a_.jmp(exit);
}

void Emitter::resume_at_hart() {
  resume_ = begin();
  a_.mov(kBudget, field(offsetof(RuntimeState, left)));
  a_.mov(kBank, field(offsetof(RuntimeState, bank)));
  a_.mov(Reg::kRax, hart_field(offsetof(riscv::Hart, pc)));
  a_.jmp_to(routines_.jump);
}

uint32_t Emitter::emit_load(Helpers::Load helper) {
  const uint32_t address = begin();
  spill();
  a_.mov(Reg::kRdi, field(offsetof(RuntimeState, translator)));
  a_.mov(Reg::kRsi, Reg::kRax);
  a_.mov_l(Reg::kRdx, Reg::kRcx);
  a_.mov(Reg::kRcx, kBudget);
  call_for_access(helper, Reg::kRdx);
  return address;
}

uint32_t Emitter::emit_store(Helpers::Store helper) {
  const uint32_t address = begin();
  spill();
  a_.mov(Reg::kRdi, field(offsetof(RuntimeState, translator)));
  a_.mov(Reg::kRsi, Reg::kRax);
  a_.mov_l(Reg::kRcx, Reg::kRcx);
  a_.mov(Reg::kR8, kBudget);
  call_for_access(helper, Reg::kRax);
  return address;
}

uint32_t Emitter::emit_step(Helpers::Step helper, bool floating_point) {
  const uint32_t address = begin();
  spill();
  if (floating_point) a_.stmxcsr(field(offsetof(RuntimeState, guest_mxcsr)));
  a_.mov(Reg::kRdi, field(offsetof(RuntimeState, translator)));
  a_.mov_l(Reg::kRsi, Reg::kRcx);
  a_.mov(Reg::kRdx, kBudget);
  a_.alu_imm(Alu::kSub, Reg::kRsp, 8);
  call(helper);
  a_.alu_imm(Alu::kAdd, Reg::kRsp, 8);
  if (floating_point) a_.ldmxcsr(field(offsetof(RuntimeState, guest_mxcsr)));
  fill();
  a_.alu_l_imm(Alu::kCmp, Reg::kRax, 1);
  Label elsewhere;
  a_.jcc(Cond::kNotBelow, elsewhere);
  a_.ret();
  a_.bind(elsewhere);
  a_.lea(Reg::kRsp, at(Reg::kRsp, 8));  // keeps the flags
  a_.jcc_to(Cond::kAbove, resume_);
  a_.jmp_to(routines_.exit_at_hart);
  return address;
}

Routines Emitter::emit() {
  emit_enter();
  emit_exits();
  routines_.jump = begin();
  emit_jump(a_, state_, routines_.jump_slowly);
  resume_at_hart();
  for (size_t i = 0; i < helpers_.load.size(); ++i) {
    routines_.load[i] = emit_load(helpers_.load[i]);
  }
  for (size_t i = 0; i < helpers_.store.size(); ++i) {
    routines_.store[i] = emit_store(helpers_.store[i]);
  }
  routines_.step = emit_step(helpers_.step, false);
  routines_.float_step = emit_step(helpers_.float_step, true);
  return routines_;
}

}  // namespace

void find_fetch_entry(Assembler& a) {
  constexpr unsigned kEntryShift = 5;
  static_assert(sizeof(riscv::FetchEntry) == 1 << kEntryShift);
  a.mov_l(Reg::kRcx, Reg::kRax);
  a.shift_l_imm(Shift::kShr, Reg::kRcx, riscv::kPageShift - kEntryShift);
  a.alu_l_imm(Alu::kAnd, Reg::kRcx, (riscv::kFetchEntries - 1) << kEntryShift);
}

void find_data_entry(Assembler& a) {
  constexpr unsigned kEntryShift = 4;
  static_assert(sizeof(riscv::DataEntry) == 1 << kEntryShift);
  a.mov_l(Reg::kRcx, Reg::kRax);
  a.shift_l_imm(Shift::kShr, Reg::kRcx, riscv::kPageShift - kEntryShift);
  a.alu_l_imm(Alu::kAnd, Reg::kRcx, (riscv::kDataEntries - 1) << kEntryShift);
}

void emit_jump(Assembler& a, uint32_t state, uint32_t slow_path) {
  find_fetch_entry(a);
  a.mov(Reg::kRdx, fetch_entry(offsetof(riscv::FetchEntry, tag)));
  a.alu(Alu::kXor, Reg::kRax, Reg::kRdx);  // the offset in the page, if this is it
  a.alu_imm(Alu::kCmp, Reg::kRax, riscv::kPageSize - 1);
  a.jcc_to(Cond::kAbove, slow_path);
  a.mov(Reg::kRcx, fetch_entry(offsetof(riscv::FetchEntry, code)));
  a.mov(state_field(state, offsetof(RuntimeState, page_va)), Reg::kRdx);
  a.mov_l(Reg::kRcx, at(Reg::kRcx, Reg::kRax, 1));  // a word for each two bytes
  a.jmp(Reg::kRcx);
}

Routines emit_routines(Assembler& assembler, uint32_t state, const Helpers& helpers) {
  return Emitter(assembler, state, helpers).emit();
}

}  // namespace lockstep::jit
