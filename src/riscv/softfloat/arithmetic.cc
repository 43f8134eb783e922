// Addition, subtraction, multiplication and fused multiply-add.
#include <bit>

#include "riscv/softfloat/format.h"

namespace lockstep::riscv::softfloat {
namespace {

// The sign of an exact zero that is the sum of opposite numbers (IEEE 754 §6.3).
constexpr bool cancelled_zero_is_negative(RoundingMode mode) {
  return mode == RoundingMode::kRdn;
}

// Signs and the order of magnitudes are not predictable, so they are handled without branches.
template <typename T>
T negated_if(bool condition, T value) {
  const T mask = T{0} - T{condition};
  return (value ^ mask) - mask;
}

template <typename F>
void order_by_magnitude(typename F::Bits& larger, typename F::Bits& smaller) {
  using Bits = typename F::Bits;
  const Bits mask = Bits{0} - Bits{F::magnitude(larger) < F::magnitude(smaller)};
  const Bits difference = (larger ^ smaller) & mask;
  larger ^= difference;
  smaller ^= difference;
}

// Both operands' magnitudes are ordered, and the first is infinite or a NaN.
template <typename F>
[[gnu::noinline]] typename F::Bits add_special(typename F::Bits larger, typename F::Bits smaller,
                                               uint8_t& flags) {
  if (F::is_nan(larger)) return answer_nan<F>(flags, larger, smaller);
  if (F::is_infinite(smaller) && larger != smaller) return answer_invalid<F>(flags);
  return larger;
}

template <typename F>
typename F::Bits add(typename F::Bits a, typename F::Bits b, RoundingMode mode, uint8_t& flags) {
  // One bit is left free above for the carry.
  constexpr int kShift = kWorkingBit - 1 - F::kFractionBits;
  order_by_magnitude<F>(a, b);
  int32_t exponent_a = F::exponent(a);
  int32_t exponent_b = F::exponent(b);
  if (exponent_a == F::kMaxExponent) [[unlikely]]
    return add_special<F>(a, b, flags);

  // Zeros and subnormals: exponent 1, no hidden bit.
  const uint64_t hidden_a = uint64_t{exponent_a != 0} << F::kFractionBits;
  const uint64_t hidden_b = uint64_t{exponent_b != 0} << F::kFractionBits;
  exponent_a += static_cast<int32_t>(exponent_a == 0);
  exponent_b += static_cast<int32_t>(exponent_b == 0);
  const uint64_t significand_a = ((a & F::kFraction) | hidden_a) << kShift;
  const uint64_t significand_b = shift_right_sticky<uint64_t>(
      ((b & F::kFraction) | hidden_b) << kShift, exponent_a - exponent_b);

  const bool negative = F::sign(a);
  const bool opposite = negative != F::sign(b);
  const uint64_t sum = significand_a + negated_if(opposite, significand_b);
  if (sum == 0) [[unlikely]] {
    return F::signed_zero(opposite ? cancelled_zero_is_negative(mode) : negative);
  }
  // Sticky bits imply operands more than kShift places apart: at most one leading place cancels,
  // so the sticky bit stays far below the half.
  const int shift = std::countl_zero(sum) - (63 - kWorkingBit);
  return round_and_pack<F>(negative, exponent_a + 1 - shift, sum << shift, mode, flags);
}

template <typename F>
typename F::Bits multiply_finite(bool negative, Parts a, Parts b, RoundingMode mode,
                                 uint8_t& flags) {
  // The product's leading one comes to stand at kWorkingBit − 1 or, after a carry, kWorkingBit.
  uint64_t product;
  if constexpr (2 * F::kFractionBits < kWorkingBit) {
    product = (a.significand * b.significand) << (kWorkingBit - 1 - 2 * F::kFractionBits);
  } else {
    constexpr int kShift = kWorkingBit + 63 - 2 * F::kFractionBits;
    const Uint128 wide =
        Uint128{a.significand << (kShift / 2)} * (b.significand << (kShift - kShift / 2));
    product = static_cast<uint64_t>(wide >> 64) | uint64_t{static_cast<uint64_t>(wide) != 0};
  }
  const int carry = static_cast<int>(product >> kWorkingBit);
  return round_and_pack<F>(negative, a.exponent + b.exponent - F::kBias + carry,
                           product << (1 - carry), mode, flags);
}

template <typename F>
[[gnu::noinline]] typename F::Bits multiply_special(typename F::Bits a, typename F::Bits b,
                                                    RoundingMode mode, uint8_t& flags) {
  const bool negative = F::sign(a ^ b);
  if (F::is_nan(a) || F::is_nan(b)) return answer_nan<F>(flags, a, b);
  const bool zero = F::is_zero(a) || F::is_zero(b);
  if (F::is_infinite(a) || F::is_infinite(b)) {
    return zero ? answer_invalid<F>(flags) : F::signed_infinity(negative);
  }
  if (zero) return F::signed_zero(negative);
  return multiply_finite<F>(negative, parts_of<F>(a), parts_of<F>(b), mode, flags);
}

template <typename F>
typename F::Bits multiply(typename F::Bits a, typename F::Bits b, RoundingMode mode,
                          uint8_t& flags) {
  if (!F::is_normal(a) || !F::is_normal(b)) [[unlikely]] {
    return multiply_special<F>(a, b, mode, flags);
  }
  return multiply_finite<F>(F::sign(a ^ b), parts_of_normal<F>(a), parts_of_normal<F>(b), mode,
                            flags);
}

inline int leading_zeros(uint64_t value) {
  return std::countl_zero(value);
}
inline int leading_zeros(Uint128 value) {
  const auto high = static_cast<uint64_t>(value >> 64);
  return high != 0 ? std::countl_zero(high) : 64 + std::countl_zero(static_cast<uint64_t>(value));
}

inline uint64_t top_word_sticky(uint64_t value) {
  return value;
}
inline uint64_t top_word_sticky(Uint128 value) {
  return static_cast<uint64_t>(value >> 64) | uint64_t{static_cast<uint64_t>(value) != 0};
}

// Below the exponent of every product: an addend of zero never moves the product.
constexpr int32_t kExponentOfZero = std::numeric_limits<int32_t>::min() / 2;

// a × b + c for a × b != 0. The product is exact in a Product; whichever of product and addend is
// smaller is shifted right to the other's exponent. Ones are lost only when the two lie so far
// apart that no more than one leading place can cancel, so the sticky bit tells all.
template <typename F>
typename F::Bits fuse_finite(bool negative, Parts a, Parts b, bool negative_c, Parts c,
                             RoundingMode mode, uint8_t& flags) {
  using Product = typename F::Product;
  constexpr int kWidth = static_cast<int>(sizeof(Product) * 8);
  constexpr int kLeadingBit = kWidth - 4;  // of c, and of a × b when it does not carry
  constexpr int kShift = (kLeadingBit - 2 * F::kFractionBits) / 2;
  static_assert(2 * (kShift + F::kFractionBits) == kLeadingBit);

  Product product = Product{a.significand << kShift} * (b.significand << kShift);
  Product addend = Product{c.significand} << (kLeadingBit - F::kFractionBits);
  int32_t exponent = a.exponent + b.exponent - F::kBias;
  if (exponent >= c.exponent) {
    addend = shift_right_sticky(addend, exponent - c.exponent);
  } else {
    product = shift_right_sticky(product, c.exponent - exponent);
    exponent = c.exponent;
  }
  const Product difference = product + negated_if(negative != negative_c, addend);
  const bool addend_wins = static_cast<bool>(difference >> (kWidth - 1));
  const Product sum = negated_if(addend_wins, difference);
  if (sum == 0) [[unlikely]]
    return F::signed_zero(cancelled_zero_is_negative(mode));
  negative = negative != addend_wins;
  const int zeros = leading_zeros(sum);
  return round_and_pack<F>(negative, exponent + 3 - zeros, top_word_sticky(sum << (zeros - 1)),
                           mode, flags);
}

template <typename F>
[[gnu::noinline]] typename F::Bits fuse_special(typename F::Bits a, typename F::Bits b,
                                                typename F::Bits c, RoundingMode mode,
                                                uint8_t& flags) {
  const bool negative = F::sign(a ^ b);
  const bool zero = F::is_zero(a) || F::is_zero(b);
  const bool infinite = F::is_infinite(a) || F::is_infinite(b);
  if (zero && infinite) return answer_invalid<F>(flags);
  if (F::is_nan(a) || F::is_nan(b) || F::is_nan(c)) return answer_nan<F>(flags, a, b, c);
  if (infinite) {
    const bool cancels = F::is_infinite(c) && F::sign(c) != negative;
    return cancels ? answer_invalid<F>(flags) : F::signed_infinity(negative);
  }
  if (F::is_infinite(c)) return c;
  if (zero) {
    if (!F::is_zero(c) || F::sign(c) == negative) return c;
    return F::signed_zero(cancelled_zero_is_negative(mode));
  }
  const Parts parts_c = F::is_zero(c) ? Parts{kExponentOfZero, 0} : parts_of<F>(c);
  return fuse_finite<F>(negative, parts_of<F>(a), parts_of<F>(b), F::sign(c), parts_c, mode, flags);
}

template <typename F>
typename F::Bits fuse(typename F::Bits a, typename F::Bits b, typename F::Bits c, RoundingMode mode,
                      uint8_t& flags) {
  if (!F::is_normal(a) || !F::is_normal(b) || !F::is_normal(c)) [[unlikely]] {
    return fuse_special<F>(a, b, c, mode, flags);
  }
  return fuse_finite<F>(F::sign(a ^ b), parts_of_normal<F>(a), parts_of_normal<F>(b), F::sign(c),
                        parts_of_normal<F>(c), mode, flags);
}

}  // namespace

uint32_t add32(uint32_t a, uint32_t b, RoundingMode mode, uint8_t& flags) {
  return add<Binary32>(a, b, mode, flags);
}

uint64_t add64(uint64_t a, uint64_t b, RoundingMode mode, uint8_t& flags) {
  return add<Binary64>(a, b, mode, flags);
}

// The sign of a NaN means nothing, so a − b is a + (−b) for NaNs, too.
uint32_t sub32(uint32_t a, uint32_t b, RoundingMode mode, uint8_t& flags) {
  return add<Binary32>(a, b ^ Binary32::kSign, mode, flags);
}

uint64_t sub64(uint64_t a, uint64_t b, RoundingMode mode, uint8_t& flags) {
  return add<Binary64>(a, b ^ Binary64::kSign, mode, flags);
}

uint32_t mul32(uint32_t a, uint32_t b, RoundingMode mode, uint8_t& flags) {
  return multiply<Binary32>(a, b, mode, flags);
}

uint64_t mul64(uint64_t a, uint64_t b, RoundingMode mode, uint8_t& flags) {
  return multiply<Binary64>(a, b, mode, flags);
}

uint32_t fma32(uint32_t a, uint32_t b, uint32_t c, RoundingMode mode, uint8_t& flags) {
  return fuse<Binary32>(a, b, c, mode, flags);
}

uint64_t fma64(uint64_t a, uint64_t b, uint64_t c, RoundingMode mode, uint8_t& flags) {
  return fuse<Binary64>(a, b, c, mode, flags);
}

}  // namespace lockstep::riscv::softfloat
