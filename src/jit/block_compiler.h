// Translates one superblock: one pass over its instructions, with what seldom runs put behind them.
//
// Exactness
//   1. Steps: a superblock is entered only when the budget holds all of it. What was run is taken
//      off segment by segment, before each branch and each way out.
//   2. Whatever can trap, or must be looked at, knows its place (Site); the hart then is as the
//      interpreter has it at that instruction.
//   3. What is not translated inline is one step of the interpreter (Routines::step).
//
// Windows: accesses that follow one another by the same base register share one probe of the TLB,
// which looks at the whole range that they reach. rdx then holds the host address of the range's
// start, as long as nothing in between needs rdx or runs code of the translator, which might change
// what the TLB says.
//
// Owner: the vCPU thread. Internal to jit.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "jit/host_features.h"
#include "jit/link.h"
#include "jit/routines.h"
#include "jit/superblock_former.h"
#include "jit/x64/assembler.h"
#include "riscv/tlb.h"

namespace lockstep::jit {

// What superblocks of one cache have in common.
struct CompilerSetup {
  HostFeatures features;
  Routines routines;
  uint32_t state = 0;                // address of the RuntimeState
  uint64_t physical_minus_host = 0;  // of any byte of RAM
};

class BlockCompiler {
 public:
  explicit BlockCompiler(const CompilerSetup& setup);

  // Emits the superblock; its entry is where the assembler stands. `next_page`: physical, where the
  // rest of an instruction lies that straddles.
  struct Target {
    uint64_t next_page = 0;
    bool use_windows = true;
  };
  void compile(x64::Assembler& assembler, const InstructionRun& run, const Target& target);
  // The jumps within the page that the last superblock has.
  std::span<const Link> links() const { return links_; }

 private:
  using Reg = x64::Reg;
  using Xmm = x64::Xmm;
  using Mem = x64::Mem;
  using Alu = x64::Alu;
  using Shift = x64::Shift;
  using Cond = x64::Cond;

  // A way out that is seldom taken.
  struct ColdExit {
    x64::Label label;
    enum class To : uint8_t { kPage, kOverBudget, kStep, kLeave, kWindow } to;
    int64_t target = 0;  // relative to the page
    unsigned steps = 0;  // of the segment, run before
  };
  // The range that accesses by `base` reach from instruction `first` to `last`.
  struct Window {
    uint8_t base = 0;
    bool for_store = false;
    int32_t low = 0;   // displacement of the start
    int32_t high = 0;  // and of the end
    size_t last = 0;
  };
  // An access that missed the TLB's fast path.
  struct ColdAccess {
    x64::Label label;
    x64::Label resume;
    uint32_t routine = 0;
    uint32_t site = 0;
    enum class Data : uint8_t { kToInteger, kToFloat, kFromInteger, kFromFloat } data;
    uint8_t reg = 0;
    // To be found again before going on.
    std::optional<Window> window;
    uint32_t next_offset = 0;
    unsigned steps = 0;  // of the segment, run with it
  };
  // An instruction that what was emitted for it does not settle: one step of the interpreter.
  struct ColdStep {
    x64::Label label;
    x64::Label resume;
    uint32_t routine = 0;
    uint32_t site = 0;
  };
  // A change of sstatus by a register that names other bits than SIE: SUM inline, the rest by the
  // interpreter.
  struct ColdStatus {
    x64::Label label;
    x64::Label resume;
    bool set = false;
    uint32_t site = 0;
  };
  struct ColdNan {
    x64::Label label;
    x64::Label resume;
    uint8_t reg = 0;
    bool wide = false;
  };

  // --- The place of the instruction at hand
  bool last() const { return index_ + 1 == run_->size; }
  // Of the segment: run before the instruction at hand, and with it.
  unsigned steps_before() const { return static_cast<unsigned>(index_ - segment_start_); }
  unsigned steps_done() const { return steps_before() + 1; }
  uint32_t site(bool leave = false) const {
    return Site::make(here_->offset, here_->instruction.length, steps_done(), leave);
  }
  Mem state(size_t offset) const { return state_field(setup_.state, offset); }
  const riscv::Instruction& in() const { return here_->instruction; }

  // --- Guest registers (block_compiler.cc)
  static bool is_pinned(unsigned guest);
  static Reg host_of(unsigned guest);
  Reg read(unsigned guest, Reg scratch);  // its value: in its own register, or put into scratch
  void read_into(Reg to, unsigned guest);
  void read_low_into(Reg to, unsigned guest);
  Reg target() const;          // where to compute the value of rd
  void finish(Reg from);       // rd = from, if it is not there already
  void finish_word(Reg from);  // rd = the low half of `from`, sign-extended
  void alu_guest(Alu operation, Reg to, unsigned guest);
  void alu_guest_low(Alu operation, Reg to, unsigned guest);

  // Each gives false for instructions that are not its own.
  bool compile_integer();  // compile_integer.cc
  bool compile_word();
  bool compile_multiply();
  bool compile_bits();    // compile_bits.cc
  bool compile_memory();  // compile_memory.cc
  bool compile_atomic();
  bool compile_control();  // compile_control.cc
  bool compile_system();
  bool compile_float();  // compile_float.cc
  bool compile_float_memory();
  bool compile_float_arithmetic();
  bool compile_float_moves();
  bool compile_float_conversions();

