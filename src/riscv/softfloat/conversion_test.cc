// Conversions of softfloat, case by case: ties, the ends of the integer ranges, saturation.
#include <bit>
#include <gtest/gtest.h>
#include <limits>

#include "riscv/softfloat/format.h"
#include "riscv/softfloat/softfloat.h"
#include "riscv/softfloat/test_operands.h"
#include "riscv/softfloat/test_widths.h"

namespace lockstep::riscv::softfloat {
namespace {

constexpr RoundingMode kRne = RoundingMode::kRne;
constexpr RoundingMode kRtz = RoundingMode::kRtz;
constexpr RoundingMode kRdn = RoundingMode::kRdn;
constexpr RoundingMode kRup = RoundingMode::kRup;
constexpr RoundingMode kRmm = RoundingMode::kRmm;

// Patterns of constants; the compiler computes them.
constexpr uint64_t bits64(double value) {
  return std::bit_cast<uint64_t>(value);
}
constexpr uint32_t bits32(float value) {
  return std::bit_cast<uint32_t>(value);
}

template <typename Integer>
Outcome<Integer> outcome(Integer value, unsigned flags) {
  return {value, static_cast<uint8_t>(flags)};
}

TEST(SoftfloatConversionTest, TiesAndFractionsInEveryMode) {
  struct Case {
    double value;
    int64_t expected[5];  // RNE, RTZ, RDN, RUP, RMM
  };
  for (const Case& c :
       {Case{0.5, {0, 0, 0, 1, 1}}, Case{1.5, {2, 1, 1, 2, 2}}, Case{2.5, {2, 2, 2, 3, 3}},
        Case{-0.5, {0, 0, -1, 0, -1}}, Case{-1.5, {-2, -1, -2, -1, -2}},
        Case{-2.5, {-2, -2, -3, -2, -3}}, Case{0.25, {0, 0, 0, 1, 0}},
        Case{-0.75, {-1, 0, -1, 0, -1}}, Case{0x1.fffffep-2, {0, 0, 0, 1, 0}},
        Case{1234567.5, {1234568, 1234567, 1234567, 1234568, 1234568}}}) {
    for (const RoundingMode mode : kAllModes) {
      SCOPED_TRACE(c.value);
      const int64_t expected = c.expected[static_cast<int>(mode)];
      const uint64_t a = bits64(c.value);
      const uint32_t narrow = bits32(static_cast<float>(c.value));
      const auto expected32 = static_cast<int32_t>(expected);
      EXPECT_EQ(run(to_int64_64, a, mode), outcome(expected, kInexact));
      EXPECT_EQ(run(to_int32_64, a, mode), outcome(expected32, kInexact));
      EXPECT_EQ(run(to_int64_32, narrow, mode), outcome(expected, kInexact));
      EXPECT_EQ(run(to_int32_32, narrow, mode), outcome(expected32, kInexact));
      // Unsigned: what rounds to a negative integer does not fit; what rounds to zero does.
      const unsigned flags = expected < 0 ? kInvalid : kInexact;
      const auto natural = static_cast<uint64_t>(expected < 0 ? 0 : expected);
      EXPECT_EQ(run(to_uint64_64, a, mode), outcome(natural, flags));
      EXPECT_EQ(run(to_uint32_64, a, mode), outcome(static_cast<uint32_t>(natural), flags));
      EXPECT_EQ(run(to_uint64_32, narrow, mode), outcome(natural, flags));
      EXPECT_EQ(run(to_uint32_32, narrow, mode), outcome(static_cast<uint32_t>(natural), flags));
    }
  }
}

TEST(SoftfloatConversionTest, RoundingDecidesWhetherAnIntegerFits) {
  constexpr int32_t kMax = std::numeric_limits<int32_t>::max();
  constexpr int32_t kMin = std::numeric_limits<int32_t>::min();
  EXPECT_EQ(run(to_int32_64, bits64(2147483647.5), kRtz), outcome(kMax, kInexact));
  EXPECT_EQ(run(to_int32_64, bits64(2147483647.5), kRdn), outcome(kMax, kInexact));
  EXPECT_EQ(run(to_int32_64, bits64(2147483647.5), kRne), outcome(kMax, kInvalid));
  EXPECT_EQ(run(to_int32_64, bits64(2147483647.5), kRmm), outcome(kMax, kInvalid));
  EXPECT_EQ(run(to_int32_64, bits64(2147483647.25), kRup), outcome(kMax, kInvalid));
  EXPECT_EQ(run(to_int32_64, bits64(-2147483648.5), kRne), outcome(kMin, kInexact));
  EXPECT_EQ(run(to_int32_64, bits64(-2147483648.5), kRmm), outcome(kMin, kInvalid));
  EXPECT_EQ(run(to_int32_64, bits64(-2147483648.25), kRdn), outcome(kMin, kInvalid));
  EXPECT_EQ(run(to_uint32_64, bits64(4294967295.5), kRtz), outcome(0xffffffffU, kInexact));
  EXPECT_EQ(run(to_uint32_64, bits64(4294967295.5), kRne), outcome(0xffffffffU, kInvalid));
  EXPECT_EQ(run(to_uint32_64, bits64(-0.75), kRtz), outcome(0U, kInexact));
  EXPECT_EQ(run(to_uint32_64, bits64(-0.75), kRne), outcome(0U, kInvalid));
}

TEST(SoftfloatConversionTest, EndsOfTheRangesAreExact) {
  for (const RoundingMode mode : kAllModes) {
    EXPECT_EQ(run(to_int32_64, bits64(2147483647.0), mode), outcome(0x7fffffff, 0));
    EXPECT_EQ(run(to_int32_64, bits64(-2147483648.0), mode),
              outcome(std::numeric_limits<int32_t>::min(), 0));
    EXPECT_EQ(run(to_uint32_64, bits64(4294967295.0), mode), outcome(0xffffffffU, 0));
    EXPECT_EQ(run(to_int64_64, bits64(-0x1p63), mode),
              outcome(std::numeric_limits<int64_t>::min(), 0));
    EXPECT_EQ(run(to_int64_64, bits64(0x1.fffffffffffffp62), mode),
              outcome(int64_t{0x7ffffffffffffc00}, 0));
    EXPECT_EQ(run(to_uint64_64, bits64(0x1.fffffffffffffp63), mode),
              outcome(uint64_t{0xfffffffffffff800}, 0));
    EXPECT_EQ(run(to_uint64_32, bits32(0x1p63F), mode), outcome(uint64_t{1} << 63, 0));
    EXPECT_EQ(run(to_uint64_64, bits64(-0.0), mode), outcome(uint64_t{0}, 0));
  }
}

template <typename Width, typename Integer>
void expect_saturation(Integer (*convert)(typename Width::Bits, RoundingMode, uint8_t&),
                       int bits_above) {
  using F = typename Width::Format;
  using Bits = typename F::Bits;
  using Limits = std::numeric_limits<Integer>;
  // The first power of two that does not fit.
  const Bits power = static_cast<Bits>(F::kBias + bits_above) << F::kFractionBits;
  const auto largest = outcome(Limits::max(), kInvalid);
  const auto smallest = outcome(Limits::min(), kInvalid);
  for (const RoundingMode mode : kAllModes) {
    for (const Bits a : {power, Bits{F::kInfinity - 1}, Bits{F::kInfinity}, F::kCanonicalNan,
                         F::kCanonicalNan | F::kSign, Bits{F::kInfinity | 1}}) {
      EXPECT_EQ(run(convert, a, mode), largest);
    }
    // A negative power fits the signed types exactly.
    const Bits below = (power | F::kSign) + (std::is_signed_v<Integer> ? F::kHidden : 0);
    for (const Bits a : {below, Bits{(F::kInfinity - 1) | F::kSign}, F::kInfinity | F::kSign}) {
      EXPECT_EQ(run(convert, a, mode), smallest);
    }
  }
}

TEST(SoftfloatConversionTest, Saturation) {
  expect_saturation<Single>(to_int32_32, 31);
  expect_saturation<Single>(to_uint32_32, 32);
  expect_saturation<Single>(to_int64_32, 63);
  expect_saturation<Single>(to_uint64_32, 64);
  expect_saturation<Double>(to_int32_64, 31);
  expect_saturation<Double>(to_uint32_64, 32);
  expect_saturation<Double>(to_int64_64, 63);
  expect_saturation<Double>(to_uint64_64, 64);
}

TEST(SoftfloatConversionTest, FromTheEndsOfTheRanges) {
  constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
  constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();
  for (const RoundingMode mode : kAllModes) {
    EXPECT_EQ(run(from_int64_to64, kMin, mode), outcome(bits64(-0x1p63), 0));
    EXPECT_EQ(run(from_int64_to32, kMin, mode), outcome(bits32(-0x1p63F), 0));
    EXPECT_EQ(run(from_int32_to32, std::numeric_limits<int32_t>::min(), mode),
              outcome(bits32(-0x1p31F), 0));
    EXPECT_EQ(run(from_uint32_to64, 0xffffffffU, mode), outcome(bits64(4294967295.0), 0));
    EXPECT_EQ(run(from_int32_to64, -1, mode), outcome(bits64(-1.0), 0));
    EXPECT_EQ(run(from_int64_to64, int64_t{0}, mode), outcome(uint64_t{0}, 0));
    const bool up = mode == kRne || mode == kRup || mode == kRmm;
    EXPECT_EQ(run(from_uint64_to64, kMax, mode),
              outcome(bits64(up ? 0x1p64 : 0x1.fffffffffffffp63), kInexact));
    EXPECT_EQ(run(from_uint64_to32, kMax, mode),
              outcome(bits32(up ? 0x1p64F : 0x1.fffffep63F), kInexact));
  }
  // 2^24 + 1 is a tie in binary32.
  EXPECT_EQ(run(from_int32_to32, 0x1000001, kRne), outcome(bits32(0x1p24F), kInexact));
  EXPECT_EQ(run(from_int32_to32, 0x1000001, kRmm), outcome(bits32(0x1.000002p24F), kInexact));
  EXPECT_EQ(run(from_int32_to32, -0x1000001, kRmm), outcome(bits32(-0x1.000002p24F), kInexact));
  EXPECT_EQ(run(from_int32_to32, -0x1000001, kRup), outcome(bits32(-0x1p24F), kInexact));
}

TEST(SoftfloatConversionTest, Widening) {
  EXPECT_EQ(run(convert_32_to_64, bits32(-1.5F)), outcome(bits64(-1.5), 0));
  EXPECT_EQ(run(convert_32_to_64, 1U), outcome(bits64(0x1p-149), 0));
  EXPECT_EQ(run(convert_32_to_64, 0x807fffffU), outcome(bits64(-0x1.fffffcp-127), 0));
  EXPECT_EQ(run(convert_32_to_64, 0x80000000U), outcome(bits64(-0.0), 0));
  EXPECT_EQ(run(convert_32_to_64, 0xff800000U), outcome(uint64_t{0xfff0000000000000}, 0));
  EXPECT_EQ(run(convert_32_to_64, 0xffc00001U), outcome(uint64_t{0x7ff8000000000000}, 0));
  EXPECT_EQ(run(convert_32_to_64, 0xff800001U), outcome(uint64_t{0x7ff8000000000000}, kInvalid));
}

TEST(SoftfloatConversionTest, Narrowing) {
  const unsigned overflow = kOverflow | kInexact;
  const unsigned underflow = kUnderflow | kInexact;
  EXPECT_EQ(run(convert_64_to_32, bits64(-1.5), kRne), outcome(bits32(-1.5F), 0));
  EXPECT_EQ(run(convert_64_to_32, bits64(-0.0), kRne), outcome(0x80000000U, 0));
  EXPECT_EQ(run(convert_64_to_32, bits64(0x1p128), kRne), outcome(0x7f800000U, overflow));
  EXPECT_EQ(run(convert_64_to_32, bits64(0x1p128), kRtz), outcome(0x7f7fffffU, overflow));
  EXPECT_EQ(run(convert_64_to_32, bits64(0x1.ffffffp127), kRne), outcome(0x7f800000U, overflow));
  EXPECT_EQ(run(convert_64_to_32, bits64(0x1.fffffep127), kRne), outcome(0x7f7fffffU, 0));
  EXPECT_EQ(run(convert_64_to_32, bits64(0x1p-149), kRne), outcome(1U, 0));
  EXPECT_EQ(run(convert_64_to_32, bits64(0x1p-150), kRne), outcome(0U, underflow));
  EXPECT_EQ(run(convert_64_to_32, bits64(0x1p-150), kRmm), outcome(1U, underflow));
  EXPECT_EQ(run(convert_64_to_32, bits64(0x1.8p-149), kRne), outcome(2U, underflow));
  EXPECT_EQ(run(convert_64_to_32, uint64_t{1}, kRup), outcome(1U, underflow));
  EXPECT_EQ(run(convert_64_to_32, uint64_t{1} << 63 | 1, kRup), outcome(0x80000000U, underflow));
  // Both end as the smallest normal number. The first fits 24 digits, so it is tiny; the second, a
  // tie at the 24th, is not.
  EXPECT_EQ(run(convert_64_to_32, bits64(0x1.fffffep-127), kRne), outcome(0x00800000U, underflow));
  EXPECT_EQ(run(convert_64_to_32, bits64(0x1.ffffffp-127), kRne), outcome(0x00800000U, kInexact));
  EXPECT_EQ(run(convert_64_to_32, uint64_t{0xfff0000000000000}, kRne), outcome(0xff800000U, 0));
  EXPECT_EQ(run(convert_64_to_32, uint64_t{0xfff8000000000001}, kRne), outcome(0x7fc00000U, 0));
  EXPECT_EQ(run(convert_64_to_32, uint64_t{0x7ff0000000000001}, kRne),
            outcome(0x7fc00000U, kInvalid));
}

// Widening and narrowing again is the identity on all numbers of binary32.
TEST(SoftfloatConversionTest, EverySingleSurvivesTheRoundTrip) {
  constexpr uint32_t kStride = 97;  // a prime: every exponent, all kinds of fractions
  for (uint64_t a = 0; a <= 0xffffffffU; a += kStride) {
    const auto narrow = static_cast<uint32_t>(a);
    uint8_t flags = 0;
    const uint32_t back =
        convert_64_to_32(convert_32_to_64(narrow, flags), kAllModes[a % 5], flags);
    ASSERT_EQ(back, canonical<Binary32>(narrow));
    ASSERT_EQ(flags, Binary32::is_signalling(narrow) ? kInvalid : 0);
  }
}

}  // namespace
}  // namespace lockstep::riscv::softfloat
