#include "riscv/hart.h"

namespace lockstep::riscv {

void Hart::enter_handler(uint64_t cause, uint64_t trap_value, uint64_t handler) {
  scause = cause;
  sepc = pc;
  stval = trap_value;
  const bool interrupts = (sstatus & kStatusSie) != 0;
  sstatus &= ~(kStatusSie | kStatusSpie | kStatusSpp);
  if (interrupts) sstatus |= kStatusSpie;
  if (privilege == Privilege::kSupervisor) sstatus |= kStatusSpp;
  privilege = Privilege::kSupervisor;
  reserved = false;
  waiting = false;
  pc = handler;
  ++traps;
}

void Hart::take_trap(Cause cause, uint64_t trap_value) {
  enter_handler(static_cast<uint64_t>(cause), trap_value, stvec & ~uint64_t{3});
}

bool Hart::take_interrupt() {
  const uint64_t ready = pending() & sie;
  if (ready == 0 || !interrupts_enabled()) return false;
  // Privileged specification, "Supervisor Interrupt Registers": external, software, timer.
  const uint64_t number = (ready & kExternalInterrupt) != 0   ? 9
                          : (ready & kSoftwareInterrupt) != 0 ? 1
                                                              : 5;
  const uint64_t base = stvec & ~uint64_t{3};
  const bool vectored = (stvec & 3) == 1;
  enter_handler(kCauseInterrupt | number, 0, vectored ? base + 4 * number : base);
  ++step;
  return true;
}

void Hart::visit_state(StateVisitor& visitor) {
  visitor.enter("hart", 0);
  uint64_t registers[32];
  for (int i = 0; i < 32; ++i) registers[i] = x[i];
  visitor.field("x", registers);
  if (visitor.restoring()) {
    for (int i = 1; i < 32; ++i) x[i] = registers[i];
  }
  visitor.field("f", f);
  visitor.field("pc", pc);
  visitor.field("step", step);
  visitor.field("traps", traps);
  time.visit_state(visitor);
  visitor.field("privilege", privilege);
  visitor.field("waiting", waiting);
  visitor.field("external_interrupt", external_interrupt);
  visitor.field("software_interrupt", software_interrupt);
  visitor.field("sstatus", sstatus);
  visitor.field("sie", sie);
  visitor.field("stvec", stvec);
  visitor.field("scounteren", scounteren);
  visitor.field("senvcfg", senvcfg);
  visitor.field("sscratch", sscratch);
  visitor.field("sepc", sepc);
  visitor.field("scause", scause);
  visitor.field("stval", stval);
  visitor.field("stimecmp", stimecmp);
  visitor.field("satp", satp);
  visitor.field("fflags", fflags);
  visitor.field("frm", frm);
  visitor.field("reserved", reserved);
  visitor.field("reserved_address", reserved_address);
  visitor.field("reserved_value", reserved_value);
  visitor.leave();
}

}  // namespace lockstep::riscv
