// Comparisons, minimum and maximum, classification.
#include "riscv/softfloat/format.h"

namespace lockstep::riscv::softfloat {
namespace {

// A number's rank among all numbers, with −0 below +0: negative patterns count downwards, below all
// positive ones. Signs are not predictable, so there is no branch on them. No NaNs.
template <typename F>
typename F::Bits rank(typename F::Bits a) {
  using Bits = typename F::Bits;
  return a ^ ((Bits{0} - Bits{F::sign(a)}) | F::kSign);
}

template <typename F>
bool below(typename F::Bits a, typename F::Bits b) {
  return rank<F>(a) < rank<F>(b);
}

template <typename F>
bool both_zero(typename F::Bits a, typename F::Bits b) {
  return F::magnitude(a | b) == 0;
}

template <typename F>
bool equal(typename F::Bits a, typename F::Bits b, uint8_t& flags) {
  if (F::is_nan(a) || F::is_nan(b)) [[unlikely]] {
    answer_nan<F>(flags, a, b);
    return false;
  }
  return a == b || both_zero<F>(a, b);
}

template <typename F>
bool less(typename F::Bits a, typename F::Bits b, uint8_t& flags) {
  if (F::is_nan(a) || F::is_nan(b)) [[unlikely]] {
    raise(flags, kInvalid);
    return false;
  }
  return below<F>(a, b) && !both_zero<F>(a, b);
}

template <typename F>
bool less_or_equal(typename F::Bits a, typename F::Bits b, uint8_t& flags) {
  if (F::is_nan(a) || F::is_nan(b)) [[unlikely]] {
    raise(flags, kInvalid);
    return false;
  }
  return !below<F>(b, a) || both_zero<F>(a, b);
}

// The answer of min and max when an operand is a NaN.
template <typename F>
typename F::Bits pick_number(typename F::Bits a, typename F::Bits b, uint8_t& flags) {
  answer_nan<F>(flags, a, b);
  if (!F::is_nan(a)) return a;
  return F::is_nan(b) ? F::kCanonicalNan : b;
}

template <typename F>
typename F::Bits minimum(typename F::Bits a, typename F::Bits b, uint8_t& flags) {
  if (F::is_nan(a) || F::is_nan(b)) [[unlikely]]
    return pick_number<F>(a, b, flags);
  return below<F>(a, b) ? a : b;
}

template <typename F>
typename F::Bits maximum(typename F::Bits a, typename F::Bits b, uint8_t& flags) {
  if (F::is_nan(a) || F::is_nan(b)) [[unlikely]]
    return pick_number<F>(a, b, flags);
  return below<F>(a, b) ? b : a;
}

template <typename F>
uint32_t classify(typename F::Bits a) {
  if (F::is_nan(a)) return F::is_signalling(a) ? 1U << 8 : 1U << 9;
  // Positive numbers, by size; the negative ones stand mirrored below them.
  unsigned bit = 6;
  if (F::is_infinite(a)) {
    bit = 7;
  } else if (F::is_zero(a)) {
    bit = 4;
  } else if (!F::is_normal(a)) {
    bit = 5;
  }
  return 1U << (F::sign(a) ? 7 - bit : bit);
}

}  // namespace

uint32_t min32(uint32_t a, uint32_t b, uint8_t& flags) {
  return minimum<Binary32>(a, b, flags);
}

uint32_t max32(uint32_t a, uint32_t b, uint8_t& flags) {
  return maximum<Binary32>(a, b, flags);
}

uint64_t min64(uint64_t a, uint64_t b, uint8_t& flags) {
  return minimum<Binary64>(a, b, flags);
}

uint64_t max64(uint64_t a, uint64_t b, uint8_t& flags) {
  return maximum<Binary64>(a, b, flags);
}

bool eq32(uint32_t a, uint32_t b, uint8_t& flags) {
  return equal<Binary32>(a, b, flags);
}

bool lt32(uint32_t a, uint32_t b, uint8_t& flags) {
  return less<Binary32>(a, b, flags);
}

bool le32(uint32_t a, uint32_t b, uint8_t& flags) {
  return less_or_equal<Binary32>(a, b, flags);
}

bool eq64(uint64_t a, uint64_t b, uint8_t& flags) {
  return equal<Binary64>(a, b, flags);
}

bool lt64(uint64_t a, uint64_t b, uint8_t& flags) {
  return less<Binary64>(a, b, flags);
}

bool le64(uint64_t a, uint64_t b, uint8_t& flags) {
  return less_or_equal<Binary64>(a, b, flags);
}

uint32_t classify32(uint32_t a) {
  return classify<Binary32>(a);
}

uint32_t classify64(uint64_t a) {
  return classify<Binary64>(a);
}

}  // namespace lockstep::riscv::softfloat
