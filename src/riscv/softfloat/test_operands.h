// Operands for the tests of softfloat, chosen where rounding, overflow, underflow and cancellation
// happen. Deterministic: the same seed gives the same operands.
#pragma once

#include <array>
#include <cstdint>
#include <iterator>
#include <random>

#include "riscv/softfloat/format.h"

namespace lockstep::riscv::softfloat {

inline constexpr std::array kAllModes = {RoundingMode::kRne, RoundingMode::kRtz, RoundingMode::kRdn,
                                         RoundingMode::kRup, RoundingMode::kRmm};

template <typename F>
class Operands {
 public:
  using Bits = typename F::Bits;

  explicit Operands(uint64_t seed) : random_(seed) {}

  uint64_t below(uint64_t limit) { return random_() % limit; }
  uint64_t word() { return random_(); }

  // Among the modes that x86 has.
  RoundingMode host_mode() { return kAllModes[below(4)]; }

  Bits any() {
    switch (below(8)) {
      case 0:
        return static_cast<Bits>(random_());
      case 1:
        return landmark();
      case 2:  // a few units around a landmark, across the border to the next class, too
        return static_cast<Bits>(landmark() + random_() % 9 - 4);
      case 3:  // subnormals of any length
        return sign() | ((static_cast<Bits>(random_()) & F::kFraction) >> below(F::kFractionBits));
      case 4:
        return make(below(2) != 0 ? 1 + below(4) : F::kMaxExponent - 1 - below(4), fraction());
      case 5:  // around 1 and around the integers
        return make(F::kBias - 3 + below(70), fraction());
      default:
        return make(1 + below(F::kMaxExponent - 1), fraction());
    }
  }

  // Finite and not zero.
  Bits number() {
    for (;;) {
      const Bits a = any();
      if (!F::is_nan(a) && !F::is_infinite(a) && !F::is_zero(a)) return a;
    }
  }

  // A second operand, often one whose sum, product or quotient with `a` is near an edge.
  Bits partner(Bits a) {
    const int64_t exponent = F::exponent(a);
    switch (below(6)) {
      case 0:  // cancellation
        return static_cast<Bits>(a ^ sign()) + static_cast<Bits>(below(5)) - 2;
      case 1:  // so close that digits overlap
        return make(clamp(exponent + spread(F::kFractionBits + 4)), fraction());
      case 2:  // a product near the edges of the exponent
        return make(clamp(edge() + F::kBias - exponent), fraction());
      case 3:  // a quotient near the edges
        return make(clamp(exponent + F::kBias - edge()), fraction());
      default:
        return any();
    }
  }

  // A third operand for a fused multiply-add whose product rounds to `product`.
  Bits addend(Bits product) {
    const int64_t exponent = F::exponent(product);
    switch (below(5)) {
      case 0:  // cancels all but what rounding took
        return static_cast<Bits>(product ^ sign()) + static_cast<Bits>(below(5)) - 2;
      case 1:
        return make(clamp(exponent + spread(3 * F::kFractionBits)), fraction());
      case 2:
        return make(clamp(exponent + spread(4)), fraction());
      default:
        return any();
    }
  }

 private:
  Bits sign() { return (random_() & 1) != 0 ? F::kSign : 0; }
  int64_t spread(int64_t width) {
    return static_cast<int64_t>(below(static_cast<uint64_t>(2 * width + 1))) - width;
  }
  int64_t edge() {
    switch (below(3)) {
      case 0:
        return spread(3);
      case 1:
        return F::kMaxExponent + spread(3);
      default:
        return -F::kFractionBits + spread(3);
    }
  }
  static uint64_t clamp(int64_t exponent) {
    if (exponent < 0) return 0;
    return static_cast<uint64_t>(exponent < F::kMaxExponent ? exponent : F::kMaxExponent - 1);
  }
  Bits make(uint64_t exponent, Bits fraction) {
    return sign() | (static_cast<Bits>(exponent) << F::kFractionBits) | fraction;
  }

  // Random, or with few ones, or with few zeros, so that ties and carries are common.
  Bits fraction() {
    const Bits full = static_cast<Bits>(random_()) & F::kFraction;
    const Bits one = Bits{1} << below(F::kFractionBits);
    const Bits other = Bits{1} << below(F::kFractionBits);
    switch (below(6)) {
      case 0:
        return one | other;
      case 1:
        return F::kFraction ^ (one | other);
      case 2:  // a run of ones at the top
        return F::kFraction & ~(one - 1);
      case 3:  // short
        return full & ~(F::kFraction >> below(F::kFractionBits));
      default:
        return full;
    }
  }

  Bits landmark() {
    constexpr Bits kOne = static_cast<Bits>(F::kBias) << F::kFractionBits;
    constexpr Bits kLandmarks[] = {0,
                                   1,
                                   F::kFraction,  // the largest subnormal
                                   F::kHidden,    // the smallest normal
                                   kOne,
                                   kOne - F::kHidden,       // 1/2
                                   kOne + F::kHidden,       // 2
                                   kOne + F::kHidden * 31,  // 2^31
                                   kOne + F::kHidden * 32,  // 2^32
                                   kOne + F::kHidden * 63,  // 2^63
                                   kOne + F::kHidden * 64,  // 2^64
                                   F::kInfinity - 1,        // the largest number
                                   F::kInfinity,
                                   F::kInfinity | 1,      // signalling
                                   F::kCanonicalNan - 1,  // signalling, all ones
                                   F::kCanonicalNan,
                                   F::kCanonicalNan | 0x1234};
    return sign() | kLandmarks[below(std::size(kLandmarks))];
  }

  std::mt19937_64 random_;
};

}  // namespace lockstep::riscv::softfloat
