// The binary formats, taken apart and put together again: what every operation shares.
//
// An operation computes with *working significands*: 64 bits with the leading one at bit
// kWorkingBit and everything that was shifted out below bit 0 collected in bit 0 (the sticky bit).
// Both formats leave at least ten bits below their last place, so rounding sees exactly what it
// needs: the half, and whether anything lies beyond it.
//
// Internal to this folder. Owner: none (pure functions).
#pragma once

#include <bit>
#include <cstdint>
#include <limits>

#include "base/wide.h"
#include "riscv/softfloat/softfloat.h"

namespace lockstep::riscv::softfloat {

inline constexpr int kWorkingBit = 62;

// `ProductT` holds a product of two significands and the room fma needs around it.
template <typename BitsT, typename ProductT, int kFractionWidth>
struct BinaryFormat {
  using Bits = BitsT;
  using Product = ProductT;

  static constexpr int kFractionBits = kFractionWidth;
  static constexpr int kExponentBits = static_cast<int>(sizeof(Bits) * 8) - 1 - kFractionBits;
  static constexpr int32_t kMaxExponent = (1 << kExponentBits) - 1;  // infinities and NaNs
  static constexpr int32_t kBias = kMaxExponent / 2;

  static constexpr Bits kSign = Bits{1} << (sizeof(Bits) * 8 - 1);
  static constexpr Bits kHidden = Bits{1} << kFractionBits;
  static constexpr Bits kFraction = kHidden - 1;
  static constexpr Bits kInfinity = static_cast<Bits>(kMaxExponent) << kFractionBits;
  static constexpr Bits kQuiet = kHidden >> 1;
  static constexpr Bits kCanonicalNan = kInfinity | kQuiet;

