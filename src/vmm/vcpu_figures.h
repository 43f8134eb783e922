// How far a vCPU is and what it has done: what the status shows of it.
// Owner: none (values).
#pragma once

#include <cstdint>

#include "log/statistics.h"
#include "machine/engine_choice.h"

namespace lockstep::vmm {

struct VcpuFigures {
  uint64_t steps = 0;
  uint64_t guest_ticks = 0;
  uint64_t run_ns = 0;  // host time spent inside the machine
  log::LogStatistics log;
  machine::EngineReport engine;
};

}  // namespace lockstep::vmm
