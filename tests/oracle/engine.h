// The engine under test: a hart in user mode, with no more around it than it needs.
//
// Owner: one thread at a time.
#pragma once

#include <cstdint>

#include "riscv/interpreter/interpreter.h"
#include "tests/oracle/runner.h"

namespace lockstep::oracle {

// What the guest must not notice, chosen by a seed: how far each run_until() goes, when everything
// derived is dropped, and whether memory is translated, page by page, to shuffled places.
enum class Translation : uint8_t { kBare, kSv39 };
struct EngineVariant {
  Translation translation = Translation::kBare;
  bool chopped = false;  // runs of a few steps, with flushes between them
  uint64_t seed = 0;
};

EngineVariant variant_of(uint64_t seed);

// A program that traps, waits or does not end gives an error that names the place and the cause.
Runner engine_runner(const EngineVariant& variant,
                     riscv::EngineFactory make_engine = riscv::make_interpreter);

}  // namespace lockstep::oracle
