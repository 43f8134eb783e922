// softfloat in all five rounding modes against exact arithmetic; covers what the host cannot judge:
// ties away from zero, and fma on hosts without FMA3.
#include <gtest/gtest.h>

#include "riscv/softfloat/softfloat.h"
#include "riscv/softfloat/test_exact.h"
#include "riscv/softfloat/test_operands.h"
#include "riscv/softfloat/test_widths.h"

namespace lockstep::riscv::softfloat {
namespace {

constexpr int kCases = 10'000;
constexpr uint64_t kSeed = 20260102;

template <typename Width>
class SoftfloatExactTest : public ::testing::Test {};
TYPED_TEST_SUITE(SoftfloatExactTest, Widths);

template <typename F>
bool is_finite(typename F::Bits a) {
  return F::magnitude(a) < F::kInfinity;
}

// `soft` runs the function under test in a mode.
template <typename F, typename Compare, typename Soft>
bool agrees_in_all_modes(bool negative, Compare compare, Soft soft) {
  const ExactResult<F, Compare> exact(negative, compare);
  for (const RoundingMode mode : kAllModes) {
    const auto expected = exact.rounded(mode);
    const auto outcome = soft(mode);
    if (outcome == expected) continue;
    EXPECT_EQ(outcome, expected) << "mode " << static_cast<int>(mode);
    return false;
  }
  return true;
}

// ±|a|·|b| ± |c|, which every sum, product and fused operation is.
template <typename F, typename Soft>
bool sum_agrees(Dyadic a, Dyadic b, bool negative_product, Dyadic c, bool negative_c, Soft soft) {
  ExactSum value;
  value.add(negative_product, a, b);
  value.add(negative_c, c, kUnity);
  if (value.sign() == 0) return true;
  const bool negative = value.sign() < 0;
  const auto compare = [&](Dyadic candidate) {
    ExactSum difference;
    difference.add(negative_product != negative, a, b);
    difference.add(negative_c != negative, c, kUnity);
    difference.add(true, candidate, kUnity);
    return difference.sign();
  };
  return agrees_in_all_modes<F>(negative, compare, soft);
}

TYPED_TEST(SoftfloatExactTest, Add) {
  using F = typename TypeParam::Format;
  Operands<F> operands(kSeed);
  for (int i = 0; i < kCases; ++i) {
    const auto a = operands.number();
    const auto b = operands.partner(a);
    if (!is_finite<F>(b)) continue;
    ASSERT_TRUE(sum_agrees<F>(dyadic<F>(a), kUnity, F::sign(a), dyadic<F>(b), F::sign(b),
                              [&](RoundingMode mode) { return run(TypeParam::kAdd, a, b, mode); }))
        << std::hex << a << " + " << b;
  }
}

TYPED_TEST(SoftfloatExactTest, Multiply) {
  using F = typename TypeParam::Format;
  Operands<F> operands(kSeed);
  for (int i = 0; i < kCases; ++i) {
    const auto a = operands.number();
    const auto b = operands.partner(a);
    if (!is_finite<F>(b)) continue;
    const auto soft = [&](RoundingMode mode) { return run(TypeParam::kMultiply, a, b, mode); };
    ASSERT_TRUE(sum_agrees<F>(dyadic<F>(a), dyadic<F>(b), F::sign(a ^ b), Dyadic{}, false, soft))
        << std::hex << a << " * " << b;
  }
}

TYPED_TEST(SoftfloatExactTest, FusedMultiplyAdd) {
  using F = typename TypeParam::Format;
  Operands<F> operands(kSeed);
  for (int i = 0; i < 2 * kCases; ++i) {
    const auto a = operands.number();
    const auto b = operands.partner(a);
    const auto c = operands.addend(run(TypeParam::kMultiply, a, b, RoundingMode::kRne).value);
    if (!is_finite<F>(b) || !is_finite<F>(c)) continue;
    const auto soft = [&](RoundingMode mode) { return run(TypeParam::kFuse, a, b, c, mode); };
    ASSERT_TRUE(
        sum_agrees<F>(dyadic<F>(a), dyadic<F>(b), F::sign(a ^ b), dyadic<F>(c), F::sign(c), soft))
        << std::hex << a << " * " << b << " + " << c;
  }
}

TYPED_TEST(SoftfloatExactTest, Divide) {
  using F = typename TypeParam::Format;
  Operands<F> operands(kSeed);
  for (int i = 0; i < kCases; ++i) {
    const auto a = operands.number();
    const auto b = operands.partner(a);
    if (!is_finite<F>(b) || F::is_zero(b)) continue;
    const auto compare = [&](Dyadic candidate) {
      ExactSum difference;
      difference.add(false, dyadic<F>(a), kUnity);
      difference.add(true, dyadic<F>(b), candidate);
      return difference.sign();
    };
    ASSERT_TRUE(agrees_in_all_modes<F>(
        F::sign(a ^ b), compare,
        [&](RoundingMode mode) { return run(TypeParam::kDivide, a, b, mode); }))
        << std::hex << a << " / " << b;
  }
}

TYPED_TEST(SoftfloatExactTest, Root) {
  using F = typename TypeParam::Format;
  Operands<F> operands(kSeed);
  for (int i = 0; i < kCases; ++i) {
    const auto a = F::magnitude(operands.number());
    const auto compare = [&](Dyadic candidate) {
      // No root is near the ends of the range, and the squares of those would not fit.
      if (candidate.exponent < -F::kBias) return 1;
      ExactSum difference;
      difference.add(false, dyadic<F>(a), kUnity);
      difference.add(true, candidate, candidate);
      return difference.sign();
    };
    ASSERT_TRUE(agrees_in_all_modes<F>(
        false, compare, [&](RoundingMode mode) { return run(TypeParam::kRoot, a, mode); }))
        << std::hex << a;
  }
}

TYPED_TEST(SoftfloatExactTest, FromInteger) {
  using F = typename TypeParam::Format;
  Operands<F> operands(kSeed);
  for (int i = 0; i < kCases; ++i) {
    // Ties: ones at the top and at the half of the last place.
    uint64_t a = operands.word() | uint64_t{1} << 63;
    if (operands.below(2) == 0) a &= ~uint64_t{0} << (62 - F::kFractionBits);
    a >>= operands.below(64);
    const Dyadic value = {a, 0};
    ASSERT_TRUE(
        sum_agrees<F>(value, kUnity, false, Dyadic{}, false,
                      [&](RoundingMode mode) { return run(TypeParam::kFromUint64, a, mode); }))
        << std::hex << a;
    const auto wide = static_cast<int64_t>(a);
    const Dyadic magnitude = {wide < 0 ? uint64_t{0} - a : a, 0};
    ASSERT_TRUE(
        sum_agrees<F>(magnitude, kUnity, wide < 0, Dyadic{}, false,
                      [&](RoundingMode mode) { return run(TypeParam::kFromInt64, wide, mode); }))
        << std::hex << a;
  }
}

// ⌊|a| + 1/2⌋ = ⌈⌊2|a|⌋ / 2⌉ rounded away, and doubling is exact.
TYPED_TEST(SoftfloatExactTest, ToIntegerTiesAway) {
  using F = typename TypeParam::Format;
  Operands<F> operands(kSeed);
  for (int i = 0; i < 10 * kCases; ++i) {
    const auto a = operands.any();
    if (!F::is_normal(a) || F::exponent(a) > F::kBias + 61) continue;
    const auto doubled = F::magnitude(a) + F::kHidden;
    const auto halves = run(TypeParam::kToUint64, doubled, RoundingMode::kRtz).value;
    const auto magnitude = static_cast<int64_t>((halves + 1) / 2);
    const auto flags = run(TypeParam::kToInt64, a, RoundingMode::kRtz).flags;
    const Outcome<int64_t> expected = {F::sign(a) ? -magnitude : magnitude, flags};
    ASSERT_EQ(run(TypeParam::kToInt64, a, RoundingMode::kRmm), expected) << std::hex << a;
  }
}

TEST(SoftfloatExactWidthTest, Narrow) {
  Operands<Binary64> operands(kSeed);
  for (int i = 0; i < 2 * kCases; ++i) {
    uint64_t a = operands.number();
    // Most of them in binary32's range and a little beyond, with ties.
    if (operands.below(4) != 0) {
      const uint64_t exponent = Binary64::kBias - Binary32::kBias - 26 + operands.below(256 + 30);
      a = (a & ~Binary64::kInfinity) | exponent << 52;
    }
    if (operands.below(2) == 0) a &= ~uint64_t{0} << (28 + operands.below(24));
    ASSERT_TRUE(
        sum_agrees<Binary32>(dyadic<Binary64>(a), kUnity, Binary64::sign(a), Dyadic{}, false,
                             [&](RoundingMode mode) { return run(convert_64_to_32, a, mode); }))
        << std::hex << a;
  }
}

}  // namespace
}  // namespace lockstep::riscv::softfloat
