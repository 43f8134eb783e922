// softfloat, case by case: what the specifications say of special operands, ties and edges.
#include "riscv/softfloat/softfloat.h"

#include <gtest/gtest.h>

#include "riscv/softfloat/format.h"
#include "riscv/softfloat/test_operands.h"
#include "riscv/softfloat/test_widths.h"

namespace lockstep::riscv::softfloat {
namespace {

constexpr RoundingMode kRne = RoundingMode::kRne;
constexpr RoundingMode kRtz = RoundingMode::kRtz;
constexpr RoundingMode kRdn = RoundingMode::kRdn;
constexpr RoundingMode kRup = RoundingMode::kRup;
constexpr RoundingMode kRmm = RoundingMode::kRmm;

template <typename Width>
class SoftfloatTest : public WidthTest<Width> {};
TYPED_TEST_SUITE(SoftfloatTest, Widths);

TYPED_TEST(SoftfloatTest, QuietNansGiveTheCanonicalNan) {
  using T = TestFixture;
  using W = TypeParam;
  const auto nan = T::result(T::F::kCanonicalNan);
  for (const RoundingMode mode : kAllModes) {
    for (const auto other : {T::kOne, T::F::kInfinity, T::kMinusZero, T::kQuietNan}) {
      EXPECT_EQ(run(W::kAdd, T::kQuietNan, other, mode), nan);
      EXPECT_EQ(run(W::kAdd, other, T::kQuietNan, mode), nan);
      EXPECT_EQ(run(W::kSubtract, T::kQuietNan, other, mode), nan);
      EXPECT_EQ(run(W::kMultiply, T::kQuietNan, other, mode), nan);
      EXPECT_EQ(run(W::kMultiply, other, T::kQuietNan, mode), nan);
      EXPECT_EQ(run(W::kDivide, T::kQuietNan, other, mode), nan);
      EXPECT_EQ(run(W::kDivide, other, T::kQuietNan, mode), nan);
      EXPECT_EQ(run(W::kFuse, other, other, T::kQuietNan, mode), nan);
      EXPECT_EQ(run(W::kFuse, T::kQuietNan, other, other, mode), nan);
      EXPECT_EQ(run(W::kFuse, other, T::kQuietNan, other, mode), nan);
    }
    EXPECT_EQ(run(W::kRoot, T::kQuietNan, mode), nan);
  }
}

TYPED_TEST(SoftfloatTest, SignallingNansRaiseInvalidInEveryPlace) {
  using T = TestFixture;
  using W = TypeParam;
  const auto nan = T::result(T::F::kCanonicalNan, kInvalid);
  const auto signalling = T::kSignallingNan;
  for (const auto other : {T::kOne, T::F::kInfinity, T::kMinusZero, T::kQuietNan}) {
    EXPECT_EQ(run(W::kAdd, signalling, other, kRne), nan);
    EXPECT_EQ(run(W::kAdd, other, signalling, kRne), nan);
    EXPECT_EQ(run(W::kSubtract, other, signalling, kRne), nan);
    EXPECT_EQ(run(W::kMultiply, signalling, other, kRne), nan);
    EXPECT_EQ(run(W::kMultiply, other, signalling, kRne), nan);
    EXPECT_EQ(run(W::kDivide, signalling, other, kRne), nan);
    EXPECT_EQ(run(W::kDivide, other, signalling, kRne), nan);
    EXPECT_EQ(run(W::kFuse, signalling, other, other, kRne), nan);
    EXPECT_EQ(run(W::kFuse, other, signalling, other, kRne), nan);
    EXPECT_EQ(run(W::kFuse, other, other, signalling, kRne), nan);
  }
  EXPECT_EQ(run(W::kRoot, signalling, kRne), nan);
  EXPECT_EQ(run(W::kRoot, T::negate(signalling), kRne), nan);
}

TYPED_TEST(SoftfloatTest, OperationsWithoutAnAnswerRaiseInvalid) {
  using T = TestFixture;
  using W = TypeParam;
  const auto nan = T::result(T::F::kCanonicalNan, kInvalid);
  const auto infinity = T::F::kInfinity;
  EXPECT_EQ(run(W::kAdd, infinity, T::kMinusInfinity, kRne), nan);
  EXPECT_EQ(run(W::kAdd, T::kMinusInfinity, infinity, kRne), nan);
  EXPECT_EQ(run(W::kSubtract, infinity, infinity, kRne), nan);
  EXPECT_EQ(run(W::kMultiply, infinity, T::kMinusZero, kRne), nan);
  EXPECT_EQ(run(W::kMultiply, T::kMinusZero, infinity, kRne), nan);
  EXPECT_EQ(run(W::kDivide, infinity, T::kMinusInfinity, kRne), nan);
  EXPECT_EQ(run(W::kDivide, T::kMinusZero, T::kMinusZero, kRne), nan);
  EXPECT_EQ(run(W::kRoot, T::kMinusOne, kRne), nan);
  EXPECT_EQ(run(W::kRoot, T::kMinusInfinity, kRne), nan);
  EXPECT_EQ(run(W::kRoot, T::negate(1), kRne), nan);
  EXPECT_EQ(run(W::kFuse, infinity, T::kOne, T::kMinusInfinity, kRne), nan);
  EXPECT_EQ(run(W::kFuse, infinity, T::kMinusOne, infinity, kRne), nan);
  // F §11.6: even when the addend is a quiet NaN.
  for (const auto addend : {T::kOne, infinity, T::kQuietNan, T::kSignallingNan}) {
    EXPECT_EQ(run(W::kFuse, infinity, T::kMinusZero, addend, kRne), nan);
    EXPECT_EQ(run(W::kFuse, T::kMinusZero, infinity, addend, kRne), nan);
  }
}

TYPED_TEST(SoftfloatTest, InfinitiesAreExact) {
  using T = TestFixture;
  using W = TypeParam;
  const auto infinity = T::result(T::F::kInfinity);
  const auto minus_infinity = T::result(T::kMinusInfinity);
  for (const RoundingMode mode : kAllModes) {
    EXPECT_EQ(run(W::kAdd, T::F::kInfinity, T::F::kInfinity, mode), infinity);
    EXPECT_EQ(run(W::kAdd, T::kMinusOne, T::F::kInfinity, mode), infinity);
    EXPECT_EQ(run(W::kSubtract, T::kLargest, T::F::kInfinity, mode), minus_infinity);
    EXPECT_EQ(run(W::kMultiply, T::kMinusInfinity, T::bits(1), mode), minus_infinity);
    EXPECT_EQ(run(W::kDivide, T::kMinusInfinity, T::kMinusZero, mode), infinity);
    EXPECT_EQ(run(W::kDivide, T::kMinusOne, T::F::kInfinity, mode), T::result(T::kMinusZero));
    EXPECT_EQ(run(W::kRoot, T::F::kInfinity, mode), infinity);
    EXPECT_EQ(run(W::kFuse, T::kLargest, T::kLargest, T::kMinusInfinity, mode), minus_infinity);
    EXPECT_EQ(run(W::kFuse, T::F::kInfinity, T::kMinusOne, T::kLargest, mode), minus_infinity);
  }
}

TYPED_TEST(SoftfloatTest, DivisionByZero) {
  using T = TestFixture;
  using W = TypeParam;
  EXPECT_EQ(run(W::kDivide, T::kOne, T::kMinusZero, kRtz),
            T::result(T::kMinusInfinity, kDivideByZero));
  EXPECT_EQ(run(W::kDivide, T::negate(1), T::kMinusZero, kRtz),
            T::result(T::F::kInfinity, kDivideByZero));
}

TYPED_TEST(SoftfloatTest, SignOfExactZeros) {
  using T = TestFixture;
  using W = TypeParam;
  const auto zero = T::result(0);
  const auto minus_zero = T::result(T::kMinusZero);
  for (const RoundingMode mode : kAllModes) {
    const auto cancelled = mode == kRdn ? minus_zero : zero;
    EXPECT_EQ(run(W::kAdd, T::kOne, T::kMinusOne, mode), cancelled);
    EXPECT_EQ(run(W::kAdd, T::kMinusOne, T::kOne, mode), cancelled);
    EXPECT_EQ(run(W::kSubtract, T::kMinusOne, T::kMinusOne, mode), cancelled);
    EXPECT_EQ(run(W::kAdd, T::bits(0), T::kMinusZero, mode), cancelled);
    EXPECT_EQ(run(W::kAdd, T::kMinusZero, T::kMinusZero, mode), minus_zero);
    EXPECT_EQ(run(W::kSubtract, T::bits(0), T::kMinusZero, mode), zero);
    EXPECT_EQ(run(W::kMultiply, T::kMinusZero, T::kOne, mode), minus_zero);
    EXPECT_EQ(run(W::kDivide, T::kMinusZero, T::kMinusOne, mode), zero);
    EXPECT_EQ(run(W::kRoot, T::kMinusZero, mode), minus_zero);
    EXPECT_EQ(run(W::kFuse, T::kOne, T::kOne, T::kMinusOne, mode), cancelled);
    EXPECT_EQ(run(W::kFuse, T::kOne, T::kMinusOne, T::kOne, mode), cancelled);
    EXPECT_EQ(run(W::kFuse, T::kMinusZero, T::kOne, T::bits(0), mode), cancelled);
    EXPECT_EQ(run(W::kFuse, T::kMinusZero, T::kOne, T::kMinusZero, mode), minus_zero);
    EXPECT_EQ(run(W::kFuse, T::kMinusZero, T::kOne, T::negate(3), mode), T::result(T::negate(3)));
  }
}

// A rounded zero keeps the sign of what was rounded.
TYPED_TEST(SoftfloatTest, SignOfRoundedZeros) {
  using T = TestFixture;
  const unsigned flags = kInexact | kUnderflow;
  const auto square = [](typename T::Bits a, typename T::Bits b, RoundingMode mode) {
    return run(TypeParam::kMultiply, a, b, mode);
  };
  EXPECT_EQ(square(1, T::negate(1), kRne), T::result(T::kMinusZero, flags));
  EXPECT_EQ(square(1, T::negate(1), kRup), T::result(T::kMinusZero, flags));
  EXPECT_EQ(square(1, T::negate(1), kRdn), T::result(T::negate(1), flags));
  EXPECT_EQ(square(1, 1, kRup), T::result(1, flags));
  EXPECT_EQ(square(1, 1, kRmm), T::result(0, flags));
}

TYPED_TEST(SoftfloatTest, TiesInEveryMode) {
  using T = TestFixture;
  struct Case {
    RoundingMode mode;
    unsigned even_up, odd_up, negative_even_up;  // units by which the magnitude grows
  };
  for (const Case& c :
       {Case{kRne, 0, 1, 0}, {kRtz, 0, 0, 0}, {kRdn, 0, 0, 1}, {kRup, 1, 1, 0}, {kRmm, 1, 1, 1}}) {
    SCOPED_TRACE(static_cast<int>(c.mode));
    EXPECT_EQ(run(TypeParam::kAdd, T::kOne, T::kHalfUnit, c.mode),
              T::result(T::kOne + c.even_up, kInexact));
    EXPECT_EQ(run(TypeParam::kAdd, T::kOne + 1, T::kHalfUnit, c.mode),
              T::result(T::kOne + 1 + c.odd_up, kInexact));
    EXPECT_EQ(run(TypeParam::kSubtract, T::kMinusOne, T::kHalfUnit, c.mode),
              T::result(T::kMinusOne + c.negative_even_up, kInexact));
    EXPECT_EQ(run(TypeParam::kFuse, T::kHalfUnit, T::kOne, T::kOne, c.mode),
              T::result(T::kOne + c.even_up, kInexact));
    // Half of the smallest subnormal, and of three of them.
    EXPECT_EQ(run(TypeParam::kMultiply, T::bits(1), T::kHalf, c.mode),
              T::result(c.even_up, kInexact | kUnderflow));
    EXPECT_EQ(run(TypeParam::kDivide, T::bits(3), T::kTwo, c.mode),
              T::result(1 + c.odd_up, kInexact | kUnderflow));
  }
}

// Exact results that lie next to a tie or to a number: only the sticky bit tells.
TYPED_TEST(SoftfloatTest, ResultsNextToTies) {
  using T = TestFixture;
  using W = TypeParam;
  const auto one = T::kOne;
  const auto up = T::result(one + 1, kInexact);
  // (1 + u)² = 1 + 2u + u²
  EXPECT_EQ(run(W::kMultiply, one + 1, one + 1, kRne), T::result(one + 2, kInexact));
  EXPECT_EQ(run(W::kMultiply, one + 1, one + 1, kRtz), T::result(one + 2, kInexact));
  EXPECT_EQ(run(W::kMultiply, one + 1, one + 1, kRup), T::result(one + 3, kInexact));
  // 1/(1 − u/2) = 1 + u/2 + u²/4 + …
  EXPECT_EQ(run(W::kDivide, one, one - 1, kRne), up);
  EXPECT_EQ(run(W::kDivide, one, one - 1, kRmm), up);
  EXPECT_EQ(run(W::kDivide, one, one - 1, kRdn), T::result(one, kInexact));
  // 1/(1 + u) = 1 − u + u² − …
  EXPECT_EQ(run(W::kDivide, one, one + 1, kRne), T::result(one - 2, kInexact));
  EXPECT_EQ(run(W::kDivide, one, one + 1, kRup), T::result(one - 1, kInexact));
  // √(1 + u) = 1 + u/2 − u²/8 + …
  EXPECT_EQ(run(W::kRoot, one + 1, kRne), T::result(one, kInexact));
  EXPECT_EQ(run(W::kRoot, one + 1, kRmm), T::result(one, kInexact));
  EXPECT_EQ(run(W::kRoot, one + 1, kRup), up);
  // √(1 − u/2) = 1 − u/4 − u²/32 − …
  EXPECT_EQ(run(W::kRoot, one - 1, kRne), T::result(one - 1, kInexact));
  EXPECT_EQ(run(W::kRoot, one - 1, kRmm), T::result(one - 1, kInexact));
  EXPECT_EQ(run(W::kRoot, one - 1, kRup), T::result(one, kInexact));
  // √(4 − 2u) = 2 − u/2 − …, the largest root before the next exponent.
  EXPECT_EQ(run(W::kRoot, T::kTwo + T::F::kHidden - 1, kRne), T::result(T::kTwo - 1, kInexact));
  EXPECT_EQ(run(W::kRoot, T::kTwo + T::F::kHidden - 1, kRup), T::result(T::kTwo, kInexact));
}

// A sum whose smaller operand lies just beyond, at, and far beyond the last place.
TYPED_TEST(SoftfloatTest, DistantOperandsOnlyTipTheScale) {
  using T = TestFixture;
  for (const auto tiny : {T::kHalfUnit - 2 * T::F::kHidden, T::F::kHidden, T::bits(1)}) {
    EXPECT_EQ(run(TypeParam::kAdd, T::kOne, tiny, kRne), T::result(T::kOne, kInexact));
    EXPECT_EQ(run(TypeParam::kAdd, T::kOne, tiny, kRmm), T::result(T::kOne, kInexact));
    EXPECT_EQ(run(TypeParam::kAdd, tiny, T::kOne, kRup), T::result(T::kOne + 1, kInexact));
    EXPECT_EQ(run(TypeParam::kSubtract, T::kOne, tiny, kRtz), T::result(T::kOne - 1, kInexact));
    EXPECT_EQ(run(TypeParam::kSubtract, tiny, T::kOne, kRup),
              T::result(T::kMinusOne - 1, kInexact));
    EXPECT_EQ(run(TypeParam::kSubtract, T::kOne, tiny, kRne), T::result(T::kOne, kInexact));
  }
}

TYPED_TEST(SoftfloatTest, OverflowInEveryMode) {
  using T = TestFixture;
  for (const RoundingMode mode : kAllModes) {
    SCOPED_TRACE(static_cast<int>(mode));
    const bool up = mode == kRne || mode == kRmm || mode == kRup;
    const bool down = mode == kRne || mode == kRmm || mode == kRdn;
    const auto positive = T::result(up ? T::F::kInfinity : T::kLargest, kOverflow | kInexact);
    const auto negative =
        T::result(down ? T::kMinusInfinity : T::negate(T::kLargest), kOverflow | kInexact);
    EXPECT_EQ(run(TypeParam::kAdd, T::kLargest, T::kLargest, mode), positive);
    EXPECT_EQ(run(TypeParam::kMultiply, T::kLargest, T::negate(T::kLargest), mode), negative);
    EXPECT_EQ(run(TypeParam::kDivide, T::kLargest, T::bits(1), mode), positive);
    EXPECT_EQ(run(TypeParam::kFuse, T::kLargest, T::kTwo, T::kLargest, mode), positive);
    // 2 × largest − largest does not overflow: there is one rounding only.
    EXPECT_EQ(run(TypeParam::kFuse, T::kLargest, T::kTwo, T::negate(T::kLargest), mode),
              T::result(T::kLargest));
  }
}

// Below the largest number plus half a unit, rounding decides whether there is an overflow.
TYPED_TEST(SoftfloatTest, OverflowByRoundingAlone) {
  using T = TestFixture;
  const auto half_unit = T::bits(T::F::kMaxExponent - 2 - T::F::kFractionBits)
                         << T::F::kFractionBits;
  const auto less = half_unit - 1;
  const unsigned overflow = kOverflow | kInexact;
  const auto infinity = T::result(T::F::kInfinity, overflow);
  const auto largest = T::result(T::kLargest, kInexact);
  const auto add = [](typename T::Bits a, typename T::Bits b, RoundingMode mode) {
    return run(TypeParam::kAdd, a, b, mode);
  };
  // The last place of the largest number is odd, so a tie goes up.
  EXPECT_EQ(add(T::kLargest, half_unit, kRne), infinity);
  EXPECT_EQ(add(T::kLargest, half_unit, kRmm), infinity);
  EXPECT_EQ(add(T::kLargest, half_unit, kRtz), largest);
  EXPECT_EQ(add(T::kLargest, less, kRne), largest);
  EXPECT_EQ(add(T::kLargest, less, kRmm), largest);
  EXPECT_EQ(add(T::kLargest, less, kRdn), largest);
  EXPECT_EQ(add(T::kLargest, less, kRup), infinity);
  EXPECT_EQ(add(T::kLargest, 1, kRup), infinity);
}

TYPED_TEST(SoftfloatTest, TininessIsDetectedAfterRounding) {
  using T = TestFixture;
  const auto smallest = T::F::kHidden;
  const auto below = T::F::kFraction;
  // Smallest normal × (1 − u²): with an unbounded exponent it would round to the smallest normal
  // number in all modes that do not cut off.
  const auto near = [](RoundingMode mode) {
    return run(TypeParam::kMultiply, T::F::kHidden + 1, T::kOne - 2, mode);
  };
  EXPECT_EQ(near(kRne), T::result(smallest, kInexact));
  EXPECT_EQ(near(kRmm), T::result(smallest, kInexact));
  EXPECT_EQ(near(kRup), T::result(smallest, kInexact));
  EXPECT_EQ(near(kRtz), T::result(below, kInexact | kUnderflow));
  EXPECT_EQ(near(kRdn), T::result(below, kInexact | kUnderflow));
  // Smallest normal × (1 − u/2) has few enough digits to be exact with an unbounded exponent, so it
  // is tiny, though it, too, ends as the smallest normal number.
  const auto exact = [](RoundingMode mode) {
    return run(TypeParam::kMultiply, T::F::kHidden, T::kOne - 1, mode);
  };
  EXPECT_EQ(exact(kRne), T::result(smallest, kInexact | kUnderflow));
  EXPECT_EQ(exact(kRmm), T::result(smallest, kInexact | kUnderflow));
  EXPECT_EQ(exact(kRup), T::result(smallest, kInexact | kUnderflow));
  EXPECT_EQ(exact(kRtz), T::result(below, kInexact | kUnderflow));
}

TYPED_TEST(SoftfloatTest, ExactSubnormalsRaiseNothing) {
  using T = TestFixture;
  EXPECT_EQ(run(TypeParam::kAdd, T::F::kFraction, T::bits(1), kRne), T::result(T::F::kHidden));
  EXPECT_EQ(run(TypeParam::kSubtract, T::F::kHidden, T::bits(1), kRne), T::result(T::F::kFraction));
  EXPECT_EQ(run(TypeParam::kMultiply, T::F::kHidden, T::kHalf, kRne), T::result(T::F::kHidden / 2));
  EXPECT_EQ(run(TypeParam::kDivide, T::bits(6), T::kTwo, kRne), T::result(3));
  EXPECT_EQ(run(TypeParam::kFuse, T::bits(1), T::kTwo, T::bits(3), kRne), T::result(5));
}

TYPED_TEST(SoftfloatTest, FusedMultiplyAddRoundsOnce) {
  using T = TestFixture;
  // (1 + u)(1 − u) − 1 = −u²
  const auto square = T::kOne - (T::bits(2 * T::F::kFractionBits) << T::F::kFractionBits);
  for (const RoundingMode mode : kAllModes) {
    EXPECT_EQ(run(TypeParam::kFuse, T::kOne + 1, T::kOne - 2, T::kMinusOne, mode),
              T::result(T::negate(square)));
  }
  // An addend far below the product, and one far above it, only tips the scale.
  EXPECT_EQ(run(TypeParam::kFuse, T::kTwo, T::kTwo, T::bits(1), kRup),
            T::result(T::kTwo + T::F::kHidden + 1, kInexact));
  EXPECT_EQ(run(TypeParam::kFuse, T::kTwo, T::kTwo, T::negate(1), kRtz),
            T::result(T::kTwo + T::F::kHidden - 1, kInexact));
  EXPECT_EQ(run(TypeParam::kFuse, T::bits(1), T::negate(1), T::kOne, kRdn),
            T::result(T::kOne - 1, kInexact));
  EXPECT_EQ(run(TypeParam::kFuse, T::bits(1), T::negate(1), T::kOne, kRne),
            T::result(T::kOne, kInexact));
  // A tie that the addend breaks.
  EXPECT_EQ(run(TypeParam::kFuse, T::kOne + 1, T::kOne + T::F::kHidden / 2, T::negate(1), kRmm),
            T::result(T::kOne + T::F::kHidden / 2 + 1, kInexact));
}

TYPED_TEST(SoftfloatTest, RootsOfSquaresAreExact) {
  using T = TestFixture;
  for (const RoundingMode mode : kAllModes) {
    for (uint32_t i = 1; i < 2000; ++i) {
      const auto root = run(TypeParam::kFromUint32, i, mode).value;
      EXPECT_EQ(run(TypeParam::kRoot, run(TypeParam::kFromUint32, i * i, mode).value, mode),
                T::result(root));
    }
  }
}

TEST(SoftfloatRootTest, RootsOfSubnormalsAreNormal) {
  // The smallest subnormals: 2^-1074 is a square, 2^-149 is not, 2^-148 is.
  EXPECT_EQ(run(sqrt64, uint64_t{1}, kRup), (Outcome<uint64_t>{uint64_t{1023 - 537} << 52, 0}));
  EXPECT_EQ(run(sqrt32, 1U, kRtz), (Outcome<uint32_t>{0x1a3504f3, kInexact}));
  EXPECT_EQ(run(sqrt32, 2U, kRup), (Outcome<uint32_t>{(127U - 74) << 23, 0}));
}

TYPED_TEST(SoftfloatTest, FlagsAccumulate) {
  using T = TestFixture;
  uint8_t flags = kUnderflow;
  TypeParam::kDivide(T::kOne, 0, kRne, flags);
  TypeParam::kAdd(T::kOne, T::kOne, kRne, flags);
  EXPECT_EQ(flags, kUnderflow | kDivideByZero);
  TypeParam::kAdd(T::kOne, 1, kRne, flags);
  EXPECT_EQ(flags, kUnderflow | kDivideByZero | kInexact);
  TypeParam::kLess(T::kQuietNan, 0, flags);
  EXPECT_EQ(flags, kUnderflow | kDivideByZero | kInexact | kInvalid);
}

}  // namespace
}  // namespace lockstep::riscv::softfloat
