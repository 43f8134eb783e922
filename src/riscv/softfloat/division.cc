// Division and square root.
#include <array>
#include <bit>
#include <cstddef>

#include "riscv/softfloat/format.h"

namespace lockstep::riscv::softfloat {
namespace {

template <typename F>
typename F::Bits divide_finite(bool negative, Parts a, Parts b, RoundingMode mode, uint8_t& flags) {
  int32_t exponent = a.exponent - b.exponent + F::kBias;
  if (a.significand < b.significand) {
    a.significand <<= 1;
    --exponent;
  }
  // The quotient is in [1, 2): its leading one is where the dividend's shift puts it.
  uint64_t quotient;
  if constexpr (2 * F::kFractionBits < kWorkingBit) {
    constexpr int kShift = kWorkingBit - F::kFractionBits;  // the dividend ends below bit 64
    const uint64_t dividend = a.significand << kShift;
    quotient = dividend / b.significand;
    const bool rest = dividend != quotient * b.significand;
    quotient = (quotient << (kWorkingBit - kShift)) | uint64_t{rest};
  } else {
    const Uint128 dividend = Uint128{a.significand} << kWorkingBit;
    quotient = static_cast<uint64_t>(dividend / b.significand);
    // The remainder is below 2^64, so the low words tell whether there is one.
    const bool rest = static_cast<uint64_t>(dividend) != quotient * b.significand;
    quotient |= uint64_t{rest};
  }
  return round_and_pack<F>(negative, exponent, quotient, mode, flags);
}

template <typename F>
[[gnu::noinline]] typename F::Bits divide_special(typename F::Bits a, typename F::Bits b,
                                                  RoundingMode mode, uint8_t& flags) {
  const bool negative = F::sign(a ^ b);
  if (F::is_nan(a) || F::is_nan(b)) return answer_nan<F>(flags, a, b);
  if (F::is_infinite(a)) {
    return F::is_infinite(b) ? answer_invalid<F>(flags) : F::signed_infinity(negative);
  }
  if (F::is_infinite(b)) return F::signed_zero(negative);
  if (F::is_zero(b)) {
    if (F::is_zero(a)) return answer_invalid<F>(flags);
    raise(flags, kDivideByZero);
    return F::signed_infinity(negative);
  }
  if (F::is_zero(a)) return F::signed_zero(negative);
  return divide_finite<F>(negative, parts_of<F>(a), parts_of<F>(b), mode, flags);
}

template <typename F>
typename F::Bits divide(typename F::Bits a, typename F::Bits b, RoundingMode mode, uint8_t& flags) {
  if (!F::is_normal(a) || !F::is_normal(b)) [[unlikely]] {
    return divide_special<F>(a, b, mode, flags);
  }
  return divide_finite<F>(F::sign(a ^ b), parts_of_normal<F>(a), parts_of_normal<F>(b), mode,
                          flags);
}

// First approximations of 1/√m for m in [1, 4), in units of 2^-16, one for each 1/128 of m.
constexpr int kTableSteps = 128;  // per unit of m
constexpr auto kReciprocalRoots = [] {
  std::array<uint16_t, 3 * kTableSteps> table{};
  for (std::size_t i = 0; i < table.size(); ++i) {
    // The middle of the interval is (2i + 257)/256, so 2^16/√m = √(2^40/(2i + 257)).
    const uint64_t square = (uint64_t{1} << 40) / (2 * i + 2 * kTableSteps + 1);
    uint64_t root = 0;
    for (uint64_t bit = uint64_t{1} << 15; bit != 0; bit >>= 1) {
      if ((root + bit) * (root + bit) <= square) root += bit;
    }
    table[i] = static_cast<uint16_t>(root);
  }
  return table;
}();

// √m as a working significand, for m in [1, 4) given in units of 2^-62.
//
// Newton's iteration for the reciprocal root doubles the table's 8.9 good bits twice, to beyond 33;
// one more step, on the root itself, comes within a few units of 2^-60. Newton's steps here end
// below the true value, cutting off lowers them further, and taking away one more unit covers what
// rounding up inside can add; so the 55 bits that are kept are the floor of the root or one less,
// and the exact remainder tells which. Comments give each value's unit as a power of two. Right
// shifts of negative numbers round down (C++20).
uint64_t root_of(uint64_t m) {
  const auto table_root = int64_t{kReciprocalRoots[(m >> 55) - kTableSteps]};  // -16
  const int64_t error1 = static_cast<int64_t>(
      (uint64_t{1} << 62) - static_cast<uint64_t>(table_root * table_root) * (m >> 32));  // -62
  const int64_t inverse1 = (table_root << 15) + ((table_root * (error1 >> 16)) >> 32);    // -31

  const auto square = static_cast<uint64_t>(inverse1 * inverse1);                   // -62
  const auto one = static_cast<uint64_t>((Uint128{square} * m) >> 64);              // -60
  const auto error2 = static_cast<int64_t>((uint64_t{1} << 60) - one);              // -60
  const int64_t inverse2 = (inverse1 << 31) + ((inverse1 * (error2 >> 15)) >> 15);  // -62

  const auto estimate = static_cast<uint64_t>((Uint128{m} * static_cast<uint64_t>(inverse2)) >> 64);
  const auto error3 = static_cast<int64_t>(
      static_cast<uint64_t>(((Uint128{m} << 58) - Uint128{estimate} * estimate) >> 60));  // -60
  const int64_t step = ((inverse2 >> 31) * error3) >> 32;                                 // -60
  uint64_t root = static_cast<uint64_t>(static_cast<int64_t>(estimate) + step - 1) >> 6;  // -54

  // What the root leaves, in units of 2^-108. root is the floor when rest <= 2 × root.
  auto rest = (m << 46) - root * root;
  if (rest > 2 * root) {
    rest -= 2 * root + 1;
    ++root;
  }
  return (root << (kWorkingBit - 54)) | uint64_t{rest != 0};
}

template <typename F>
typename F::Bits root(typename F::Bits a, RoundingMode mode, uint8_t& flags) {
  if (!F::is_normal(a) || F::sign(a)) [[unlikely]] {
    if (F::is_nan(a)) return answer_nan<F>(flags, a);
    if (F::is_zero(a)) return a;
    if (F::sign(a)) return answer_invalid<F>(flags);
    if (F::is_infinite(a)) return a;
  }
  const Parts parts = parts_of<F>(a);
  // a = m × 2^(2 × half), m in [1, 4).
  const int32_t exponent = parts.exponent - F::kBias;
  const int32_t half = exponent >> 1;
  const uint64_t m = parts.significand << (kWorkingBit - F::kFractionBits + (exponent & 1));
  return round_and_pack<F>(false, half + F::kBias, root_of(m), mode, flags);
}

}  // namespace

uint32_t div32(uint32_t a, uint32_t b, RoundingMode mode, uint8_t& flags) {
  return divide<Binary32>(a, b, mode, flags);
}

uint64_t div64(uint64_t a, uint64_t b, RoundingMode mode, uint8_t& flags) {
  return divide<Binary64>(a, b, mode, flags);
}

uint32_t sqrt32(uint32_t a, RoundingMode mode, uint8_t& flags) {
  return root<Binary32>(a, mode, flags);
}

uint64_t sqrt64(uint64_t a, RoundingMode mode, uint8_t& flags) {
  return root<Binary64>(a, mode, flags);
}

}  // namespace lockstep::riscv::softfloat