  static constexpr bool sign(Bits a) { return (a & kSign) != 0; }
  static constexpr Bits magnitude(Bits a) { return a & ~kSign; }
  static constexpr int32_t exponent(Bits a) {
    return static_cast<int32_t>(magnitude(a) >> kFractionBits);
  }
  static constexpr bool is_nan(Bits a) { return magnitude(a) > kInfinity; }
  static constexpr bool is_signalling(Bits a) { return is_nan(a) && (a & kQuiet) == 0; }
  static constexpr bool is_infinite(Bits a) { return magnitude(a) == kInfinity; }
  static constexpr bool is_zero(Bits a) { return magnitude(a) == 0; }
  // Neither zero, subnormal, infinite nor NaN.
  static constexpr bool is_normal(Bits a) { return magnitude(a) - kHidden < kInfinity - kHidden; }
  static constexpr Bits signed_zero(bool negative) { return negative ? kSign : Bits{0}; }
  static constexpr Bits signed_infinity(bool negative) { return signed_zero(negative) | kInfinity; }
};

using Binary32 = BinaryFormat<uint32_t, uint64_t, 23>;
using Binary64 = BinaryFormat<uint64_t, Uint128, 52>;

inline void raise(uint8_t& flags, unsigned raised) {
  flags = static_cast<uint8_t>(flags | raised);
}

// Without a branch: whether a result is exact is not predictable.
inline void raise_inexact_if(uint8_t& flags, bool inexact) {
  raise(flags, static_cast<unsigned>(inexact) * kInexact);
}

// The canonical NaN as the answer to a NaN operand.
template <typename F, typename... Operands>
typename F::Bits answer_nan(uint8_t& flags, Operands... operands) {
  if ((F::is_signalling(operands) || ...)) raise(flags, kInvalid);
  return F::kCanonicalNan;
}

// The canonical NaN as the answer to an operation that has none.
template <typename F>
typename F::Bits answer_invalid(uint8_t& flags) {
  raise(flags, kInvalid);
  return F::kCanonicalNan;
}

// |a| = significand × 2^(exponent − bias − kFractionBits), with the leading one of the significand
// at kFractionBits; the exponent of a subnormal is below 1.
struct Parts {
  int32_t exponent = 0;
  uint64_t significand = 0;
};

template <typename F>
Parts parts_of_normal(typename F::Bits a) {
  return {F::exponent(a), (a & F::kFraction) | F::kHidden};
}

// Finite, not zero.
template <typename F>
Parts parts_of(typename F::Bits a) {
  if (F::is_normal(a)) return parts_of_normal<F>(a);
  const uint64_t fraction = a & F::kFraction;
  const int shift = std::countl_zero(fraction) - (63 - F::kFractionBits);
  return {1 - shift, fraction << shift};
}

// value >> count, ones lost on the way kept in bit 0. count >= 0; bit 63 (127) of value is clear.
template <typename T>
T shift_right_sticky(T value, int32_t count) {
  constexpr int32_t kLimit = static_cast<int32_t>(sizeof(T) * 8) - 1;
  const int32_t bounded = count < kLimit ? count : kLimit;
  const T lost = value & ((T{1} << bounded) - 1);
  return (value >> bounded) | T{lost != 0};
}

// What is added below the last place before the rest is cut off.
template <typename F>
uint64_t rounding_increment(bool negative, RoundingMode mode) {
  constexpr int kRoundBits = kWorkingBit - F::kFractionBits;
  constexpr uint64_t kHalf = uint64_t{1} << (kRoundBits - 1);
  if (mode == RoundingMode::kRne || mode == RoundingMode::kRmm) return kHalf;
  const RoundingMode away = negative ? RoundingMode::kRdn : RoundingMode::kRup;
  return mode == away ? 2 * kHalf - 1 : 0;
}

// Rounds at the format's last place and packs; the exponent fits. A carry out of the significand
// runs into the exponent, which is what it should do. An exponent of 1 with a significand below
// 2^kWorkingBit packs a subnormal.
template <typename F>
typename F::Bits round_at_last_place(bool negative, int32_t exponent, uint64_t significand,
                                     RoundingMode mode, uint8_t& flags) {
  constexpr int kRoundBits = kWorkingBit - F::kFractionBits;
  constexpr uint64_t kHalf = uint64_t{1} << (kRoundBits - 1);
  const uint64_t rest = significand & (2 * kHalf - 1);
  uint64_t rounded = (significand + rounding_increment<F>(negative, mode)) >> kRoundBits;
  if (mode == RoundingMode::kRne) rounded &= ~uint64_t{rest == kHalf};
  raise_inexact_if(flags, rest != 0);
  using Bits = typename F::Bits;
  return F::signed_zero(negative) + (static_cast<Bits>(exponent - 1) << F::kFractionBits) +
         static_cast<Bits>(rounded);
}

// Results that are subnormal, or may overflow.
template <typename F>
[[gnu::noinline]] typename F::Bits round_at_the_edge(bool negative, int32_t exponent,
                                                     uint64_t significand, RoundingMode mode,
                                                     uint8_t& flags) {
  const uint64_t increment = rounding_increment<F>(negative, mode);
  const bool carries = significand + increment >= uint64_t{1} << (kWorkingBit + 1);
  if (exponent > 0) {
    if (exponent >= F::kMaxExponent || (exponent == F::kMaxExponent - 1 && carries)) {
      raise(flags, kOverflow | kInexact);
      // A mode that rounds towards zero here stops at the largest finite number, which is the
      // pattern below infinity.
      return F::signed_infinity(negative) - (increment == 0 ? 1U : 0U);
    }
    return round_at_last_place<F>(negative, exponent, significand, mode, flags);
  }
  // Tiny after rounding: with an unbounded exponent, the rounded value stays below the smallest
  // normal number.
  const bool tiny = exponent < 0 || !carries;
  uint8_t raised = 0;
  const typename F::Bits result = round_at_last_place<F>(
      negative, 1, shift_right_sticky(significand, 1 - exponent), mode, raised);
  if (tiny && raised != 0) raised |= kUnderflow;
  raise(flags, raised);
  return result;
}

// Rounds ±significand × 2^(exponent − bias − kWorkingBit), leading one at kWorkingBit.
template <typename F>
inline typename F::Bits round_and_pack(bool negative, int32_t exponent, uint64_t significand,
                                       RoundingMode mode, uint8_t& flags) {
  if (exponent < 1 || exponent >= F::kMaxExponent - 1) [[unlikely]] {
    return round_at_the_edge<F>(negative, exponent, significand, mode, flags);
  }
  return round_at_last_place<F>(negative, exponent, significand, mode, flags);
}

}  // namespace lockstep::riscv::softfloat
