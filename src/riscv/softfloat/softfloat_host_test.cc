// softfloat against the host's SSE and FMA3 units.
#include "riscv/softfloat/softfloat.h"

#if defined(__x86_64__)

#include <gtest/gtest.h>

#include "riscv/softfloat/test_host_float.h"
#include "riscv/softfloat/test_operands.h"
#include "riscv/softfloat/test_widths.h"

namespace lockstep::riscv::softfloat {
namespace {

constexpr int kCases = 1'000'000;
constexpr uint64_t kSeed = 20260101;

template <typename Width>
class SoftfloatHostTest : public ::testing::Test {};
TYPED_TEST_SUITE(SoftfloatHostTest, Widths);

// Many cases, one assertion's worth of output: stops at the first difference.
template <typename Value, typename... Arguments>
bool same(const Outcome<Value>& soft, const Outcome<Value>& host, RoundingMode mode,
          Arguments... arguments) {
  if (soft == host) return true;
  std::string text;
  ((text += ::testing::PrintToString(Outcome<Arguments>{arguments, 0}) + ", "), ...);
  EXPECT_EQ(soft, host) << "mode " << static_cast<int>(mode) << " operands " << text;
  return false;
}

template <typename F, typename Function, typename... Arguments>
auto run_host(Function function, Arguments... arguments) {
  auto outcome = run(function, arguments...);
  outcome.value = canonical<F>(outcome.value);
  return outcome;
}

template <typename Width, typename Host>
void compare_binary(typename Width::Bits (*soft)(typename Width::Bits, typename Width::Bits,
                                                 RoundingMode, uint8_t&),
                    Host host) {
  using F = typename Width::Format;
  Operands<F> operands(kSeed);
  for (int i = 0; i < kCases; ++i) {
    const auto a = operands.any();
    const auto b = operands.partner(a);
    const RoundingMode mode = operands.host_mode();
    if (!same(run(soft, a, b, mode), run_host<F>(host, a, b, mode), mode, a, b)) return;
  }
}

TYPED_TEST(SoftfloatHostTest, Add) {
  compare_binary<TypeParam>(TypeParam::kAdd, [](auto a, auto b, RoundingMode mode, uint8_t& flags) {
    return host::add(a, b, mode, flags);
  });
}

TYPED_TEST(SoftfloatHostTest, Subtract) {
  compare_binary<TypeParam>(TypeParam::kSubtract,
                            [](auto a, auto b, RoundingMode mode, uint8_t& flags) {
                              return host::subtract(a, b, mode, flags);
                            });
}

TYPED_TEST(SoftfloatHostTest, Multiply) {
  compare_binary<TypeParam>(TypeParam::kMultiply,
                            [](auto a, auto b, RoundingMode mode, uint8_t& flags) {
                              return host::multiply(a, b, mode, flags);
                            });
}

TYPED_TEST(SoftfloatHostTest, Divide) {
  compare_binary<TypeParam>(TypeParam::kDivide,
                            [](auto a, auto b, RoundingMode mode, uint8_t& flags) {
                              return host::divide(a, b, mode, flags);
                            });
}

template <typename F>
bool root_agrees(typename F::Bits (*soft)(typename F::Bits, RoundingMode, uint8_t&),
                 typename F::Bits a, RoundingMode mode) {
  const auto host_root = [](auto value, RoundingMode host_mode, uint8_t& flags) {
    return host::root(value, host_mode, flags);
  };
  return same(run(soft, a, mode), run_host<F>(host_root, a, mode), mode, a);
}

TYPED_TEST(SoftfloatHostTest, Root) {
  using F = typename TypeParam::Format;
  Operands<F> operands(kSeed);
  for (int i = 0; i < kCases; ++i) {
    auto a = operands.any();
    if (operands.below(4) != 0) a &= ~F::kSign;
    // Squares and their neighbours, where the root is exact or nearly so.
    if (operands.below(2) == 0) {
      const auto small = a & ~((typename F::Bits{1} << (F::kFractionBits / 2 + 1)) - 1);
      a = run(TypeParam::kMultiply, small, small, RoundingMode::kRtz).value +
          static_cast<typename F::Bits>(operands.below(3)) - 1;
    }
    if (!root_agrees<F>(TypeParam::kRoot, a, operands.host_mode())) return;
  }
}

// Every significand, with an even and with an odd exponent.
TEST(SoftfloatHostExhaustiveTest, RootOfEverySingleSignificand) {
  constexpr uint32_t kHalf = static_cast<uint32_t>(Binary32::kBias - 1) << 23;
  for (uint32_t i = 0; i < 1U << 24; ++i) {
    if (!root_agrees<Binary32>(sqrt32, kHalf + i, kAllModes[i % 3 == 0 ? 0 : 2 + i % 2])) return;
  }
}

TYPED_TEST(SoftfloatHostTest, FusedMultiplyAdd) {
  if (!__builtin_cpu_supports("fma")) {
    GTEST_SKIP() << "this host has no FMA3; softfloat_exact_test covers fma without it";
  }
  using F = typename TypeParam::Format;
  Operands<F> operands(kSeed);
  const auto host_fuse = [](auto a, auto b, auto c, RoundingMode mode, uint8_t& flags) {
    return host::fuse(a, b, c, mode, flags);
  };
  for (int i = 0; i < kCases; ++i) {
    const auto a = operands.any();
    const auto b = operands.partner(a);
    const auto c = operands.addend(run(TypeParam::kMultiply, a, b, RoundingMode::kRne).value);
    const RoundingMode mode = operands.host_mode();
    auto expected = run_host<F>(host_fuse, a, b, c, mode);
    // x86 raises nothing for inf × 0 + quiet NaN; RISC-V does (F §11.6).
    const bool infinite_by_zero =
        (F::is_infinite(a) && F::is_zero(b)) || (F::is_zero(a) && F::is_infinite(b));
    if (infinite_by_zero) raise(expected.flags, kInvalid);
    if (!same(run(TypeParam::kFuse, a, b, c, mode), expected, mode, a, b, c)) return;
  }
}

TYPED_TEST(SoftfloatHostTest, Compare) {
  Operands<typename TypeParam::Format> operands(kSeed);
  for (int i = 0; i < kCases; ++i) {
    const auto a = operands.any();
    const auto b = operands.partner(a);
    uint8_t quiet_flags = 0;
    uint8_t signalling_flags = 0;
    const host::Order quiet = host::compare_quiet(a, b, quiet_flags);
    const host::Order order = host::compare_signalling(a, b, signalling_flags);
    const Outcome<bool> equal{quiet.equal && !quiet.unordered, quiet_flags};
    const Outcome<bool> less{order.below && !order.unordered, signalling_flags};
    const Outcome<bool> less_or_equal{(order.below || order.equal) && !order.unordered,
                                      signalling_flags};
    const auto mode = RoundingMode::kRne;
    if (!same(run(TypeParam::kEqual, a, b), equal, mode, a, b)) return;
    if (!same(run(TypeParam::kLess, a, b), less, mode, a, b)) return;
    if (!same(run(TypeParam::kLessOrEqual, a, b), less_or_equal, mode, a, b)) return;
  }
}

// What min and max answer, from the host's order and IEEE 754-2019 §9.6.
template <typename F>
typename F::Bits extreme(typename F::Bits a, typename F::Bits b, bool smallest) {
  if (F::is_nan(a)) return canonical<F>(b);
  if (F::is_nan(b)) return a;
  uint8_t ignored = 0;
  const host::Order order = host::compare_quiet(a, b, ignored);
  const bool a_is_below = order.equal ? F::sign(a) : order.below;
  return a_is_below == smallest ? a : b;
}

TYPED_TEST(SoftfloatHostTest, MinimumAndMaximum) {
  using F = typename TypeParam::Format;
  Operands<F> operands(kSeed);
  for (int i = 0; i < kCases; ++i) {
    const auto a = operands.any();
    const auto b = operands.partner(a);
    uint8_t flags = 0;
    host::compare_quiet(a, b, flags);
    const Outcome<typename F::Bits> minimum{extreme<F>(a, b, true), flags};
    const Outcome<typename F::Bits> maximum{extreme<F>(a, b, false), flags};
    const auto mode = RoundingMode::kRne;
    if (!same(run(TypeParam::kMinimum, a, b), minimum, mode, a, b)) return;
    if (!same(run(TypeParam::kMaximum, a, b), maximum, mode, a, b)) return;
  }
}

// x86 answers what does not fit with one pattern; RISC-V saturates.
template <typename Integer, typename F>
Outcome<Integer> saturated(typename F::Bits a) {
  using Limits = std::numeric_limits<Integer>;
  const bool low = F::sign(a) && !F::is_nan(a);
  return {low ? Limits::min() : Limits::max(), kInvalid};
}

template <typename F>
Outcome<int32_t> expected_int32(typename F::Bits a, RoundingMode mode) {
  Outcome<int32_t> outcome;
  outcome.value = host::to_int32(a, mode, outcome.flags);
  return outcome.flags == kInvalid ? saturated<int32_t, F>(a) : outcome;
}

template <typename F>
Outcome<int64_t> expected_int64(typename F::Bits a, RoundingMode mode) {
  Outcome<int64_t> outcome;
  outcome.value = host::to_int64(a, mode, outcome.flags);
  return outcome.flags == kInvalid ? saturated<int64_t, F>(a) : outcome;
}

template <typename F>
Outcome<uint32_t> expected_uint32(typename F::Bits a, RoundingMode mode) {
  const Outcome<int64_t> wide = expected_int64<F>(a, mode);
  if (wide.value < 0 || wide.value > std::numeric_limits<uint32_t>::max()) {
    return saturated<uint32_t, F>(a);
  }
  return {static_cast<uint32_t>(wide.value), wide.flags};
}

template <typename F>
Outcome<uint64_t> expected_uint64(typename F::Bits a, RoundingMode mode) {
  const int32_t exponent = F::exponent(a);
  // From 2^63 to 2^64 every number is an integer.
  if (!F::sign(a) && exponent == F::kBias + 63) {
    const uint64_t significand = (a & F::kFraction) | F::kHidden;
    return {significand << (63 - F::kFractionBits), 0};
  }
  const Outcome<int64_t> wide = expected_int64<F>(a, mode);
  if (wide.value < 0 || wide.flags == kInvalid) return saturated<uint64_t, F>(a);
  return {static_cast<uint64_t>(wide.value), wide.flags};
}

TYPED_TEST(SoftfloatHostTest, ToIntegers) {
  using F = typename TypeParam::Format;
  Operands<F> operands(kSeed);
  for (int i = 0; i < kCases; ++i) {
    const auto a = operands.any();
    const RoundingMode mode = operands.host_mode();
    if (!same(run(TypeParam::kToInt32, a, mode), expected_int32<F>(a, mode), mode, a)) return;
    if (!same(run(TypeParam::kToUint32, a, mode), expected_uint32<F>(a, mode), mode, a)) return;
    if (!same(run(TypeParam::kToInt64, a, mode), expected_int64<F>(a, mode), mode, a)) return;
    if (!same(run(TypeParam::kToUint64, a, mode), expected_uint64<F>(a, mode), mode, a)) return;
  }
}

uint32_t host_from_int64(int64_t a, RoundingMode mode, uint8_t& flags, Single) {
  return host::int64_to32(a, mode, flags);
}

uint64_t host_from_int64(int64_t a, RoundingMode mode, uint8_t& flags, Double) {
  return host::int64_to64(a, mode, flags);
}

// Above the signed range: half of it, sticky, and one up in the exponent.
template <typename Width>
auto expected_from_uint64(uint64_t a, RoundingMode mode) {
  Outcome<typename Width::Bits> outcome;
  const auto half = static_cast<int64_t>((a >> 1) | (a & 1));
  const bool fits = static_cast<int64_t>(a) >= 0;
  outcome.value =
      host_from_int64(fits ? static_cast<int64_t>(a) : half, mode, outcome.flags, Width{});
  if (!fits) outcome.value += Width::Format::kHidden;
  return outcome;
}

TYPED_TEST(SoftfloatHostTest, FromIntegers) {
  using Bits = typename TypeParam::Bits;
  Operands<typename TypeParam::Format> operands(kSeed);
  for (int i = 0; i < kCases; ++i) {
    // Of every length, often with a run of zeros or ones below the top.
    uint64_t a = operands.word() >> operands.below(64);
    if (operands.below(2) == 0) a &= ~uint64_t{0} << operands.below(64);
    if (operands.below(2) == 0) a = uint64_t{0} - a;
    if (operands.below(2) == 0) a += operands.below(5) - 2;
    const RoundingMode mode = operands.host_mode();
    const auto expected_from_int64 = [mode](int64_t value) {
      Outcome<Bits> outcome;
      outcome.value = host_from_int64(value, mode, outcome.flags, TypeParam{});
      return outcome;
    };
    const auto wide = static_cast<int64_t>(a);
    const auto narrow = static_cast<int32_t>(a);
    const auto narrow_unsigned = static_cast<uint32_t>(a);
    if (!same(run(TypeParam::kFromInt64, wide, mode), expected_from_int64(wide), mode, a)) return;
    if (!same(run(TypeParam::kFromInt32, narrow, mode), expected_from_int64(narrow), mode, a)) {
      return;
    }
    if (!same(run(TypeParam::kFromUint32, narrow_unsigned, mode),
              expected_from_int64(narrow_unsigned), mode, a)) {
      return;
    }
    if (!same(run(TypeParam::kFromUint64, a, mode), expected_from_uint64<TypeParam>(a, mode), mode,
              a)) {
      return;
    }
  }
}

TEST(SoftfloatHostWidthTest, Narrow) {
  Operands<Binary64> operands(kSeed);
  for (int i = 0; i < kCases; ++i) {
    uint64_t a = operands.any();
    // Half of them where the narrow format's edges and ties lie.
    if (operands.below(2) == 0) {
      const int64_t exponent =
          Binary64::kBias - Binary32::kBias - 26 + static_cast<int64_t>(operands.below(256 + 30));
      a = (a & ~Binary64::kInfinity) | static_cast<uint64_t>(exponent) << 52;
    }
    if (operands.below(2) == 0) a &= ~uint64_t{0} << operands.below(40);
    const RoundingMode mode = operands.host_mode();
    const auto expected = run_host<Binary32>(host::narrow, a, mode);
    if (!same(run(convert_64_to_32, a, mode), expected, mode, a)) return;
  }
}

TEST(SoftfloatHostWidthTest, Widen) {
  Operands<Binary32> operands(kSeed);
  for (int i = 0; i < kCases; ++i) {
    const uint32_t a = operands.any();
    const auto expected = run_host<Binary64>(host::widen, a, RoundingMode::kRne);
    if (!same(run(convert_32_to_64, a), expected, RoundingMode::kRne, a)) return;
  }
}

}  // namespace
}  // namespace lockstep::riscv::softfloat

#endif  // defined(__x86_64__)
