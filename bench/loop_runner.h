// Runs a benchmark loop on the bare engine: a hart, RAM, and nothing else.
//
// Owner: the main thread.
#pragma once

#include <cstdint>

#include "base/error.h"
#include "loops.h"
#include "riscv/engine.h"

namespace lockstep::bench {

struct LoopRun {
  uint64_t steps = 0;
  double seconds = 0;  // of the host
  uint64_t result = 0;
};

// From fresh RAM, a cold TLB and no decoded code. kInvalid when the program does not end within
// kMaxLoopSteps or takes a trap.
inline constexpr uint64_t kMaxLoopSteps = uint64_t{1} << 40;
Result<LoopRun> run_loop(const Loop& loop, const riscv::EngineFactory& make_engine);

}  // namespace lockstep::bench
