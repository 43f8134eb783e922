// Branches, jumps, fences, and what only the interpreter does.
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

void BlockCompiler::jump_in_page(uint32_t offset) {
  a_->mov_imm(Reg::kRax, offset);
  a_->mov_l(Reg::kRcx, x64::at_absolute(words_ + offset / 2 * 4));
  a_->jmp(Reg::kRcx);
}

void BlockCompiler::jump_relative(int64_t target) {
  if (target >= 0 && target < static_cast<int64_t>(kPageSize)) {
    jump_in_page(static_cast<uint32_t>(target));
    return;
  }
  a_->mov(Reg::kRax, state(offsetof(RuntimeState, page_va)));
  a_->alu_imm(Alu::kAdd, Reg::kRax, static_cast<int32_t>(target));
  emit_jump(*a_, setup_.state, setup_.routines.jump_slowly);
}

// Behind the last instruction, or to the interpreter for one that reaches into the next page.
void BlockCompiler::go_on_behind() {
  ended_ = true;
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
  const bool last = steps_after() == 0;
  if (last && here_->target() == run_->instructions[0].offset) {
    a_->jcc_to(condition, entry_address_);
    return;
  }
  ColdExit& taken = cold_exit(ColdExit::To::kPage, here_->target(), steps_after());
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
      const bool followed = steps_after() != 0;
      if (followed) return true;
      ended_ = true;
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
    case Opcode::kCsrrw:
    case Opcode::kCsrrs:
    case Opcode::kCsrrc:
    case Opcode::kCsrrwi:
    case Opcode::kCsrrsi:
    case Opcode::kCsrrci: {
      const auto number = static_cast<riscv::Csr>(in().immediate);
      switch (number) {
        case riscv::Csr::kSie:
        case riscv::Csr::kSip:
        case riscv::Csr::kStimecmp:
          step_by_interpreter(true);
          return true;
        case riscv::Csr::kFflags:
        case riscv::Csr::kFrm:
        case riscv::Csr::kFcsr:
        case riscv::Csr::kSstatus:
          float_checked_ = false;
          float_step();
          return true;
        default:
          step_by_interpreter();
          return true;
      }
    }
    default:
      return false;
  }
}

}  // namespace lockstep::jit
