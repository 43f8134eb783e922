#include "jit/block_compiler.h"

#include "base/check.h"

namespace lockstep::jit {
namespace {

constexpr size_t kColdPerInstruction = 4;
constexpr uint64_t kNan64 = 0x7ff8000000000000;
constexpr uint64_t kBoxedNan32 = 0xffffffff7fc00000;

}  // namespace

BlockCompiler::BlockCompiler(const CompilerSetup& setup) : setup_(setup) {
  exits_.reserve(kColdPerInstruction * kMaxInstructions);
  accesses_.reserve(kColdPerInstruction * kMaxInstructions);
  steps_.reserve(kColdPerInstruction * kMaxInstructions);
  nans_.reserve(kColdPerInstruction * kMaxInstructions);
  statuses_.reserve(kMaxInstructions);
  link_labels_.reserve(kMaxInstructions + 1);
  links_.reserve(kMaxInstructions + 1);
}

void BlockCompiler::compile(x64::Assembler& assembler, const InstructionRun& run,
                            const Target& target) {
  a_ = &assembler;
  run_ = &run;
  use_windows_ = target.use_windows;
  window_.reset();
  segment_start_ = 0;
  float_checked_ = false;
  checked_mode_.reset();
  supervisor_checked_ = false;
  ended_ = false;
  exits_.clear();
  accesses_.clear();
  steps_.clear();
  nans_.clear();
  statuses_.clear();
  link_labels_.clear();
  links_.clear();

  a_->alu_imm(Alu::kCmp, kBudget, static_cast<int32_t>(run.size));
  ColdExit& budget = cold_exit(ColdExit::To::kOverBudget, run.instructions[0].offset, 0);
  a_->jcc(Cond::kBelow, budget.label);
  if (run.straddles()) require_next_page(target.next_page);
  for (index_ = 0; index_ < run.size; ++index_) {
    here_ = &run.instructions[index_];
    if (!compile_pair()) compile_one();
  }
  if (!ended_) go_on_behind();
  emit_cold();
}

// That the instruction's second half still comes from where it was decoded.
void BlockCompiler::require_next_page(uint64_t next_page) {
  const PlacedInstruction& only = run_->instructions[0];
  ColdExit& exit = cold_exit(ColdExit::To::kStep, only.offset, 0);
  a_->mov(Reg::kRax, state(offsetof(RuntimeState, page_va)));
  a_->alu_imm(Alu::kAdd, Reg::kRax, riscv::kPageSize);
  find_fetch_entry(*a_);
  a_->alu(Alu::kCmp, Reg::kRax, fetch_entry(offsetof(riscv::FetchEntry, tag)));
  a_->jcc(Cond::kNotEqual, exit.label);
  a_->mov_imm(Reg::kRax, next_page);
  a_->alu(Alu::kCmp, Reg::kRax, fetch_entry(offsetof(riscv::FetchEntry, physical_page)));
  a_->jcc(Cond::kNotEqual, exit.label);
}

void BlockCompiler::compile_one() {
  if (compile_integer() || compile_word() || compile_memory() || compile_control() ||
      compile_multiply() || compile_bits() || compile_system() || compile_atomic() ||
      compile_float()) {
    return;
  }
  step_by_interpreter();
}

// --- Guest registers

namespace {

constexpr std::array<int8_t, 32> make_host_of() {
  std::array<int8_t, 32> hosts{};
  hosts.fill(-1);
  for (const Pinned& pinned : kPinned) hosts[pinned.guest] = static_cast<int8_t>(pinned.host);
  return hosts;
}
constexpr std::array<int8_t, 32> kHostOf = make_host_of();

}  // namespace

bool BlockCompiler::is_pinned(unsigned guest) {
  return kHostOf[guest] >= 0;
}

x64::Reg BlockCompiler::host_of(unsigned guest) {
  return static_cast<Reg>(kHostOf[guest]);
}

x64::Reg BlockCompiler::read(unsigned guest, Reg scratch) {
  if (is_pinned(guest)) return host_of(guest);
  read_into(scratch, guest);
  return scratch;
}

void BlockCompiler::read_into(Reg to, unsigned guest) {
  if (guest == 0) {
    a_->zero(to);
  } else if (!is_pinned(guest)) {
    a_->mov(to, x_place(guest));
  } else if (host_of(guest) != to) {
    a_->mov(to, host_of(guest));
  }
}

void BlockCompiler::read_low_into(Reg to, unsigned guest) {
  if (guest == 0) {
    a_->zero(to);
  } else if (is_pinned(guest)) {
    a_->mov_l(to, host_of(guest));
  } else {
    a_->mov_l(to, x_place(guest));
  }
}

x64::Reg BlockCompiler::target() const {
  return is_pinned(in().rd) ? host_of(in().rd) : Reg::kRax;
}

void BlockCompiler::finish(Reg from) {
  if (in().rd == 0) return;
  if (!is_pinned(in().rd)) {
    a_->mov(x_place(in().rd), from);
  } else if (host_of(in().rd) != from) {
    a_->mov(host_of(in().rd), from);
  }
}

void BlockCompiler::finish_word(Reg from) {
  if (in().rd == 0) return;
  if (is_pinned(in().rd)) {
    a_->movsxd(host_of(in().rd), from);
  } else {
    a_->movsxd(from, from);
    a_->mov(x_place(in().rd), from);
  }
}

void BlockCompiler::alu_guest(Alu operation, Reg to, unsigned guest) {
  if (guest == 0) {
    a_->alu_imm(operation, to, 0);
  } else if (is_pinned(guest)) {
    a_->alu(operation, to, host_of(guest));
  } else {
    a_->alu(operation, to, x_place(guest));
  }
}

void BlockCompiler::alu_guest_low(Alu operation, Reg to, unsigned guest) {
  if (guest == 0) {
    a_->alu_l_imm(operation, to, 0);
  } else if (is_pinned(guest)) {
    a_->alu_l(operation, to, host_of(guest));
  } else {
    a_->alu_l(operation, to, x_place(guest));
  }
}

// --- What seldom runs

BlockCompiler::ColdExit& BlockCompiler::cold_exit(ColdExit::To to, int64_t target, unsigned steps) {
  CHECK(exits_.size() < exits_.capacity());
  return exits_.emplace_back(ColdExit{{}, to, target, steps});
}

BlockCompiler::ColdAccess& BlockCompiler::cold_access(ColdAccess::Data data, uint32_t routine,
                                                      uint8_t reg) {
  CHECK(accesses_.size() < accesses_.capacity());
  return accesses_.emplace_back(
      ColdAccess{{}, {}, routine, site(), data, reg, {}, here_->next_offset(), steps_done()});
}

BlockCompiler::ColdStep& BlockCompiler::cold_step(uint32_t routine) {
  CHECK(steps_.size() < steps_.capacity());
  return steps_.emplace_back(ColdStep{{}, {}, routine, site()});
}

void BlockCompiler::emit_cold_exit(ColdExit& exit) {
  a_->bind(exit.label);
  if (exit.steps != 0) a_->alu_imm(Alu::kSub, kBudget, static_cast<int32_t>(exit.steps));
  if (exit.to == ColdExit::To::kPage) {
    jump_relative(exit.target);
    return;
  }
  if (exit.to == ColdExit::To::kWindow) {
    a_->mov_imm(Reg::kRax,
                WindowMiss::make(static_cast<uint32_t>(exit.target), run_->instructions[0].offset));
    return a_->jmp_to(setup_.routines.exit_window);
  }
  a_->mov_imm(Reg::kRax, static_cast<uint64_t>(exit.target));
  a_->jmp_to(exit.to == ColdExit::To::kOverBudget ? setup_.routines.exit_budget
             : exit.to == ColdExit::To::kLeave    ? setup_.routines.exit_leave
                                                  : setup_.routines.exit_step);
}

void BlockCompiler::emit_cold_access(ColdAccess& access) {
  a_->bind(access.label);
  const bool stores =
      access.data == ColdAccess::Data::kFromInteger || access.data == ColdAccess::Data::kFromFloat;
  a_->alu(Alu::kXor, Reg::kRax, data_entry(stores, offsetof(riscv::DataEntry, tag)));
  if (access.data == ColdAccess::Data::kFromInteger) read_into(Reg::kRdx, access.reg);
  if (access.data == ColdAccess::Data::kFromFloat) a_->mov(Reg::kRdx, f_place(access.reg));
  a_->mov_imm(Reg::kRcx, access.site);
  a_->call_to(access.routine);
  // Moves keep ZF.
  if (access.data == ColdAccess::Data::kToFloat) a_->mov(f_place(access.reg), Reg::kRax);
  if (access.data == ColdAccess::Data::kToInteger && access.reg != 0) {
    if (is_pinned(access.reg)) {
      a_->mov(host_of(access.reg), Reg::kRax);
    } else {
      a_->mov(x_place(access.reg), Reg::kRax);
    }
  }
  a_->jcc_to(Cond::kEqual, setup_.routines.exit_at_hart);
  if (access.window) {
    open_window(*access.window, cold_exit(ColdExit::To::kStep, access.next_offset, access.steps));
  }
  a_->jmp(access.resume);
}

void BlockCompiler::emit_cold() {
  a_->begin_cold();
  for (ColdAccess& access : accesses_) {
    if (access.label.used()) emit_cold_access(access);
  }
  for (ColdStatus& status : statuses_) emit_cold_status(status);
  for (ColdExit& exit : exits_) emit_cold_exit(exit);
  for (ColdStep& step : steps_) {
    a_->bind(step.label);
    a_->mov_imm(Reg::kRcx, step.site);
    a_->call_to(step.routine);
    a_->jmp(step.resume);
  }
  for (size_t i = 0; i < links_.size(); ++i) {
    links_[i].stub = a_->here();
    a_->bind(link_labels_[i]);
    a_->mov_imm(Reg::kRax, links_[i].target);
    a_->jmp_to(setup_.routines.not_translated);
  }
  for (ColdNan& nan : nans_) {
    a_->bind(nan.label);
    a_->mov_imm(Reg::kRax, nan.wide ? kNan64 : kBoxedNan32);
    a_->mov(f_place(nan.reg), Reg::kRax);
    a_->jmp(nan.resume);
  }
}

}  // namespace lockstep::jit
