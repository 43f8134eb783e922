// What translated code and the translator share, at fixed addresses below 2 GiB, and how host
// registers are used.
//
// While translated code runs:
//   rbp   &hart.x[16], so that a byte of displacement reaches every register of the guest
//   r14   the TLB bank that serves accesses
//   r15   the steps left when the segment began: the instructions behind the last conditional
//   branch rsp   aligned to 16 pinned guest registers: see kPinned; the others, and all f
//   registers, stand in the hart rax, rcx, rdx and the xmm registers: free MXCSR the guest's:
//   rounding mode, and the flags raised since the entry
//
// Owner: the vCPU thread. Internal to jit.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "jit/x64/assembler.h"
#include "riscv/hart.h"
#include "riscv/tlb.h"

namespace lockstep::jit {

class Translator;

enum class ExitReason : uint32_t {
  kCold,    // nothing is translated at hart.pc
  kBudget,  // fewer steps are left than the superblock at hart.pc has
  kStep,    // the interpreter must take the step at hart.pc
  kWindow,  // the same, since a window's probe failed: state.site is a WindowMiss
  kLeave,   // interrupts, stops or the timer must be looked at
};

struct RuntimeState {
  uint64_t page_va = 0;      // virtual address of the page that the running code lies in
  uint64_t deliverable = 0;  // pending interrupts that sie enables; constant while code runs
  uint64_t left = 0;         // the steps left, when code was left
  const riscv::TlbBank* bank = nullptr;
  // The banks of S-mode without and with SUM; while code runs in S-mode.
  const riscv::TlbBank* supervisor_bank = nullptr;
  const riscv::TlbBank* sum_bank = nullptr;
  Translator* translator = nullptr;
  uint64_t target_pc = 0;  // of a jump whose page was not in the TLB
  uint32_t site = 0;
  ExitReason exit_reason = ExitReason::kCold;
  uint32_t guest_mxcsr = 0;
  uint32_t host_mxcsr = 0;
  // FS is Dirty, and frm is a mode that MXCSR has: floating point may run inline.
  uint32_t fp_ready = 0;
  uint32_t bank_changed = 0;  // inline: the Mmu is to select its bank before it is used
};

// Names an instruction of a superblock in one word: where in its page it lies, and how many steps
// of its segment are done with it.
struct Site {
  static constexpr unsigned kLongShift = 12;
  static constexpr unsigned kLeaveShift = 13;
  static constexpr unsigned kDoneShift = 16;

  static constexpr uint32_t make(uint32_t offset, unsigned length, unsigned steps_done,
                                 bool leave_from_supervisor = false) {
    return offset | (length == 4 ? 1u << kLongShift : 0) |
           (leave_from_supervisor ? 1u << kLeaveShift : 0) | steps_done << kDoneShift;
  }
  static constexpr uint64_t offset(uint32_t site) { return site & 0xfff; }
  static constexpr uint64_t length(uint32_t site) { return (site >> kLongShift & 1) != 0 ? 4 : 2; }
  static constexpr uint64_t steps_done(uint32_t site) { return site >> kDoneShift; }
  // Whether what it changes must be looked at before the next instruction.
  static constexpr bool leaves_from_supervisor(uint32_t site) {
    return (site >> kLeaveShift & 1) != 0;
  }
};

// Where a window's probe failed: the instruction, and the entry of its superblock, as offsets.
struct WindowMiss {
  static constexpr uint32_t make(uint32_t offset, uint32_t entry) { return offset | entry << 16; }
  static constexpr uint32_t entry(uint32_t miss) { return miss >> 16; }
};

inline constexpr x64::Reg kState = x64::Reg::kRbp;
inline constexpr x64::Reg kBank = x64::Reg::kR14;
inline constexpr x64::Reg kBudget = x64::Reg::kR15;

struct Pinned {
  uint8_t guest;
  x64::Reg host;
};
// sp, s0, s1 and a0 to a5: what compiled code uses most.
inline constexpr std::array<Pinned, 9> kPinned = {{{2, x64::Reg::kRbx},
                                                   {8, x64::Reg::kRsi},
                                                   {9, x64::Reg::kRdi},
                                                   {10, x64::Reg::kR8},
                                                   {11, x64::Reg::kR9},
                                                   {12, x64::Reg::kR10},
                                                   {13, x64::Reg::kR11},
                                                   {14, x64::Reg::kR12},
                                                   {15, x64::Reg::kR13}}};

inline constexpr int32_t kStateBias = offsetof(riscv::Hart, x) + 16 * sizeof(uint64_t);

// Places in the hart, as translated code names them.
constexpr x64::Mem hart_field(size_t offset) {
  return x64::at(kState, static_cast<int32_t>(offset) - kStateBias);
}
constexpr x64::Mem x_place(unsigned guest) {
  return hart_field(offsetof(riscv::Hart, x) + guest * sizeof(uint64_t));
}
constexpr x64::Mem f_place(unsigned guest) {
  return hart_field(offsetof(riscv::Hart, f) + guest * sizeof(uint64_t));
}

}  // namespace lockstep::jit
