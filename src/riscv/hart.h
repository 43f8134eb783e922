// The architectural state of one hart: what the RISC-V specifications define, and nothing else.
//
// Invariants
//   1. x[0] is 0. x[kSinkRegister] takes what is written to register 0; it is not state.
//   2. step counts every retired instruction and every trap taken; traps counts the latter, so that
//      instret = step - traps.
//   3. waiting: a WFI has retired and no enabled interrupt is pending; no step passes until one is.
//
// The guest never sees M-mode: the VMM is the SBI implementation, and every trap goes to S-mode.
// The order of events at a step boundary: log entries, then an interrupt if one can be taken, then
// the instruction.
//
// Owner: the vCPU thread. Source: RISC-V unprivileged and privileged specifications.
#pragma once

#include <cstdint>

#include "base/state_visitor.h"
#include "base/types.h"
#include "riscv/csr_numbers.h"
#include "riscv/guest_time.h"
#include "riscv/isa.h"

namespace lockstep::riscv {

inline constexpr uint8_t kSinkRegister = 32;

struct Hart {
  uint64_t x[33] = {};
  uint64_t f[32] = {};  // singles are NaN-boxed
  uint64_t pc = 0;
  // Fixed by the board before the first step, so it is no state.
  IsaExtensions isa = kAllExtensions;
  Step step;
  uint64_t traps = 0;
  GuestTime time;

  Privilege privilege = Privilege::kSupervisor;
  bool waiting = false;
  bool external_interrupt = false;  // the level of the wire from the interrupt controller
  bool software_interrupt = false;

  uint64_t sstatus = kStatusUxl64;  // SD is derived from FS
  uint64_t sie = 0;
  uint64_t stvec = 0;
  uint64_t scounteren = 0;
  uint64_t senvcfg = 0;
  uint64_t sscratch = 0;
  uint64_t sepc = 0;
  uint64_t scause = 0;
  uint64_t stval = 0;
  GuestTicks stimecmp{~uint64_t{0}};
  uint64_t satp = 0;
  uint8_t fflags = 0;
  uint8_t frm = 0;

  // LR/SC: the reservation is an address and the value that stood there. It goes with SC and with
  // every trap; SC succeeds only while the value still stands.
  bool reserved = false;
  GuestAddress reserved_address;
  uint64_t reserved_value = 0;

  bool timer_interrupt() const { return time.at(step) >= stimecmp; }
  // sip at the current step.
  uint64_t pending() const {
    return (external_interrupt ? kExternalInterrupt : 0) |
           (software_interrupt ? kSoftwareInterrupt : 0) |
           (timer_interrupt() ? kTimerInterrupt : 0);
  }
  bool interrupts_enabled() const {
    return privilege == Privilege::kUser || (sstatus & kStatusSie) != 0;
  }
  // menvcfg.CBZE is 1: the VMM is M-mode.
  bool may_zero_blocks() const {
    return privilege == Privilege::kSupervisor || (senvcfg & kEnvironmentCbze) != 0;
  }
  // The step at which the timer changes sip by itself, if that is before `target`, else `target`:
  // run no further without looking.
  Step timer_limit(Step target) const {
    if (timer_interrupt() || !time.has_reached(stimecmp, target)) return target;
    return time.first_step_at(stimecmp);
  }

  // Enters the trap handler and counts the trap; the engine counts the step.
  void take_trap(Cause cause, uint64_t trap_value);
  // Takes the interrupt of highest priority, if one can be taken: true, and this counts the step.
  bool take_interrupt();
  // Ends the wait when an enabled interrupt is pending.
  void wake_if_pending() {
    if (waiting && (pending() & sie) != 0) waiting = false;
  }

  void visit_state(StateVisitor& visitor);

 private:
  void enter_handler(uint64_t cause, uint64_t trap_value, uint64_t handler);
};

// Reads and writes of CSRs. False: there is no such register here, or the privilege does not
// suffice: an illegal instruction. `step` in the hart is that of the instruction.
bool read_csr(const Hart& hart, uint16_t number, uint64_t& value);
bool write_csr(Hart& hart, uint16_t number, uint64_t value);

}  // namespace lockstep::riscv
