#include "tests/oracle/operand_pool.h"

#include <array>
#include <bit>

namespace lockstep::oracle {
namespace {

constexpr uint64_t kIntegers[] = {
    0,
    1,
    2,
    3,
    ~uint64_t{0},
    ~uint64_t{1},
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0x8000,
    0xffff,
    0x7fffffff,
    0x80000000,
    0xffffffff,
    0x100000000,
    0xffffffff80000000,
    0xffffffff7fffffff,
    0x7fffffffffffffff,
    0x8000000000000000,
    0x8000000000000001,
    0xaaaaaaaaaaaaaaaa,
    0x5555555555555555,
    0x0020000000000001,  // 2^53 + 1: not a double
    0x7ffffffffffffdff,  // rounds down to a double, the next one up
    0x7ffffffffffffe00,
    0xfffffffffffffbff,
    0x01000001,  // 2^24 + 1: not a single
    0x7fffffbf,
    0x7fffffc0,
};

// Values where conversions to integers turn, for both widths of integer and both of format.
constexpr double kTurningPoints[] = {
    0.0,
    0.25,
    0.5,
    0.75,
    1.0,
    1.5,
    2.0,
    2.5,
    3.5,
    0.49999999999999994,
    0.99999999999999989,
    127.5,
    16777215.0,
    16777216.0,
    2147483646.5,
    2147483647.0,
    2147483647.5,
    2147483648.0,
    2147483648.5,
    2147483649.0,
    4294967294.5,
    4294967295.0,
    4294967295.5,
    4294967296.0,
    4503599627370495.5,
    9007199254740991.0,
    9223372036854774784.0,
    9223372036854775808.0,
    9223372036854777856.0,
    18446744073709549568.0,
    18446744073709551616.0,
    1.0e300,
    3.4028234663852886e38,  // the largest single
    3.4028235677973366e38,  // half way to the one after it
    1.1754943508222875e-38,
    1.4012984643248171e-45,
    7.0064923216240854e-46,  // half the smallest single
};

// What a binary format of `kExponentBits` and `kFractionBits` has at its edges.
template <typename T, int kFractionBits>
constexpr auto make_edges() {
  constexpr int kBits = sizeof(T) * 8;
  constexpr T kOne = 1;
  constexpr T kFraction = (kOne << kFractionBits) - 1;
  constexpr T kExponent = static_cast<T>(~(kOne << (kBits - 1))) & static_cast<T>(~kFraction);
  constexpr T kQuiet = kOne << (kFractionBits - 1);
  return std::array<T, 14>{
      0,                                      // zero
      1,                                      // the smallest subnormal
      2,                                      //
      kFraction,                              // the largest subnormal
      kFraction >> 1,                         // a middling one
      kFraction + 1,                          // the smallest normal
      kFraction + 2,                          //
      kExponent - 1,                          // the largest finite
      kExponent,                              // infinity
      kExponent | kQuiet,                     // the canonical NaN
      kExponent | kQuiet | 0x1234,            // quiet, with a payload
      kExponent | 1,                          // signalling
      kExponent | (kQuiet - 1),               // signalling, all ones
      static_cast<T>(kExponent | kFraction),  // quiet, all ones
  };
}
constexpr auto kSingleEdges = make_edges<uint32_t, 23>();
constexpr auto kDoubleEdges = make_edges<uint64_t, 52>();

// A normal number with an exponent near 1.0, so that sums and differences are not trivial.
template <typename T, int kFractionBits, int kBias>
T near_one(Random& random) {
  constexpr T kFraction = (T{1} << kFractionBits) - 1;
  const T exponent = static_cast<T>(kBias - 4 + static_cast<int>(random.below(9)));
  T fraction = static_cast<T>(random.bits()) & kFraction;
  if (random.percent(30)) fraction &= static_cast<T>(~(kFraction >> 4));  // few bits: exact results
  return exponent << kFractionBits | fraction;
}

template <typename T>
T with_random_sign(Random& random, T value) {
  return random.coin() ? value | T{1} << (sizeof(T) * 8 - 1) : value;
}

// Exponents at which products and quotients overflow, underflow and become subnormal.
template <typename T, int kFractionBits, int kBias>
T near_the_ends(Random& random) {
  constexpr T kFraction = (T{1} << kFractionBits) - 1;
  const int half = kBias / 2;
  const int exponent = random.pick({half, 2 * kBias - half, kBias - half - 1, 1, kFractionBits,
                                    2 * kBias, kBias + kFractionBits, kBias - kFractionBits});
  const auto biased = static_cast<T>(exponent + static_cast<int>(random.below(2)));
  return biased << kFractionBits | (static_cast<T>(random.bits()) & kFraction);
}

struct Single {
  using Bits = uint32_t;
  using Host = float;
  static constexpr int kFractionBits = 23;
  static constexpr int kBias = 127;
  static Bits any(Random& random) { return random_single(random); }
  static Bits edge(Random& random) { return random.pick(kSingleEdges); }
};
struct Double {
  using Bits = uint64_t;
  using Host = double;
  static constexpr int kFractionBits = 52;
  static constexpr int kBias = 1023;
  static Bits any(Random& random) { return random_double(random); }
  static Bits edge(Random& random) { return random.pick(kDoubleEdges); }
};

// Zero, one, infinity, a quiet and a signalling NaN.
template <typename F>
typename F::Bits simple_special(Random& random) {
  using Bits = typename F::Bits;
  constexpr Bits kInfinity = Bits{2 * F::kBias + 1} << F::kFractionBits;
  constexpr Bits kQuiet = Bits{1} << (F::kFractionBits - 1);
  return with_random_sign<Bits>(random,
                                random.pick<Bits>({0, Bits{F::kBias} << F::kFractionBits, kInfinity,
                                                   kInfinity | kQuiet, kInfinity | 1}));
}

// a, b and ±a·b, where the product is exact more often than not; or b = ±a but for its last places.
template <typename F>
std::array<typename F::Bits, 3> cancelling(Random& random) {
  using Bits = typename F::Bits;
  using Host = typename F::Host;
  const bool exact = random.percent(60);
  const auto operand = [&] {
    Bits bits = near_one<Bits, F::kFractionBits, F::kBias>(random);
    if (exact) bits &= static_cast<Bits>(~Bits{0} << (F::kFractionBits / 2 + 1));
    return with_random_sign<Bits>(random, bits);
  };
  const Bits a = operand();
  Bits b = operand();
  if (random.percent(40)) b = with_random_sign<Bits>(random, a ^ random.pick<Bits>({0, 0, 1, 3}));
  const Host product = std::bit_cast<Host>(a) * std::bit_cast<Host>(b);
  const Bits last_places = random.pick<Bits>({0, 0, 0, 1, 2});
  const Bits c = std::bit_cast<Bits>(product) ^ last_places;
  return {a, b, with_random_sign<Bits>(random, c)};
}

// a·b (and a/b, for the reciprocal is as likely) near the largest, the smallest normal or the
// smallest subnormal number, and an addend of about that size.
template <typename F>
std::array<typename F::Bits, 3> at_the_ends(Random& random) {
  using Bits = typename F::Bits;
  constexpr int kLargest = F::kBias;
  constexpr int kSmallest = 1 - F::kBias;
  const int goal = random.pick({kLargest, kSmallest, kSmallest - F::kFractionBits}) +
                   static_cast<int>(random.below(4)) - 2;
  const int half = goal / 2 + static_cast<int>(random.below(21)) - 10;
  const auto number = [&](int exponent) {
    Bits fraction = static_cast<Bits>(random.bits()) & ((Bits{1} << F::kFractionBits) - 1);
    if (random.percent(40)) fraction = random.pick<Bits>({0, 1, (Bits{1} << F::kFractionBits) - 1});
    const auto biased = static_cast<Bits>(exponent + F::kBias);
    return with_random_sign<Bits>(random, biased << F::kFractionBits | fraction);
  };
  const Bits a = number(half);
  const Bits b = number(random.coin() ? goal - half : half - goal);
  return {a, b, with_random_sign<Bits>(random, F::edge(random))};
}

template <typename F>
std::array<typename F::Bits, 3> triple(Random& random) {
  using Bits = typename F::Bits;
  std::array<Bits, 3> operands{};
  switch (random.below(5)) {
    case 0:
      for (Bits& operand : operands) operand = with_random_sign<Bits>(random, F::edge(random));
      return operands;
    case 1:
      for (Bits& operand : operands) operand = simple_special<F>(random);
      return operands;
    case 2:
      return cancelling<F>(random);
    case 3:
      return at_the_ends<F>(random);
    default:
      for (Bits& operand : operands) operand = F::any(random);
      return operands;
  }
}

}  // namespace

std::array<uint32_t, 3> random_single_triple(Random& random) {
  return triple<Single>(random);
}
std::array<uint64_t, 3> random_double_triple(Random& random) {
  return triple<Double>(random);
}

uint64_t random_integer(Random& random) {
  switch (random.below(4)) {
    case 0:
      return random.bits();
    case 1:
      return random.bits() >> random.below(64);
    case 2:
      return static_cast<uint64_t>(static_cast<int64_t>(random.bits()) >> random.below(64));
    default:
      return random.pick(kIntegers);
  }
}

uint32_t random_single(Random& random) {
  switch (random.below(6)) {
    case 0:
      return static_cast<uint32_t>(random.bits());
    case 1:
      return with_random_sign(random, random.pick(kSingleEdges));
    case 2:
      return with_random_sign(
          random, std::bit_cast<uint32_t>(static_cast<float>(random.pick(kTurningPoints))));
    case 3:
      return with_random_sign(random, near_the_ends<uint32_t, 23, 127>(random));
    default:
      return with_random_sign(random, near_one<uint32_t, 23, 127>(random));
  }
}

uint64_t random_double(Random& random) {
  switch (random.below(6)) {
    case 0:
      return random.bits();
    case 1:
      return with_random_sign(random, random.pick(kDoubleEdges));
    case 2:
      return with_random_sign(random, std::bit_cast<uint64_t>(random.pick(kTurningPoints)));
    case 3:
      return with_random_sign(random, near_the_ends<uint64_t, 52, 1023>(random));
    default:
      return with_random_sign(random, near_one<uint64_t, 52, 1023>(random));
  }
}

uint64_t random_fp_register(Random& random) {
  constexpr uint64_t kBox = uint64_t{0xffffffff} << 32;
  switch (random.below(8)) {
    case 0: {  // a box with a hole in it
      const uint64_t hole = uint64_t{1} << (32 + random.below(32));
      return (kBox | random_single(random)) & ~hole;
    }
    case 1: {
      const uint64_t box = random.bits() << 32;
      return box | random_single(random);
    }
    case 2:
    case 3:
    case 4:
      return kBox | random_single(random);
    default:
      return random_double(random);
  }
}

}  // namespace lockstep::oracle
