// Floating point of the guest: IEEE 754 binary32 and binary64 with RISC-V's rules, in integer
// arithmetic only.
//
// The interpreter is the product's oracle, so its results may depend on no host FPU, compiler
// option or library. Operands and results are bit patterns.
//
// Rules (IEEE 754-2019; RISC-V unprivileged ISA 20191213, chapter 11, "F" 2.2, cited as F; chapter
// 12, "D" 2.2, says the same of binary64)
//   1. A NaN result is the canonical NaN, 0x7fc00000 or 0x7ff8000000000000, whatever came in (F
//   §11.3).
//   2. Exceptions accumulate into `flags` as in fflags (|=); nothing is ever cleared.
//   3. Underflow is raised when the result is inexact and tiny *after* rounding (F §11.4).
//   4. A signalling NaN operand raises invalid; fma(inf, 0, NaN) does, too (F §11.6).
//   5. A conversion to an integer that does not fit saturates and raises invalid but not inexact;
//      a NaN counts as too large (F §11.7).
//
// NaN boxing, sign injection and the `dyn` rounding mode are the interpreter's.
//
// Owner: none (pure functions; `flags` is the caller's).
#pragma once

#include <cstdint>

namespace lockstep::riscv::softfloat {

// Encoded as in the rm field and in frm. The reserved encodings never come here: an instruction
// that uses one is illegal.
enum class RoundingMode : uint8_t {
  kRne = 0,  // to nearest, ties to even
  kRtz = 1,  // towards zero
  kRdn = 2,  // down
  kRup = 3,  // up
  kRmm = 4,  // to nearest, ties away from zero
};

// Bits of fflags.
enum Flag : uint8_t {
  kInexact = 1,
  kUnderflow = 2,
  kOverflow = 4,
  kDivideByZero = 8,
  kInvalid = 16,
};

// Arithmetic. fma is a × b + c, rounded once; its variants negate operands' signs before the call.
uint32_t add32(uint32_t a, uint32_t b, RoundingMode mode, uint8_t& flags);
uint32_t sub32(uint32_t a, uint32_t b, RoundingMode mode, uint8_t& flags);
uint32_t mul32(uint32_t a, uint32_t b, RoundingMode mode, uint8_t& flags);
uint32_t div32(uint32_t a, uint32_t b, RoundingMode mode, uint8_t& flags);
uint32_t sqrt32(uint32_t a, RoundingMode mode, uint8_t& flags);
uint32_t fma32(uint32_t a, uint32_t b, uint32_t c, RoundingMode mode, uint8_t& flags);

uint64_t add64(uint64_t a, uint64_t b, RoundingMode mode, uint8_t& flags);
uint64_t sub64(uint64_t a, uint64_t b, RoundingMode mode, uint8_t& flags);
uint64_t mul64(uint64_t a, uint64_t b, RoundingMode mode, uint8_t& flags);
uint64_t div64(uint64_t a, uint64_t b, RoundingMode mode, uint8_t& flags);
uint64_t sqrt64(uint64_t a, RoundingMode mode, uint8_t& flags);
uint64_t fma64(uint64_t a, uint64_t b, uint64_t c, RoundingMode mode, uint8_t& flags);

// FMIN and FMAX: minimumNumber and maximumNumber, with -0 below +0. One NaN gives the other
// operand.
uint32_t min32(uint32_t a, uint32_t b, uint8_t& flags);
uint32_t max32(uint32_t a, uint32_t b, uint8_t& flags);
uint64_t min64(uint64_t a, uint64_t b, uint8_t& flags);
uint64_t max64(uint64_t a, uint64_t b, uint8_t& flags);

// Comparisons; false when an operand is a NaN. eq raises invalid for a signalling NaN only, lt and
// le for any NaN.
bool eq32(uint32_t a, uint32_t b, uint8_t& flags);
bool lt32(uint32_t a, uint32_t b, uint8_t& flags);
bool le32(uint32_t a, uint32_t b, uint8_t& flags);
bool eq64(uint64_t a, uint64_t b, uint8_t& flags);
bool lt64(uint64_t a, uint64_t b, uint8_t& flags);
bool le64(uint64_t a, uint64_t b, uint8_t& flags);

// FCLASS: exactly one of bits 0 to 9 (F §11.9). Raises nothing.
uint32_t classify32(uint32_t a);
uint32_t classify64(uint64_t a);

// To integers. The caller extends a 32-bit result to the register's width.
int32_t to_int32_32(uint32_t a, RoundingMode mode, uint8_t& flags);
uint32_t to_uint32_32(uint32_t a, RoundingMode mode, uint8_t& flags);
int64_t to_int64_32(uint32_t a, RoundingMode mode, uint8_t& flags);
uint64_t to_uint64_32(uint32_t a, RoundingMode mode, uint8_t& flags);
int32_t to_int32_64(uint64_t a, RoundingMode mode, uint8_t& flags);
uint32_t to_uint32_64(uint64_t a, RoundingMode mode, uint8_t& flags);
int64_t to_int64_64(uint64_t a, RoundingMode mode, uint8_t& flags);
uint64_t to_uint64_64(uint64_t a, RoundingMode mode, uint8_t& flags);

// From integers. 32-bit integers are always exact in binary64; they take a mode and flags like the
// rest so that a caller's table has one shape.
uint32_t from_int32_to32(int32_t a, RoundingMode mode, uint8_t& flags);
uint32_t from_uint32_to32(uint32_t a, RoundingMode mode, uint8_t& flags);
uint32_t from_int64_to32(int64_t a, RoundingMode mode, uint8_t& flags);
uint32_t from_uint64_to32(uint64_t a, RoundingMode mode, uint8_t& flags);
uint64_t from_int32_to64(int32_t a, RoundingMode mode, uint8_t& flags);
uint64_t from_uint32_to64(uint32_t a, RoundingMode mode, uint8_t& flags);
uint64_t from_int64_to64(int64_t a, RoundingMode mode, uint8_t& flags);
uint64_t from_uint64_to64(uint64_t a, RoundingMode mode, uint8_t& flags);

// Between the widths. Widening is exact, so it takes no mode.
uint64_t convert_32_to_64(uint32_t a, uint8_t& flags);
uint32_t convert_64_to_32(uint64_t a, RoundingMode mode, uint8_t& flags);

}  // namespace lockstep::riscv::softfloat
