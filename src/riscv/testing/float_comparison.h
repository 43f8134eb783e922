// One engine against another on the directed floating-point programs.
//
// Owner: the test.
#pragma once

#include <cstdint>
#include <string>

#include "riscv/engine.h"

namespace lockstep::riscv::testing {

struct FloatComparison {
  uint64_t program = 0;  // of float_program()
  uint64_t passes = 1;
  // The engines run in pieces of 1 to this many steps, the same for both, and all of the hart and
  // of RAM is compared after each.
  uint64_t longest_piece = 2000;
};

// Empty, or what differs first, expected value first, and between which steps. A guest that does
// not end is a difference.
std::string compare_on_floats(const FloatComparison& comparison, const EngineFactory& expected,
                              const EngineFactory& tested);

}  // namespace lockstep::riscv::testing
