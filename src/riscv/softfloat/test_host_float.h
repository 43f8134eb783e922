// The host's SSE unit as a second opinion: one instruction under a chosen rounding mode, and the
// exceptions it raised, as RISC-V would report them. For tests on x86-64 only.
//
// Each operation is one asm statement from ldmxcsr to stmxcsr, so that the compiler can move
// nothing in or out. Results are raw; NaNs are not canonicalised.
#pragma once

#if defined(__x86_64__)

#include <bit>
#include <cstdint>

#include "riscv/softfloat/softfloat.h"

namespace lockstep::riscv::softfloat::host {

// The control word for an operation, and the one to leave behind: exceptions masked, no DAZ or FTZ.
struct ControlWords {
  static constexpr uint32_t kDefault = 0x1f80;

  explicit ControlWords(RoundingMode mode) {
    // x86: nearest, down, up, towards zero. It has no kRmm.
    constexpr uint32_t kHostModes[] = {0, 3, 1, 2};
    status = kDefault | (kHostModes[static_cast<int>(mode)] << 13);
  }

  uint8_t flags() const {
    unsigned raised = 0;
    if ((status & 0x01) != 0) raised |= kInvalid;
    if ((status & 0x04) != 0) raised |= kDivideByZero;
    if ((status & 0x08) != 0) raised |= kOverflow;
    if ((status & 0x10) != 0) raised |= kUnderflow;
    if ((status & 0x20) != 0) raised |= kInexact;
    return static_cast<uint8_t>(raised);
  }

