// Operands at which implementations of arithmetic differ: where formats end, where rounding and
// conversions turn, every kind of NaN, and plain random numbers between them.
//
// Owner: none (pure functions of the random source).
#pragma once

#include <array>
#include <cstdint>

#include "tests/oracle/random.h"

namespace lockstep::oracle {

uint64_t random_integer(Random& random);
// IEEE 754 binary32 and binary64 bit patterns.
uint32_t random_single(Random& random);
uint64_t random_double(Random& random);
// A floating-point register: a double, a NaN-boxed single, or a single whose box is broken.
uint64_t random_fp_register(Random& random);

// Operands that belong together: specials of all kinds met in one operation, sums that cancel
// wholly or all but the last place, products at the ends of the range.
std::array<uint32_t, 3> random_single_triple(Random& random);
std::array<uint64_t, 3> random_double_triple(Random& random);

}  // namespace lockstep::oracle
