// The directed floating-point programs against the oracle: each floating-point instruction of the
// table with each legal rounding mode, over corner operands in every combination, and loops of
// random floating-point code with flags left pending, compared result by result.
//
// Reserved rounding modes are not among them: they end a user program by a signal.
//
// Owner: one thread at a time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "riscv/testing/float_loop.h"
#include "tests/oracle/runner.h"

namespace lockstep::oracle {

// Bounded: as many of the operands as fit a test of seconds, chosen by `seed`. Whole: all corners
// in all combinations, and random operands by `seed`.
enum class MatrixSize : uint8_t { kBounded, kWhole };

// What one program computes: each case on each tuple, or one sequence.
struct FloatJob {
  std::vector<riscv::testing::FloatCase> cases;
  std::vector<riscv::testing::OperandTuple> tuples;
  uint64_t sequence_seed = 0;  // without cases; the tuples are singles, then as many doubles
};
std::vector<FloatJob> float_jobs(MatrixSize size, uint64_t seed);

Program build_float_program(const FloatJob& job);

struct FloatTotals {
  uint64_t programs = 0;
  uint64_t results = 0;  // each with its flags; an iteration of a sequence is one
  uint64_t differences = 0;
  std::vector<std::string> reports;  // of each case the first; at most kMaximumFloatReports
};
inline constexpr size_t kMaximumFloatReports = 20;

// That one side cannot be run, or that the engine traps, is an error.
Status compare_float_job(const FloatJob& job, const Runner& oracle, const Runner& engine,
                         FloatTotals& totals);

}  // namespace lockstep::oracle
