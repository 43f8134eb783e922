// What executes a hart: the interpreter, or the translator (src/jit). Engines differ in speed only;
// which one runs, and what it has cached, is invisible to the guest.
//
// run_until(target) executes one step after the other and returns when
//   - hart.step == target, or
//   - the hart waits (hart.waiting), or
//   - request_stop() was called by something that the last instruction reached.
// It stops exactly: entries of the log at `target` are applied before the instruction at `target`.
// Everything that an engine derives (translations of addresses, of code) may be dropped at any time
// between runs.
//
// Owner: the vCPU thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/types.h"
#include "riscv/bus.h"
#include "riscv/environment.h"
#include "riscv/hart.h"
#include "riscv/mmu.h"
#include "riscv/physical_memory.h"

namespace lockstep::riscv {

class Engine {
 public:
  Engine() = default;
  virtual ~Engine() = default;
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  virtual void run_until(Step target) = 0;
  // Ends run_until() after the instruction that runs now.
  virtual void request_stop() = 0;
  // Drops everything that is derived: TLB, predecoded and translated code.
  virtual void flush() = 0;
  // After take_dirty_pages(): makes the next write to each page visible again.
  virtual void watch_writes_again() = 0;
  virtual const MmuStatistics& mmu_statistics() const = 0;
};

// Makes an engine, which becomes the memory's write observer. What it is given outlives it.
using EngineFactory = std::function<std::unique_ptr<Engine>(
    Hart& hart, PhysicalMemory& memory, Bus& bus, EnvironmentCalls& environment)>;

}  // namespace lockstep::riscv
