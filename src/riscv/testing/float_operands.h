// Operands of the directed floating-point programs: every kind of number and the places where
// rounding, overflow, underflow and conversion turn, met in every combination, and random ones
// between them.
//
// A value is what a register holds: a single stands NaN-boxed in 64 bits, but for a few whose box
// is broken. Owner: none (pure functions; the seed decides).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "riscv/testing/float_cases.h"

namespace lockstep::riscv::testing {

using OperandTuple = std::array<uint64_t, 3>;

// The corners themselves; `count` is the number of operands that will be met with each other: more
// of them, fewer corners.
std::vector<uint64_t> operand_corners(OperandKind kind, size_t count);
// Each corner with each, in the first `count` places; the others hold one corner throughout. Of
// integers `count` is 1: no instruction takes more.
std::vector<OperandTuple> directed_tuples(OperandKind kind, size_t count);
// The kinds of number, of either sign, each with each: what no sample may miss.
std::vector<OperandTuple> class_tuples(OperandKind kind, size_t count);
// Operands that belong together: sums that cancel, products and quotients at the ends of the range.
std::vector<OperandTuple> random_tuples(OperandKind kind, size_t number, uint64_t seed);
// `number` of both: corners at random, for `count` operands, and random tuples.
std::vector<OperandTuple> mixed_tuples(OperandKind kind, size_t count, size_t number,
                                       uint64_t seed);

}  // namespace lockstep::riscv::testing
