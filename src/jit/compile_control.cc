// Branches, jumps, fences, and what only the interpreter does.
#include "base/check.h"
#include "jit/block_compiler.h"

namespace lockstep::jit {

using riscv::kPageSize;
using riscv::Opcode;
using x64::at;

// rax need not be kept.
void BlockCompiler::write_link() {
  if (in().rd == 0) return;
  const Reg to = target();
  a_->mov(to, state(offsetof(RuntimeState, page_va)));
  a_->alu_imm(Alu::kAdd, to, static_cast<int32_t>(here_->next_offset()));
  finish(to);
}

void BlockCompiler::settle_steps() {
  a_->lea(kBudget, at(kBudget, -static_cast<int32_t>(steps_done())));
  segment_start_ = index_ + 1;
}

void BlockCompiler::link(std::optional<Cond> condition, uint32_t offset) {
  CHECK(links_.size() < links_.capacity());
  x64::Label& label = link_labels_.emplace_back();
  if (condition) {
    a_->jcc(*condition, label);
  } else {
    a_->jmp(label);
  }
  constexpr uint32_t kDisplacement = 4;  // bytes, at the end of the jump
  links_.push_back({a_->here() - kDisplacement, 0, static_cast<uint16_t>(offset)});
}

void BlockCompiler::jump_relative(int64_t target) {
  if (target >= 0 && target < static_cast<int64_t>(kPageSize)) {
    link(std::nullopt, static_cast<uint32_t>(target));
    return;
  }
  a_->mov(Reg::kRax, state(offsetof(RuntimeState, page_va)));
  a_->alu_imm(Alu::kAdd, Reg::kRax, static_cast<int32_t>(target));
  emit_jump(*a_, setup_.state, setup_.routines.jump_slowly);
}

// Behind the last instruction, or to the interpreter for one that reaches into the next page.
void BlockCompiler::go_on_behind() {
  ended_ = true;
  index_ = run_->size - 1;
  if (segment_start_ < run_->size) settle_steps();
  jump_relative(run_->next_offset);
}

void BlockCompiler::branch(Cond condition) {
  const unsigned rs1 = in().rs1;
  const unsigned rs2 = in().rs2;
  if (rs2 == 0 && is_pinned(rs1)) {
    a_->test(host_of(rs1), host_of(rs1));
  } else if (rs2 == 0 && rs1 != 0) {
    a_->alu_imm(Alu::kCmp, x_place(rs1), 0);
  } else {
    const Reg left = read(rs1, Reg::kRax);
    alu_guest(Alu::kCmp, left, rs2);
  }
  settle_steps();
  const int64_t target = here_->target();
  if (target >= 0 && target < static_cast<int64_t>(kPageSize)) {
    link(condition, static_cast<uint32_t>(target));
    return;
  }
  ColdExit& taken = cold_exit(ColdExit::To::kPage, target, 0);
  a_->jcc(condition, taken.label);
}

// Emits one step of the interpreter. `leave`: what it changes must be looked at, from S-mode.
void BlockCompiler::step_by_interpreter(bool leave) {
  a_->mov_imm(Reg::kRcx, site(leave));
  a_->call_to(setup_.routines.step);
}

bool BlockCompiler::compile_control() {
  switch (in().opcode) {
    case Opcode::kBeq:
      branch(Cond::kEqual);
      return true;
    case Opcode::kBne:
      branch(Cond::kNotEqual);
      return true;
    case Opcode::kBlt:
      branch(Cond::kLess);
      return true;
    case Opcode::kBge:
      branch(Cond::kNotLess);
      return true;
    case Opcode::kBltu:
      branch(Cond::kBelow);
      return true;
    case Opcode::kBgeu:
      branch(Cond::kNotBelow);
      return true;
    case Opcode::kJal: {
      write_link();
      if (!last()) return true;  // what follows is there
      ended_ = true;
      settle_steps();
      jump_relative(here_->target());
      return true;
    }
    case Opcode::kJalr: {
      ended_ = true;
      const Reg base = read(in().rs1, Reg::kRcx);
      a_->lea(Reg::kRcx, at(base, in().immediate));
      write_link();
      a_->mov(Reg::kRax, Reg::kRcx);
      a_->alu_imm(Alu::kAnd, Reg::kRax, -2);
      settle_steps();
      emit_jump(*a_, setup_.state, setup_.routines.jump_slowly);
      return true;
    }
    case Opcode::kFence:
    case Opcode::kFenceI:
      return true;  // one hart, coherent caches
    default:
      return false;
  }
}

// From user mode, the interpreter raises the exception.
void BlockCompiler::require_supervisor() {
  if (supervisor_checked_) return;
  supervisor_checked_ = true;  // privilege changes by leaving a superblock only
  ColdExit& exit = cold_exit(ColdExit::To::kStep, here_->offset, steps_before());
  a_->cmp_b_imm(hart_field(offsetof(riscv::Hart, privilege)),
                static_cast<uint8_t>(riscv::Privilege::kSupervisor));
  a_->jcc(Cond::kNotEqual, exit.label);
}

void BlockCompiler::csr_by_interpreter() {
  switch (static_cast<riscv::Csr>(in().immediate)) {
    case riscv::Csr::kSie:
    case riscv::Csr::kSip:
    case riscv::Csr::kStimecmp:
      return step_by_interpreter(true);
    case riscv::Csr::kFflags:
    case riscv::Csr::kFrm:
    case riscv::Csr::kFcsr:
    case riscv::Csr::kSstatus:
      float_checked_ = false;
      checked_mode_.reset();
      return float_step();
    default:
      return step_by_interpreter();
  }
}

// sstatus as it reads, with SD, into rdx.
void BlockCompiler::read_sstatus() {
  static_assert(riscv::kStatusFs == uint64_t{3} << 13 && riscv::kStatusSd == uint64_t{1} << 63);
  // FS + 1 carries into bit 15, which is 0, when FS is Dirty.
  a_->mov(Reg::kRdx, hart_field(offsetof(riscv::Hart, sstatus)));
  a_->lea_l(Reg::kRcx, at(Reg::kRdx, 1 << 13));
  a_->shift_l_imm(Shift::kShr, Reg::kRcx, 15);
  a_->shift_imm(Shift::kShl, Reg::kRcx, 63);
  a_->alu(Alu::kOr, Reg::kRdx, Reg::kRcx);
}

void BlockCompiler::change_interrupt_enable(bool enable) {
  require_supervisor();
  if (in().rd != 0) read_sstatus();
  const Mem sstatus = hart_field(offsetof(riscv::Hart, sstatus));
  constexpr auto kSie = static_cast<int32_t>(riscv::kStatusSie);
  if (enable) {
    a_->alu_imm(Alu::kOr, sstatus, kSie);
  } else {
    a_->alu_imm(Alu::kAnd, sstatus, ~kSie);
  }
  if (in().rd != 0) finish(Reg::kRdx);
  if (enable) leave_if_interrupted();
}

void BlockCompiler::leave_if_interrupted() {
  ColdExit& exit = cold_exit(ColdExit::To::kLeave, here_->next_offset(), steps_done());
  a_->alu_imm(Alu::kCmp, state(offsetof(RuntimeState, deliverable)), 0);
  a_->jcc(Cond::kNotEqual, exit.label);
}

// csrs and csrc of sstatus, as the kernel restores SIE and opens and closes user memory (SUM).
void BlockCompiler::change_status_by_register(bool set) {
  require_supervisor();
  ColdStatus& other = statuses_.emplace_back(ColdStatus{{}, {}, set, site()});
  read_into(Reg::kRcx, in().rs1);
  a_->test_sign_extended(Reg::kRcx, ~static_cast<int32_t>(riscv::kStatusSie));
  a_->jcc(Cond::kNotEqual, other.label);
  const Mem sstatus = hart_field(offsetof(riscv::Hart, sstatus));
  if (set) {
    a_->alu(Alu::kOr, sstatus, Reg::kRcx);
  } else {
    a_->mov(Reg::kRax, Reg::kRcx);
    a_->not_(Reg::kRax);
    a_->alu(Alu::kAnd, sstatus, Reg::kRax);
  }
  if (set) {
    a_->test(Reg::kRcx, Reg::kRcx);
    a_->jcc(Cond::kEqual, other.resume);
    leave_if_interrupted();
  }
  a_->bind(other.resume);
}

// In: rcx has the bits.
void BlockCompiler::emit_cold_status(ColdStatus& status) {
  a_->bind(status.label);
  x64::Label interpret;
  constexpr auto kSum = static_cast<int32_t>(riscv::kStatusSum);
  a_->alu_imm(Alu::kCmp, Reg::kRcx, kSum);
  a_->jcc(Cond::kNotEqual, interpret);
  const Mem sstatus = hart_field(offsetof(riscv::Hart, sstatus));
  if (status.set) {
    a_->alu_imm(Alu::kOr, sstatus, kSum);
    a_->mov(kBank, state(offsetof(RuntimeState, sum_bank)));
  } else {
    a_->alu_imm(Alu::kAnd, sstatus, ~kSum);
    a_->mov(kBank, state(offsetof(RuntimeState, supervisor_bank)));
  }
  a_->mov_l_imm(state(offsetof(RuntimeState, bank_changed)), 1);
  a_->jmp(status.resume);
  a_->bind(interpret);
  a_->mov_imm(Reg::kRcx, status.site);
  a_->call_to(setup_.routines.float_step);
  a_->trap();  // a write of sstatus never comes back
}

bool BlockCompiler::csr_inline() {
  using riscv::Csr;
  const auto number = static_cast<Csr>(in().immediate);
  const Opcode opcode = in().opcode;
  const bool immediate_form =
      opcode == Opcode::kCsrrwi || opcode == Opcode::kCsrrsi || opcode == Opcode::kCsrrci;
  const bool replaces = opcode == Opcode::kCsrrw || opcode == Opcode::kCsrrwi;
  const bool reads_only = !replaces && in().rs1 == 0;
  if (number == Csr::kSstatus) {
    if (reads_only) {
      require_supervisor();
      read_sstatus();
      finish(Reg::kRdx);
      return true;
    }
    // The exit would need a place in the next page otherwise.
    if (replaces || here_->next_offset() >= kPageSize) return false;
    if (!immediate_form) {
      // With rd, SUM is the interpreter's.
      if (in().rd != 0) return false;
      change_status_by_register(opcode == Opcode::kCsrrs);
      return true;
    }
    if (in().rs1 != riscv::kStatusSie) return false;
    change_interrupt_enable(opcode == Opcode::kCsrrsi);
    return true;
  }
  size_t offset = 0;
  switch (number) {
    case Csr::kSscratch:
      offset = offsetof(riscv::Hart, sscratch);
      break;
    case Csr::kSepc:
      offset = offsetof(riscv::Hart, sepc);
      break;
    case Csr::kScause:
      offset = offsetof(riscv::Hart, scause);
      break;
    case Csr::kStval:
      offset = offsetof(riscv::Hart, stval);
      break;
    case Csr::kSatp:
      if (!reads_only) return false;
      offset = offsetof(riscv::Hart, satp);
      break;
    default:
      return false;
  }
  if (!reads_only && !(replaces && !immediate_form)) return false;
  require_supervisor();
  const Mem place = hart_field(offset);
  if (reads_only) {
    a_->mov(Reg::kRax, place);
    finish(Reg::kRax);
    return true;
  }
  read_into(Reg::kRcx, in().rs1);
  if (number == Csr::kSepc) a_->alu_imm(Alu::kAnd, Reg::kRcx, -2);
  if (in().rd != 0) a_->mov(Reg::kRax, place);
  a_->mov(place, Reg::kRcx);
  if (in().rd != 0) finish(Reg::kRax);
  return true;
}

bool BlockCompiler::compile_system() {
  switch (in().opcode) {
    case Opcode::kEbreak:
    case Opcode::kSret:
    case Opcode::kIllegal:
      step_by_interpreter();
      a_->trap();
      ended_ = true;
      return true;
    case Opcode::kEcall:
    case Opcode::kWfi:
      step_by_interpreter(true);
      a_->trap();
      ended_ = true;
      return true;
    case Opcode::kSfenceVma:
      require_supervisor();  // the TLB is coherent
      return true;
    case Opcode::kCsrrw:
    case Opcode::kCsrrs:
    case Opcode::kCsrrc:
    case Opcode::kCsrrwi:
    case Opcode::kCsrrsi:
    case Opcode::kCsrrci:
      if (!csr_inline()) csr_by_interpreter();
      return true;
    default:
      return false;
  }
}

}  // namespace lockstep::jit