  uint32_t status;
  uint32_t restored = kDefault;
};

inline float to_host(uint32_t a) {
  return std::bit_cast<float>(a);
}
inline double to_host(uint64_t a) {
  return std::bit_cast<double>(a);
}
inline uint32_t to_bits(float a) {
  return std::bit_cast<uint32_t>(a);
}
inline uint64_t to_bits(double a) {
  return std::bit_cast<uint64_t>(a);
}

#define LOCKSTEP_GUARDED(instruction) \
  "ldmxcsr %[status]\n\t" instruction "\n\tstmxcsr %[status]\n\tldmxcsr %[restored]"

#define LOCKSTEP_HOST_BINARY(name, instruction, Bits)                    \
  inline Bits name(Bits a, Bits b, RoundingMode mode, uint8_t& flags) {  \
    ControlWords words(mode);                                            \
    auto value = to_host(a);                                             \
    asm volatile(LOCKSTEP_GUARDED(instruction " %[b], %[a]")             \
                 : [a] "+x"(value), [status] "+m"(words.status)          \
                 : [b] "x"(to_host(b)), [restored] "m"(words.restored)); \
    flags = words.flags();                                               \
    return to_bits(value);                                               \
  }

#define LOCKSTEP_HOST_UNARY(name, instruction, From, To, Host)           \
  inline To name(From a, RoundingMode mode, uint8_t& flags) {            \
    ControlWords words(mode);                                            \
    Host value = 0;                                                      \
    asm volatile(LOCKSTEP_GUARDED(instruction " %[a], %[value]")         \
                 : [value] "+x"(value), [status] "+m"(words.status)      \
                 : [a] "x"(to_host(a)), [restored] "m"(words.restored)); \
    flags = words.flags();                                               \
    return to_bits(value);                                               \
  }

#define LOCKSTEP_HOST_FUSED(name, instruction, Bits)                                          \
  inline Bits name(Bits a, Bits b, Bits c, RoundingMode mode, uint8_t& flags) {               \
    ControlWords words(mode);                                                                 \
    auto value = to_host(a);                                                                  \
    asm volatile(LOCKSTEP_GUARDED(instruction " %[c], %[b], %[a]")                            \
                 : [a] "+x"(value), [status] "+m"(words.status)                               \
                 : [b] "x"(to_host(b)), [c] "x"(to_host(c)), [restored] "m"(words.restored)); \
    flags = words.flags();                                                                    \
    return to_bits(value);                                                                    \
  }

#define LOCKSTEP_HOST_TO_INTEGER(name, instruction, Bits, Integer)       \
  inline Integer name(Bits a, RoundingMode mode, uint8_t& flags) {       \
    ControlWords words(mode);                                            \
    Integer value = 0;                                                   \
    asm volatile(LOCKSTEP_GUARDED(instruction " %[a], %[value]")         \
                 : [value] "+r"(value), [status] "+m"(words.status)      \
                 : [a] "x"(to_host(a)), [restored] "m"(words.restored)); \
    flags = words.flags();                                               \
    return value;                                                        \
  }

#define LOCKSTEP_HOST_FROM_INTEGER(name, instruction, Host, Integer) \
  inline auto name(Integer a, RoundingMode mode, uint8_t& flags) {   \
    ControlWords words(mode);                                        \
    Host value = 0;                                                  \
    asm volatile(LOCKSTEP_GUARDED(instruction " %[a], %[value]")     \
                 : [value] "+x"(value), [status] "+m"(words.status)  \
                 : [a] "r"(a), [restored] "m"(words.restored));      \
    flags = words.flags();                                           \
    return to_bits(value);                                           \
  }

#define LOCKSTEP_HOST_COMPARE(name, instruction, Bits)                                      \
  inline Order name(Bits a, Bits b, uint8_t& flags) {                                       \
    ControlWords words(RoundingMode::kRne);                                                 \
    Order order;                                                                            \
    asm volatile(LOCKSTEP_GUARDED(instruction " %[b], %[a]\n\tsetc %[below]\n\tsetz "       \
                                              "%[equal]\n\tsetp %[unordered]")              \
                 : [below] "=&q"(order.below), [equal] "=&q"(order.equal),                  \
                   [unordered] "=&q"(order.unordered), [status] "+m"(words.status)          \
                 : [a] "x"(to_host(a)), [b] "x"(to_host(b)), [restored] "m"(words.restored) \
                 : "cc");                                                                   \
    flags = words.flags();                                                                  \
    return order;                                                                           \
  }

// All three are set when an operand is a NaN.
struct Order {
  bool below = false;
  bool equal = false;
  bool unordered = false;
};

LOCKSTEP_HOST_BINARY(add, "addss", uint32_t)
LOCKSTEP_HOST_BINARY(add, "addsd", uint64_t)
LOCKSTEP_HOST_BINARY(subtract, "subss", uint32_t)
LOCKSTEP_HOST_BINARY(subtract, "subsd", uint64_t)
LOCKSTEP_HOST_BINARY(multiply, "mulss", uint32_t)
LOCKSTEP_HOST_BINARY(multiply, "mulsd", uint64_t)
LOCKSTEP_HOST_BINARY(divide, "divss", uint32_t)
LOCKSTEP_HOST_BINARY(divide, "divsd", uint64_t)
LOCKSTEP_HOST_UNARY(root, "sqrtss", uint32_t, uint32_t, float)
LOCKSTEP_HOST_UNARY(root, "sqrtsd", uint64_t, uint64_t, double)
LOCKSTEP_HOST_UNARY(widen, "cvtss2sd", uint32_t, uint64_t, double)
LOCKSTEP_HOST_UNARY(narrow, "cvtsd2ss", uint64_t, uint32_t, float)
LOCKSTEP_HOST_FUSED(fuse, "vfmadd213ss", uint32_t)
LOCKSTEP_HOST_FUSED(fuse, "vfmadd213sd", uint64_t)
LOCKSTEP_HOST_TO_INTEGER(to_int32, "cvtss2si", uint32_t, int32_t)
LOCKSTEP_HOST_TO_INTEGER(to_int32, "cvtsd2si", uint64_t, int32_t)
LOCKSTEP_HOST_TO_INTEGER(to_int64, "cvtss2si", uint32_t, int64_t)
LOCKSTEP_HOST_TO_INTEGER(to_int64, "cvtsd2si", uint64_t, int64_t)
LOCKSTEP_HOST_FROM_INTEGER(int32_to32, "cvtsi2ssl", float, int32_t)
LOCKSTEP_HOST_FROM_INTEGER(int32_to64, "cvtsi2sdl", double, int32_t)
LOCKSTEP_HOST_FROM_INTEGER(int64_to32, "cvtsi2ssq", float, int64_t)
LOCKSTEP_HOST_FROM_INTEGER(int64_to64, "cvtsi2sdq", double, int64_t)
LOCKSTEP_HOST_COMPARE(compare_quiet, "ucomiss", uint32_t)
LOCKSTEP_HOST_COMPARE(compare_quiet, "ucomisd", uint64_t)
LOCKSTEP_HOST_COMPARE(compare_signalling, "comiss", uint32_t)
LOCKSTEP_HOST_COMPARE(compare_signalling, "comisd", uint64_t)

#undef LOCKSTEP_GUARDED
#undef LOCKSTEP_HOST_BINARY
#undef LOCKSTEP_HOST_UNARY
#undef LOCKSTEP_HOST_FUSED
#undef LOCKSTEP_HOST_TO_INTEGER
#undef LOCKSTEP_HOST_FROM_INTEGER
#undef LOCKSTEP_HOST_COMPARE

}  // namespace lockstep::riscv::softfloat::host

#endif  // defined(__x86_64__)
