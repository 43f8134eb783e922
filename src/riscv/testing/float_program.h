// Directed floating-point guests for one engine against another: each floating-point instruction
// with each rounding mode, legal and reserved, and with floating point off, over tables of corner
// operands; and loops of random floating-point instructions mixed with integer code, accesses of
// fcsr, loads and stores. Timer interrupts, software interrupts and exceptions come in between, and
// their handler looks at fcsr and sstatus.
//
// The guest is bare, in S-mode; it ends by spinning at one place. What is off in an engine shows in
// its registers at once, and in memory at the end.
//
// Deterministic from the index. Owner: the test.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/types.h"

namespace lockstep::riscv::testing {

inline constexpr uint64_t kFloatProgramSize = 21 * 4096;

// Programs 0 to float_programs() - 1 have each case once. Later indices are the same cases again on
// other operands and with other random code.
uint64_t float_programs();

// An image to be put at `load`, a multiple of the page size, and to be entered at its start. Each
// of `passes`, at least 1, runs all of it again; every loop in it goes round hundreds of times.
Bytes float_program(uint64_t index, GuestAddress load, uint64_t passes);
// The guest has ended when it spins here.
GuestAddress float_program_end(GuestAddress load);

// The part of the image that holds instructions.
ByteView float_program_code(const Bytes& image);

}  // namespace lockstep::riscv::testing