  void binary(Alu operation, bool commutative);
  void binary_word(Alu operation);
  void add_immediate();
  void add_immediate_word();
  void immediate(Alu operation);
  void set_if(Cond condition);
  void set_if_immediate(Cond condition);
  void shift(Shift operation, bool word);
  void shift_immediate(Shift operation, bool word);
  void multiply_high(bool left_signed, bool right_signed);
  void divide(bool is_signed, bool wants_remainder, bool word);
  void negated_operand(Alu operation, bool invert_result);
  void count_bits();
  void min_max(Cond keep_first);
  void add_shifted(unsigned amount, bool word_operand);
  void single_bit(void (x64::Assembler::*operation)(Reg, Reg), bool immediate_operand);
  void conditional_zero(Cond zero_when);

  void address_into_rax(unsigned base, int32_t displacement);
  // rax: guest address -> host address. Any alignment: what lies in one page is one access of the
  // host's.
  enum class Alignment : uint8_t { kAny, kNatural };
  void probe(unsigned size, bool for_store, Alignment alignment, x64::Label& miss);
  ColdAccess& cold_access(ColdAccess::Data data, uint32_t routine, uint8_t reg);
  // What an instruction reads or writes, when it is a load or a store.
  struct Access {
    uint8_t base = 0;
    int32_t displacement = 0;
    unsigned size = 0;
    bool for_store = false;
  };
  static std::optional<Access> access_of(const riscv::Instruction& instruction);
  static bool keeps_window(const riscv::Instruction& instruction);
  static bool writes(const riscv::Instruction& instruction, uint8_t guest);
  std::optional<Window> find_window() const;  // compile_window.cc
  void open_window(const Window& window, ColdExit& miss);
  // The place on the host of the access at hand: by a window, or by a probe that may go to `cold`.
  Mem place_of_access(bool for_store, unsigned size, ColdAccess& cold);
  void load(LoadKind kind);
  void store(unsigned size);
  void read_modify_write(unsigned size);
  void zero_block();
  void load_reserved(unsigned size);
  void store_conditional(unsigned size);
  void physical_into_rdx();  // of the host address in rax
  // csr = rd-and-write; gives false where the interpreter has to do it.
  bool csr_inline();
  void csr_by_interpreter();
  void require_supervisor();
  void read_sstatus();
  void change_interrupt_enable(bool enable);
  void change_status_by_register(bool set);
  void leave_if_interrupted();
  void emit_cold_status(ColdStatus& status);

  void branch(Cond condition);
  void write_link();
  void jump_relative(int64_t target);
  // Takes the segment's steps, the instruction at hand included, off the budget. Keeps the flags.
  void settle_steps();
  // A jump within the page, taken when `condition` holds, if there is one.
  void link(std::optional<Cond> condition, uint32_t offset);
  void go_on_behind();
  void step_by_interpreter(bool leave = false);
  void float_step();
  ColdStep& cold_step(uint32_t routine);
  ColdExit& cold_exit(ColdExit::To to, int64_t target, unsigned steps);

  void require_float();
  bool rounding_settled();
  void require_boxed(unsigned f, ColdStep& otherwise);
  void finish_float(Xmm from, bool wide);
  void finish_checked(Xmm from, bool wide);
  void float_binary(uint8_t opcode, bool wide);
  void float_square_root(bool wide);
  void float_fused(uint8_t opcode, bool wide);
  void float_compare(bool wide);
  void float_sign(bool wide);
  void float_to_integer(bool wide_float, bool wide_integer);
  void float_from_integer(bool wide_float, bool wide_integer, bool is_unsigned);

  void require_next_page(uint64_t next_page);
  void compile_one();
  // Two instructions that compilers write for one purpose, the first of which nobody reads after
  // the second; false when they are none. compile_pair.cc
  bool compile_pair();
  bool compile_upper_pair(const riscv::Instruction& second);
  bool compile_shift_pair(const riscv::Instruction& second);
  void write_page_relative(int64_t offset);
  void emit_cold();
  void emit_cold_exit(ColdExit& exit);
  void emit_cold_access(ColdAccess& access);

  const CompilerSetup setup_;
  x64::Assembler* a_ = nullptr;
  const InstructionRun* run_ = nullptr;
  size_t segment_start_ = 0;
  size_t index_ = 0;
  const PlacedInstruction* here_ = nullptr;
  bool use_windows_ = true;
  std::optional<Window> window_;
  bool float_checked_ = false;
  std::optional<uint8_t> checked_mode_;  // static, and known to be frm
  bool supervisor_checked_ = false;
  bool ended_ = false;
  // Bounded by a few for each instruction; never reallocated, since code under way refers to them.
  std::vector<ColdExit> exits_;
  std::vector<ColdAccess> accesses_;
  std::vector<ColdStep> steps_;
  std::vector<ColdNan> nans_;
  std::vector<ColdStatus> statuses_;
  std::vector<x64::Label> link_labels_;
  std::vector<Link> links_;  // in the order of link_labels_
};

}  // namespace lockstep::jit
