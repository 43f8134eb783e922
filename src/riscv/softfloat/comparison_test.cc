// Comparisons, minimum, maximum and classes of softfloat, case by case.
#include <gtest/gtest.h>

#include "riscv/softfloat/softfloat.h"
#include "riscv/softfloat/test_widths.h"

namespace lockstep::riscv::softfloat {
namespace {

template <typename Width>
class SoftfloatComparisonTest : public WidthTest<Width> {};
TYPED_TEST_SUITE(SoftfloatComparisonTest, Widths);

TYPED_TEST(SoftfloatComparisonTest, MinimumAndMaximum) {
  using T = TestFixture;
  using W = TypeParam;
  EXPECT_EQ(run(W::kMinimum, T::bits(0), T::kMinusZero), T::result(T::kMinusZero));
  EXPECT_EQ(run(W::kMinimum, T::kMinusZero, T::bits(0)), T::result(T::kMinusZero));
  EXPECT_EQ(run(W::kMaximum, T::bits(0), T::kMinusZero), T::result(0));
  EXPECT_EQ(run(W::kMaximum, T::kMinusZero, T::bits(0)), T::result(0));
  EXPECT_EQ(run(W::kMinimum, T::kMinusOne, T::kMinusInfinity), T::result(T::kMinusInfinity));
  EXPECT_EQ(run(W::kMaximum, T::kMinusOne, T::kMinusInfinity), T::result(T::kMinusOne));
  for (const auto function : {W::kMinimum, W::kMaximum}) {
    EXPECT_EQ(run(function, T::kQuietNan, T::kMinusOne), T::result(T::kMinusOne));
    EXPECT_EQ(run(function, T::kMinusOne, T::kQuietNan), T::result(T::kMinusOne));
    EXPECT_EQ(run(function, T::kSignallingNan, T::kOne), T::result(T::kOne, kInvalid));
    EXPECT_EQ(run(function, T::kOne, T::kSignallingNan), T::result(T::kOne, kInvalid));
    EXPECT_EQ(run(function, T::kQuietNan, T::kQuietNan), T::result(T::F::kCanonicalNan));
    EXPECT_EQ(run(function, T::kQuietNan, T::kSignallingNan),
              T::result(T::F::kCanonicalNan, kInvalid));
  }
}

TYPED_TEST(SoftfloatComparisonTest, Comparisons) {
  using T = TestFixture;
  using W = TypeParam;
  const Outcome<bool> yes{true, 0};
  const Outcome<bool> no{false, 0};
  const Outcome<bool> invalid{false, kInvalid};
  EXPECT_EQ(run(W::kEqual, T::bits(0), T::kMinusZero), yes);
  EXPECT_EQ(run(W::kLess, T::kMinusZero, T::bits(0)), no);
  EXPECT_EQ(run(W::kLessOrEqual, T::bits(0), T::kMinusZero), yes);
  EXPECT_EQ(run(W::kLess, T::kMinusInfinity, T::negate(T::kLargest)), yes);
  EXPECT_EQ(run(W::kLess, T::negate(1), T::bits(0)), yes);
  EXPECT_EQ(run(W::kLess, T::kOne, T::kOne), no);
  EXPECT_EQ(run(W::kLessOrEqual, T::kOne, T::kOne), yes);
  EXPECT_EQ(run(W::kLessOrEqual, T::kOne, T::kMinusOne), no);
  EXPECT_EQ(run(W::kEqual, T::kQuietNan, T::kQuietNan), no);
  EXPECT_EQ(run(W::kEqual, T::kOne, T::kSignallingNan), invalid);
  EXPECT_EQ(run(W::kLess, T::kQuietNan, T::kOne), invalid);
  EXPECT_EQ(run(W::kLessOrEqual, T::kOne, T::kQuietNan), invalid);
}

TYPED_TEST(SoftfloatComparisonTest, Classes) {
  using T = TestFixture;
  constexpr auto kClassify = TypeParam::kClassify;
  EXPECT_EQ(kClassify(T::kMinusInfinity), 1U << 0);
  EXPECT_EQ(kClassify(T::negate(T::kLargest)), 1U << 1);
  EXPECT_EQ(kClassify(T::negate(T::F::kHidden)), 1U << 1);
  EXPECT_EQ(kClassify(T::negate(T::F::kFraction)), 1U << 2);
  EXPECT_EQ(kClassify(T::kMinusZero), 1U << 3);
  EXPECT_EQ(kClassify(0), 1U << 4);
  EXPECT_EQ(kClassify(1), 1U << 5);
  EXPECT_EQ(kClassify(T::F::kFraction), 1U << 5);
  EXPECT_EQ(kClassify(T::F::kHidden), 1U << 6);
  EXPECT_EQ(kClassify(T::kLargest), 1U << 6);
  EXPECT_EQ(kClassify(T::F::kInfinity), 1U << 7);
  EXPECT_EQ(kClassify(T::kSignallingNan), 1U << 8);
  EXPECT_EQ(kClassify(T::negate(T::F::kCanonicalNan - 1)), 1U << 8);
  EXPECT_EQ(kClassify(T::kQuietNan), 1U << 9);
}

}  // namespace
}  // namespace lockstep::riscv::softfloat
