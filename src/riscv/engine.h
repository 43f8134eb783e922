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

// Since the engine was made.
struct EngineStatistics {
  MmuStatistics mmu;
  // Of a translator; 0 in an interpreter.
  uint64_t superblocks = 0;
  uint64_t instructions = 0;  // translated
  uint64_t code_bytes = 0;    // emitted
  uint64_t invalidated = 0;   // superblocks, by stores to them
  uint64_t evicted = 0;       // superblocks, for want of space
  uint64_t interpreted_steps = 0;
  uint64_t data_misses = 0;   // accesses off the fast path
  uint64_t fetch_misses = 0;  // jumps to a page that was not in the TLB
  // Ways out of translated code.
  uint64_t cold_exits = 0;
  uint64_t budget_exits = 0;
  uint64_t step_exits = 0;
  uint64_t window_misses = 0;  // counted in step_exits, too
  uint64_t leave_exits = 0;
  uint64_t single_steps = 0;  // by the interpreter, without leaving
};

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
  virtual EngineStatistics statistics() const = 0;
};

// Makes an engine, which becomes the memory's write observer. What it is given outlives it.
using EngineFactory = std::function<std::unique_ptr<Engine>(
    Hart& hart, PhysicalMemory& memory, Bus& bus, EnvironmentCalls& environment)>;

}  // namespace lockstep::riscv
