// Both widths of softfloat behind the same names, so that each test is written once. For tests.
#pragma once

#include <gtest/gtest.h>

#include "riscv/softfloat/format.h"

namespace lockstep::riscv::softfloat {

struct Single {
  using Format = Binary32;
  using Bits = uint32_t;
  static constexpr auto kAdd = add32;
  static constexpr auto kSubtract = sub32;
  static constexpr auto kMultiply = mul32;
  static constexpr auto kDivide = div32;
  static constexpr auto kRoot = sqrt32;
  static constexpr auto kFuse = fma32;
  static constexpr auto kMinimum = min32;
  static constexpr auto kMaximum = max32;
  static constexpr auto kEqual = eq32;
  static constexpr auto kLess = lt32;
  static constexpr auto kLessOrEqual = le32;
  static constexpr auto kClassify = classify32;
  static constexpr auto kToInt32 = to_int32_32;
  static constexpr auto kToUint32 = to_uint32_32;
  static constexpr auto kToInt64 = to_int64_32;
  static constexpr auto kToUint64 = to_uint64_32;
  static constexpr auto kFromInt32 = from_int32_to32;
  static constexpr auto kFromUint32 = from_uint32_to32;
  static constexpr auto kFromInt64 = from_int64_to32;
  static constexpr auto kFromUint64 = from_uint64_to32;
};

struct Double {
  using Format = Binary64;
  using Bits = uint64_t;
  static constexpr auto kAdd = add64;
  static constexpr auto kSubtract = sub64;
  static constexpr auto kMultiply = mul64;
  static constexpr auto kDivide = div64;
  static constexpr auto kRoot = sqrt64;
  static constexpr auto kFuse = fma64;
  static constexpr auto kMinimum = min64;
  static constexpr auto kMaximum = max64;
  static constexpr auto kEqual = eq64;
  static constexpr auto kLess = lt64;
  static constexpr auto kLessOrEqual = le64;
  static constexpr auto kClassify = classify64;
  static constexpr auto kToInt32 = to_int32_64;
  static constexpr auto kToUint32 = to_uint32_64;
  static constexpr auto kToInt64 = to_int64_64;
  static constexpr auto kToUint64 = to_uint64_64;
  static constexpr auto kFromInt32 = from_int32_to64;
  static constexpr auto kFromUint32 = from_uint32_to64;
  static constexpr auto kFromInt64 = from_int64_to64;
  static constexpr auto kFromUint64 = from_uint64_to64;
};

using Widths = ::testing::Types<Single, Double>;

// A value and the flags it raised; what tests compare.
template <typename Value>
struct Outcome {
  Value value{};
  uint8_t flags = 0;
  bool operator==(const Outcome&) const = default;

  // GoogleTest prints failures with it.
  friend void PrintTo(const Outcome& outcome, std::ostream* out) {
    *out << std::hex << "0x" << +outcome.value << " flags 0x" << +outcome.flags << std::dec;
  }
};

// Calls a softfloat function with cleared flags.
template <typename Function, typename... Arguments>
auto run(Function function, Arguments... arguments) {
  uint8_t flags = 0;
  const auto value = function(arguments..., flags);
  return Outcome<std::remove_const_t<decltype(value)>>{value, flags};
}

template <typename F>
typename F::Bits canonical(typename F::Bits a) {
  return F::is_nan(a) ? F::kCanonicalNan : a;
}

// What typed tests of softfloat have at hand: landmarks of the format under test.
template <typename Width>
class WidthTest : public ::testing::Test {
 public:
  using F = typename Width::Format;
  using Bits = typename F::Bits;
  using Result = Outcome<Bits>;

  static constexpr Bits kOne = static_cast<Bits>(F::kBias) << F::kFractionBits;
  static constexpr Bits kTwo = kOne + F::kHidden;
  static constexpr Bits kHalf = kOne - F::kHidden;
  static constexpr Bits kMinusOne = kOne | F::kSign;
  static constexpr Bits kLargest = F::kInfinity - 1;
  static constexpr Bits kMinusInfinity = F::kInfinity | F::kSign;
  static constexpr Bits kMinusZero = F::kSign;
  static constexpr Bits kQuietNan = F::kCanonicalNan | F::kSign | 5;
  static constexpr Bits kSignallingNan = F::kInfinity | 1;
  // Half a unit in the last place of 1.
  static constexpr Bits kHalfUnit = kOne - (Bits{F::kFractionBits + 1} << F::kFractionBits);

  static constexpr Bits bits(uint64_t value) { return static_cast<Bits>(value); }
  static Bits negate(Bits a) { return a ^ F::kSign; }
  static Result result(Bits value, unsigned flags = 0) {
    return {value, static_cast<uint8_t>(flags)};
  }
};

}  // namespace lockstep::riscv::softfloat
