// The interpreter: the engine for cold code, the oracle, and the exact stepper.
//
// run_until(target) executes one step after the other and returns when
//   - hart.step == target, or
//   - the hart waits (hart.waiting), or
//   - request_stop() was called by something that the last instruction reached.
// It stops exactly: entries of the log at `target` are applied before the instruction at `target`.
// Predecoded code and the TLB are invisible to the guest; flush() may be called at any time between
// runs.
//
// Owner: the vCPU thread.
#pragma once

#include <cstdint>
#include <memory>

#include "riscv/bus.h"
#include "riscv/environment.h"
#include "riscv/hart.h"
#include "riscv/mmu.h"
#include "riscv/physical_memory.h"

namespace lockstep::riscv {

namespace interpreter {
struct Context;
}

class Interpreter {
 public:
  // Becomes the memory's write observer. All outlive this.
  Interpreter(Hart& hart, PhysicalMemory& memory, Bus& bus, EnvironmentCalls& environment);
  ~Interpreter();

  void run_until(Step target);
  // Ends run_until() after the instruction that runs now.
  void request_stop();

  // Drops everything that is derived: TLB and predecoded code.
  void flush();
  // After take_dirty_pages(): makes the next write to each page visible again.
  void watch_writes_again();
  const MmuStatistics& mmu_statistics() const;

 private:
  std::unique_ptr<interpreter::Context> context_;
};

}  // namespace lockstep::riscv
