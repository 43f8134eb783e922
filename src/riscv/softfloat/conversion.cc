// Conversions to and from integers, and between the widths.
#include <bit>
#include <limits>
#include <type_traits>

#include "riscv/softfloat/format.h"

namespace lockstep::riscv::softfloat {
namespace {

// Whether a magnitude with `rest` (in units of 2^-64, sticky) behind its point rounds up.
bool rounds_up(uint64_t integer, uint64_t rest, bool negative, RoundingMode mode) {
  constexpr uint64_t kHalf = uint64_t{1} << 63;
  switch (mode) {
    case RoundingMode::kRne:
      return rest > kHalf || (rest == kHalf && (integer & 1) != 0);
    case RoundingMode::kRdn:
      return negative && rest != 0;
    case RoundingMode::kRup:
      return !negative && rest != 0;
    case RoundingMode::kRmm:
      return rest >= kHalf;
    case RoundingMode::kRtz:
      break;
  }
  return false;
}

template <typename Integer>
Integer saturate(bool negative, uint8_t& flags) {
  raise(flags, kInvalid);
  return negative ? std::numeric_limits<Integer>::min() : std::numeric_limits<Integer>::max();
}

template <typename F, typename Integer>
Integer to_integer(typename F::Bits a, RoundingMode mode, uint8_t& flags) {
  const int32_t exponent = F::exponent(a);
  const bool negative = F::sign(a);
  // At 2^64 and above, infinite or NaN.
  if (exponent >= F::kBias + 64) [[unlikely]] {
    return saturate<Integer>(negative && !F::is_nan(a), flags);
  }
  // The magnitude, its point between the words.
  uint64_t integer = 0;
  uint64_t rest = 0;
  if (exponent >= F::kBias - 1) {
    const uint64_t significand = parts_of_normal<F>(a).significand << (63 - F::kFractionBits);
    const int whole = exponent - F::kBias + 1;  // bits before the point, 0 to 64
    integer = whole == 0 ? 0 : significand >> (64 - whole);
    rest = whole == 64 ? 0 : significand << whole;
  } else {
    // Below one half: nothing but sticky.
    rest = uint64_t{!F::is_zero(a)};
  }
  // Cannot overflow: an integer of 64 bits has no rest.
  integer += uint64_t{rounds_up(integer, rest, negative, mode)};

  using Limits = std::numeric_limits<Integer>;
  uint64_t largest = static_cast<uint64_t>(Limits::max());
  if (negative) largest = std::is_signed_v<Integer> ? largest + 1 : 0;
  if (integer > largest) [[unlikely]]
    return saturate<Integer>(negative, flags);
  raise_inexact_if(flags, rest != 0);
  return static_cast<Integer>(negative ? uint64_t{0} - integer : integer);
}

template <typename F>
typename F::Bits from_magnitude(bool negative, uint64_t magnitude, RoundingMode mode,
                                uint8_t& flags) {
  if (magnitude == 0) return 0;
  const int zeros = std::countl_zero(magnitude);
  const uint64_t top = magnitude << zeros;
  const uint64_t significand = (top >> 1) | (top & 1);
  return round_and_pack<F>(negative, F::kBias + 63 - zeros, significand, mode, flags);
}

template <typename F>
typename F::Bits from_signed(int64_t a, RoundingMode mode, uint8_t& flags) {
  const auto bits = static_cast<uint64_t>(a);
  return from_magnitude<F>(a < 0, a < 0 ? uint64_t{0} - bits : bits, mode, flags);
}

}  // namespace

int32_t to_int32_32(uint32_t a, RoundingMode mode, uint8_t& flags) {
  return to_integer<Binary32, int32_t>(a, mode, flags);
}

uint32_t to_uint32_32(uint32_t a, RoundingMode mode, uint8_t& flags) {
  return to_integer<Binary32, uint32_t>(a, mode, flags);
}

int64_t to_int64_32(uint32_t a, RoundingMode mode, uint8_t& flags) {
  return to_integer<Binary32, int64_t>(a, mode, flags);
}

uint64_t to_uint64_32(uint32_t a, RoundingMode mode, uint8_t& flags) {
  return to_integer<Binary32, uint64_t>(a, mode, flags);
}

int32_t to_int32_64(uint64_t a, RoundingMode mode, uint8_t& flags) {
  return to_integer<Binary64, int32_t>(a, mode, flags);
}

uint32_t to_uint32_64(uint64_t a, RoundingMode mode, uint8_t& flags) {
  return to_integer<Binary64, uint32_t>(a, mode, flags);
}

int64_t to_int64_64(uint64_t a, RoundingMode mode, uint8_t& flags) {
  return to_integer<Binary64, int64_t>(a, mode, flags);
}

uint64_t to_uint64_64(uint64_t a, RoundingMode mode, uint8_t& flags) {
  return to_integer<Binary64, uint64_t>(a, mode, flags);
}

uint32_t from_int32_to32(int32_t a, RoundingMode mode, uint8_t& flags) {
  return from_signed<Binary32>(a, mode, flags);
}

uint32_t from_uint32_to32(uint32_t a, RoundingMode mode, uint8_t& flags) {
  return from_magnitude<Binary32>(false, a, mode, flags);
}

uint32_t from_int64_to32(int64_t a, RoundingMode mode, uint8_t& flags) {
  return from_signed<Binary32>(a, mode, flags);
}

uint32_t from_uint64_to32(uint64_t a, RoundingMode mode, uint8_t& flags) {
  return from_magnitude<Binary32>(false, a, mode, flags);
}

uint64_t from_int32_to64(int32_t a, RoundingMode mode, uint8_t& flags) {
  return from_signed<Binary64>(a, mode, flags);
}

uint64_t from_uint32_to64(uint32_t a, RoundingMode mode, uint8_t& flags) {
  return from_magnitude<Binary64>(false, a, mode, flags);
}

uint64_t from_int64_to64(int64_t a, RoundingMode mode, uint8_t& flags) {
  return from_signed<Binary64>(a, mode, flags);
}

uint64_t from_uint64_to64(uint64_t a, RoundingMode mode, uint8_t& flags) {
  return from_magnitude<Binary64>(false, a, mode, flags);
}

uint64_t convert_32_to_64(uint32_t a, uint8_t& flags) {
  if (Binary32::is_nan(a)) [[unlikely]] {
    answer_nan<Binary32>(flags, a);
    return Binary64::kCanonicalNan;
  }
  const bool negative = Binary32::sign(a);
  if (Binary32::is_infinite(a)) return Binary64::signed_infinity(negative);
  if (Binary32::is_zero(a)) return Binary64::signed_zero(negative);
  const Parts parts = parts_of<Binary32>(a);
  const auto exponent =
      static_cast<uint64_t>(parts.exponent - Binary32::kBias + Binary64::kBias - 1);
  constexpr int kWiden = Binary64::kFractionBits - Binary32::kFractionBits;
  return Binary64::signed_zero(negative) + (exponent << Binary64::kFractionBits) +
         (parts.significand << kWiden);
}

uint32_t convert_64_to_32(uint64_t a, RoundingMode mode, uint8_t& flags) {
  if (Binary64::is_nan(a)) [[unlikely]] {
    answer_nan<Binary64>(flags, a);
    return Binary32::kCanonicalNan;
  }
  const bool negative = Binary64::sign(a);
  if (Binary64::is_infinite(a)) return Binary32::signed_infinity(negative);
  if (Binary64::is_zero(a)) return Binary32::signed_zero(negative);
  const Parts parts = parts_of<Binary64>(a);
  return round_and_pack<Binary32>(negative, parts.exponent - Binary64::kBias + Binary32::kBias,
                                  parts.significand << (kWorkingBit - Binary64::kFractionBits),
                                  mode, flags);
}

}  // namespace lockstep::riscv::softfloat
