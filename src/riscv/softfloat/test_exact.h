// An independent reference for rounding: results found by comparing candidates with the exact value
// in big fixed-point numbers. Slow, and shares no rounding code with what it judges. For tests.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "base/wide.h"
#include "riscv/softfloat/format.h"
#include "riscv/softfloat/test_widths.h"

namespace lockstep::riscv::softfloat {

// significand × 2^exponent.
struct Dyadic {
  uint64_t significand = 0;
  int exponent = 0;
};

inline constexpr Dyadic kUnity = {1, 0};

// The magnitude of a finite number.
template <typename F>
Dyadic dyadic(typename F::Bits a) {
  const uint64_t fraction = a & F::kFraction;
  const int exponent = F::exponent(a);
  const int lowest = 1 - F::kBias - F::kFractionBits;
  if (exponent == 0) return {fraction, lowest};
  return {fraction | F::kHidden, lowest + exponent - 1};
}

// A sum of products, exact: two's complement in units of 2^-kPoint. Holds every product of two
// numbers of binary64, and of a rounding boundary and a number.
class ExactSum {
 public:
  // Adds (or takes away) x × y.
  void add(bool negative, Dyadic x, Dyadic y) {
    const int position = x.exponent + y.exponent + kPoint;
    CHECK(position >= 0 && position / 64 + 3 < kLimbs);
    const auto shift = static_cast<unsigned>(position % 64);
    const Uint128 product = Uint128{x.significand} * y.significand;
    const Uint128 low = product << shift;
    const auto high = static_cast<uint64_t>(shift == 0 ? 0 : product >> (128 - shift));
    const uint64_t words[3] = {static_cast<uint64_t>(low), static_cast<uint64_t>(low >> 64), high};
    // Negative: add the complement, which is ones above the words, and one.
    uint64_t carry = negative ? 1 : 0;
    const auto first = static_cast<std::size_t>(position / 64);
    for (std::size_t i = first; i < limbs_.size(); ++i) {
      const uint64_t word = i - first < 3 ? words[i - first] : 0;
      const Uint128 sum = Uint128{limbs_[i]} + (negative ? ~word : word) + carry;
      limbs_[i] = static_cast<uint64_t>(sum);
      carry = static_cast<uint64_t>(sum >> 64);
    }
  }

  // −1, 0 or 1.
  int sign() const {
    if (static_cast<int64_t>(limbs_.back()) < 0) return -1;
    const bool zero = std::all_of(limbs_.begin(), limbs_.end(), [](uint64_t w) { return w == 0; });
    return zero ? 0 : 1;
  }

 private:
  static constexpr int kPoint = 64 * 36;
  static constexpr int kLimbs = 36 + 36;
  std::array<uint64_t, kLimbs> limbs_{};
};

// What rounding needs to know of an exact value that is not zero. `Compare` gives the sign of
// (magnitude − candidate) for any Dyadic candidate.
template <typename F, typename Compare>
class ExactResult {
 public:
  using Bits = typename F::Bits;

  ExactResult(bool negative, Compare compare) : negative_(negative), compare_(compare) {
    // The largest finite number not above the magnitude, by bisection over the patterns.
    Bits above = F::kInfinity;
    while (above - floor_ > 1) {
      const Bits middle = floor_ + (above - floor_) / 2;
      (compare_(dyadic<F>(middle)) >= 0 ? floor_ : above) = middle;
    }
    const Dyadic floor_value = dyadic<F>(floor_);
    exact_ = compare_(floor_value) == 0;
    to_half_ = compare_({2 * floor_value.significand + 1, floor_value.exponent - 1});
    beyond_ = compare_({1, F::kBias + 1}) >= 0;
    below_normal_ = compare_({1, 1 - F::kBias}) < 0;
    // The two numbers below the smallest normal one where rounding to full precision with an
    // unbounded exponent starts to reach it: one unit and half a unit less.
    const int lowest = 1 - F::kBias - F::kFractionBits;
    to_last_ = compare_({(uint64_t{2} << F::kFractionBits) - 1, lowest - 1});
    to_last_half_ = compare_({(uint64_t{4} << F::kFractionBits) - 1, lowest - 2});
  }

  Outcome<Bits> rounded(RoundingMode mode) const {
    const Bits sign = F::signed_zero(negative_);
    if (exact_) return {static_cast<Bits>(sign | floor_), 0};
    const bool up = goes_up(mode, to_half_, (floor_ & 1) != 0, true);
    if (beyond_ || (up && floor_ == F::kInfinity - 1)) {
      const bool to_infinity = goes_up(mode, 1, false, true);
      return {static_cast<Bits>(sign | (F::kInfinity - (to_infinity ? 0 : 1))),
              kOverflow | kInexact};
    }
    // Unbounded, the last number below the smallest normal one has an odd significand.
    const bool reaches_normal = goes_up(mode, to_last_half_, true, to_last_ > 0);
    const bool tiny = below_normal_ && !reaches_normal;
    return {static_cast<Bits>(sign | (floor_ + (up ? 1 : 0))),
            static_cast<uint8_t>(kInexact | (tiny ? kUnderflow : 0))};
  }

 private:
  // `to_half`: the side of the half between two neighbours; `above`: whether it is above the lower.
  bool goes_up(RoundingMode mode, int to_half, bool odd, bool above) const {
    switch (mode) {
      case RoundingMode::kRne:
        return to_half > 0 || (to_half == 0 && odd);
      case RoundingMode::kRmm:
        return to_half >= 0;
      case RoundingMode::kRdn:
        return negative_ && above;
      case RoundingMode::kRup:
        return !negative_ && above;
      case RoundingMode::kRtz:
        break;
    }
    return false;
  }

  bool negative_;
  Compare compare_;
  Bits floor_ = 0;
  bool exact_ = false;
  int to_half_ = 0;
  bool beyond_ = false;
  bool below_normal_ = false;
  int to_last_ = 0;
  int to_last_half_ = 0;
};

}  // namespace lockstep::riscv::softfloat
