// The translator: RV64GC (and the extensions of riscv/isa.h) to x86-64, behind the same run_until()
// as the interpreter.
//
// Cold code is interpreted. What was reached kHotThreshold times becomes a superblock. Neither
// which of the two runs, nor when anything is translated, evicted or flushed, can be seen by the
// guest: every register, flag and byte is at each step what the interpreter gives.
//
// Coherence: a superblock is found by the physical page that holds its bytes, through the fetch
// part of the TLB, which is itself coherent (riscv/mmu.h). A store to a page with translated code
// takes the slow path and drops what it touches before it takes effect. So fences do nothing.
//
// Owner: the vCPU thread.
#pragma once

#include <cstdint>
#include <memory>

#include "base/error.h"
#include "jit/host_features.h"
#include "riscv/engine.h"

namespace lockstep::jit {

struct Options {
  HostFeatures features = HostFeatures::probe();
  // How often a place is reached before it is translated; 1 translates at once.
  uint32_t hot_threshold = 16;
  // Space for translated code; what does not fit is given up oldest first.
  size_t code_cache_bytes = size_t{48} << 20;
};

inline constexpr size_t kMinCodeCacheBytes = size_t{1} << 20;
inline constexpr uint32_t kMaxHotThreshold = 255;

// kSystem when memory for code cannot be had.
Result<std::unique_ptr<riscv::Engine>> make_translator(const Options& options, riscv::Hart& hart,
                                                       riscv::PhysicalMemory& memory,
                                                       riscv::Bus& bus,
                                                       riscv::EnvironmentCalls& environment);

// For tests: a failure is a CHECK.
riscv::EngineFactory translator_factory(const Options& options = {});

}  // namespace lockstep::jit
