#include "riscv/testing/float_operands.h"

#include <algorithm>
#include <random>

#include "base/check.h"
#include "riscv/softfloat/test_operands.h"

namespace lockstep::riscv::testing {
namespace {

namespace sf = softfloat;

constexpr uint64_t kBox = ~uint64_t{0} << 32;

template <typename F>
uint64_t in_register(typename F::Bits bits) {
  return sizeof(bits) == 8 ? bits : bits | kBox;
}

// 2^exponent, for exponents of normal numbers.
template <typename F>
constexpr typename F::Bits power_of_two(int exponent) {
  return static_cast<typename F::Bits>(F::kBias + exponent) << F::kFractionBits;
}

// The kinds of number, and where each ends. Few: they are met in threes.
template <typename F>
std::vector<typename F::Bits> main_corners() {
  using Bits = typename F::Bits;
  constexpr Bits kOne = power_of_two<F>(0);
  return {
      0,
      1,                               // the smallest subnormal
      F::kFraction >> 1,               // a middling one
      F::kFraction,                    // the largest
      F::kHidden,                      // the smallest normal
      F::kHidden + 1,                  //
      kOne - F::kHidden,               // 1/2
      kOne - 1,                        // the last before 1
      kOne,                            //
      kOne + 1,                        // the first after 1
      kOne | F::kQuiet,                // 1.5
      power_of_two<F>(-F::kBias / 2),  // products that are barely subnormal
      power_of_two<F>(1 - F::kBias) + (F::kQuiet | 1),
      power_of_two<F>(F::kBias) - 1,
      F::kInfinity - 1,  // the largest finite
      F::kInfinity,
      F::kCanonicalNan,
      F::kCanonicalNan | 0x1234,  // quiet, with a payload
      F::kInfinity | 1,           // signalling
  };
}

// Where conversions turn: halves, and the ends of the integers' ranges.
template <typename F>
void add_turning_points(std::vector<typename F::Bits>& corners) {
  using Bits = typename F::Bits;
  constexpr Bits kOne = power_of_two<F>(0);
  for (const int exponent : {-2, 1, 7, 8, 15, 16, F::kFractionBits - 1, F::kFractionBits,
                             F::kFractionBits + 1, 30, 31, 32, 62, 63, 64}) {
    const Bits power = power_of_two<F>(exponent);
    for (const Bits value : {power - 2, power - 1, power, power + 1, power + 2}) {
      corners.push_back(value);
    }
    // The integers around the power and the halves between them, where the format has them.
    for (const int distance : {exponent, exponent + 1}) {
      if (distance < 1 || distance > F::kFractionBits) continue;
      const Bits unit = F::kHidden >> distance;
      for (const Bits steps : {Bits{1}, Bits{2}, Bits{3}}) {
        corners.push_back(power + steps * unit);
        corners.push_back(power - 2 * steps * unit);
        corners.push_back(power - 2 * steps * unit + 1);
        corners.push_back(power - 2 * steps * unit - 1);
      }
    }
  }
  corners.push_back(kOne - F::kHidden - 1);  // the last before 1/2
  corners.push_back(kOne - F::kHidden + 1);
}

// Doubles that round to a single's last places and ends.
void add_narrowing_edges(std::vector<uint64_t>& corners) {
  using F = sf::Binary64;
  constexpr int kDropped = F::kFractionBits - sf::Binary32::kFractionBits;
  constexpr uint64_t kLast = uint64_t{1} << kDropped;
  constexpr int kSingleMinimum = 1 - sf::Binary32::kBias;
  for (const int exponent : {sf::Binary32::kBias, sf::Binary32::kBias + 1, kSingleMinimum,
                             kSingleMinimum - 1, kSingleMinimum - 12, kSingleMinimum - 22,
                             kSingleMinimum - 23, kSingleMinimum - 24, kSingleMinimum - 25, 0}) {
    const uint64_t power = power_of_two<F>(exponent);
    for (const uint64_t fraction : {uint64_t{0}, kLast, F::kFraction - (kLast - 1), F::kQuiet}) {
      for (const uint64_t rest : {uint64_t{0}, uint64_t{1}, kLast / 2 - 1, kLast / 2, kLast / 2 + 1,
                                  kLast - 1, kLast / 4, kLast / 4 * 3}) {
        corners.push_back(power | fraction | rest);
      }
    }
  }
}

template <typename F>
std::vector<typename F::Bits> float_corners(size_t count) {
  using Bits = typename F::Bits;
  std::vector<Bits> corners = main_corners<F>();
  if (count < 3) {
    for (const Bits more :
         {Bits{2}, Bits{3}, F::kFraction - 1, F::kHidden + 2, 2 * F::kHidden, power_of_two<F>(1),
          power_of_two<F>(1) | F::kQuiet, power_of_two<F>(F::kBias), F::kInfinity - 2,
          F::kCanonicalNan - 1, static_cast<Bits>(F::kInfinity | F::kFraction)}) {
      corners.push_back(more);
    }
  }
  if (count == 1) {
    add_turning_points<F>(corners);
    if constexpr (sizeof(Bits) == 8) add_narrowing_edges(corners);
  }
  const size_t positive = corners.size();
  for (size_t i = 0; i < positive; ++i) corners.push_back(corners[i] | F::kSign);
  return corners;
}

// Registers that hold no boxed single: read as the canonical NaN.
constexpr std::array<uint64_t, 6> kBroken = {0x0000'0000'3f80'0000, 0xffff'fffe'4000'0000,
                                             0x7fff'ffff'bf80'0000, 0x3ff0'0000'0000'0000,
                                             0xffff'0000'7f80'0001, 0x0000'0000'0000'0000};

std::vector<uint64_t> integer_corners() {
  std::vector<uint64_t> corners;
  const auto add = [&](uint64_t value) {
    corners.push_back(value);
    corners.push_back(~value + 1);
  };
  for (const unsigned power :
       {0U, 1U, 2U, 7U, 23U, 24U, 25U, 30U, 31U, 32U, 33U, 52U, 53U, 54U, 62U, 63U}) {
    const uint64_t value = uint64_t{1} << power;
    for (const uint64_t around : {value - 1, value, value + 1}) add(around);
  }
  // Ties, and the values on either side of them, at every scale of both formats.
  for (const unsigned digits : {24U, 53U}) {
    for (unsigned shift = 1; shift + digits <= 64; ++shift) {
      const uint64_t tie = uint64_t{1} << (shift - 1);
      for (const uint64_t odd : {uint64_t{0}, uint64_t{1}}) {
        const uint64_t value = (uint64_t{1} << (digits - 1) | odd) << shift;
        for (const uint64_t rest : {tie - 1, tie, tie + 1}) add(value + rest);
      }
      add(((uint64_t{1} << digits) - 1) << shift | tie);  // rounds up to the next power
    }
  }
  // The upper half is not part of a word.
  for (const uint64_t word : {0x7fff'ffffU, 0x8000'0000U, 0x0100'0001U, 0xffff'ffffU}) {
    corners.push_back(0xdead'beef'0000'0000 | word);
  }
  return corners;
}

template <typename F>
OperandTuple random_tuple(sf::Operands<F>& operands) {
  using Bits = typename F::Bits;
  const Bits a = operands.any();
  const Bits b = operands.partner(a);
  uint8_t ignored = 0;
  Bits product;
  if constexpr (sizeof(Bits) == 8) {
    product = sf::mul64(a, b, sf::RoundingMode::kRne, ignored);
  } else {
    product = sf::mul32(a, b, sf::RoundingMode::kRne, ignored);
  }
  return {in_register<F>(a), in_register<F>(b), in_register<F>(operands.addend(product))};
}

template <typename F>
std::vector<OperandTuple> random_float_tuples(size_t number, uint64_t seed) {
  sf::Operands<F> operands(seed);
  std::vector<OperandTuple> tuples;
  while (tuples.size() < number) tuples.push_back(random_tuple(operands));
  return tuples;
}

// Of any length, and ends of words.
std::vector<OperandTuple> random_integer_tuples(size_t number, uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto value = [&] {
    const uint64_t bits = random() >> (random() % 64);
    return (random() & 1) != 0 ? ~bits + 1 : bits;
  };
  std::vector<OperandTuple> tuples;
  while (tuples.size() < number) {
    OperandTuple& tuple = tuples.emplace_back();
    for (uint64_t& operand : tuple) operand = value();
  }
  return tuples;
}

// Zero, a subnormal, a normal, infinity, and NaNs of both kinds.
template <typename F>
std::vector<uint64_t> representatives() {
  std::vector<uint64_t> values;
  for (const typename F::Bits bits :
       {typename F::Bits{0}, F::kFraction >> 1, power_of_two<F>(0) | F::kQuiet, F::kInfinity,
        F::kCanonicalNan | 0x1234, F::kInfinity | 1}) {
    values.push_back(in_register<F>(bits));
    values.push_back(in_register<F>(bits | F::kSign));
  }
  return values;
}

std::vector<OperandTuple> each_with_each(const std::vector<uint64_t>& values, size_t count) {
  size_t combinations = 1;
  for (size_t i = 0; i < count; ++i) combinations *= values.size();
  std::vector<OperandTuple> tuples(combinations);
  for (size_t i = 0; i < combinations; ++i) {
    size_t rest = i;
    for (uint64_t& operand : tuples[i]) {
      operand = values[rest % values.size()];
      rest /= values.size();
    }
  }
  return tuples;
}

}  // namespace

std::vector<uint64_t> operand_corners(OperandKind kind, size_t count) {
  if (kind == OperandKind::kInteger) return integer_corners();
  if (kind == OperandKind::kDouble) return float_corners<sf::Binary64>(count);
  std::vector<uint64_t> corners;
  for (const uint32_t bits : float_corners<sf::Binary32>(count)) {
    corners.push_back(in_register<sf::Binary32>(bits));
  }
  const size_t broken = count == 3 ? 2 : kBroken.size();
  corners.insert(corners.end(), kBroken.begin(),
                 kBroken.begin() + static_cast<std::ptrdiff_t>(broken));
  return corners;
}

std::vector<OperandTuple> directed_tuples(OperandKind kind, size_t count) {
  CHECK(count >= 1 && count <= (kind == OperandKind::kInteger ? 1 : 3));
  return each_with_each(operand_corners(kind, count), count);
}

std::vector<OperandTuple> class_tuples(OperandKind kind, size_t count) {
  std::vector<uint64_t> values;
  if (kind == OperandKind::kInteger) {
    values = {0, 1, ~uint64_t{0}};
  } else if (kind == OperandKind::kDouble) {
    values = representatives<sf::Binary64>();
  } else {
    values = representatives<sf::Binary32>();
    values.push_back(kBroken[0]);
  }
  return each_with_each(values, count);
}

std::vector<OperandTuple> random_tuples(OperandKind kind, size_t number, uint64_t seed) {
  switch (kind) {
    case OperandKind::kSingle:
      return random_float_tuples<sf::Binary32>(number, seed);
    case OperandKind::kDouble:
      return random_float_tuples<sf::Binary64>(number, seed);
    case OperandKind::kInteger:
      break;
  }
  return random_integer_tuples(number, seed);
}

std::vector<OperandTuple> mixed_tuples(OperandKind kind, size_t count, size_t number,
                                       uint64_t seed) {
  const std::vector<uint64_t> corners = operand_corners(kind, count);
  std::vector<OperandTuple> tuples = random_tuples(kind, number, seed);
  std::mt19937_64 random(seed);
  // One in four stays random.
  for (size_t i = 0; i < number; ++i) {
    if (i % 4 == 0) continue;
    for (uint64_t& operand : tuples[i]) operand = corners[random() % corners.size()];
  }
  return tuples;
}

}  // namespace lockstep::riscv::testing
