// Where the fields of a 32-bit instruction word lie: for the decoder and the encoder.
//
// Owner: none (pure functions). Source: the RISC-V unprivileged specification, "Immediate Encoding
// Variants".
#pragma once

#include <cstdint>

#include "riscv/instruction.h"

namespace lockstep::riscv {

inline constexpr int kRdShift = 7;
inline constexpr int kFunct3Shift = 12;  // the rounding mode stands here, too
inline constexpr int kRs1Shift = 15;
inline constexpr int kRs2Shift = 20;
inline constexpr int kRs3Shift = 27;

// `count` bits from bit `low` on.
constexpr uint32_t bit_field(uint32_t word, int low, int count) {
  return (word >> low) & ((1U << count) - 1);
}

// The low `count` bits as a two's complement number.
constexpr int32_t sign_extend(uint32_t value, int count) {
  const int unused = 32 - count;
  return static_cast<int32_t>(value << unused) >> unused;
}

constexpr int32_t i_immediate(uint32_t word) {
  return static_cast<int32_t>(word) >> 20;
}

constexpr int32_t s_immediate(uint32_t word) {
  return sign_extend(bit_field(word, 25, 7) << 5 | bit_field(word, 7, 5), 12);
}

constexpr int32_t b_immediate(uint32_t word) {
  return sign_extend(bit_field(word, 31, 1) << 12 | bit_field(word, 7, 1) << 11 |
                         bit_field(word, 25, 6) << 5 | bit_field(word, 8, 4) << 1,
                     13);
}

constexpr int32_t u_immediate(uint32_t word) {
  return static_cast<int32_t>(word & 0xfffff000U);
}

constexpr int32_t j_immediate(uint32_t word) {
  return sign_extend(bit_field(word, 31, 1) << 20 | bit_field(word, 12, 8) << 12 |
                         bit_field(word, 20, 1) << 11 | bit_field(word, 21, 10) << 1,
                     21);
}

// Which of the bits of rd, rs1, rs2, rs3 and the rounding mode are fields in words of a format.
constexpr uint32_t register_field_mask(Format format) {
  constexpr uint32_t kRd = 0x1f << kRdShift;
  constexpr uint32_t kRs1 = 0x1f << kRs1Shift;
  constexpr uint32_t kRs2 = 0x1f << kRs2Shift;
  constexpr uint32_t kRs3 = 0x1fU << kRs3Shift;
  constexpr uint32_t kRounding = 7 << kFunct3Shift;
  switch (format) {
    case Format::kNone:
    case Format::kFence:
    case Format::kSystem:
      return 0;
    case Format::kU:
    case Format::kJ:
      return kRd;
    case Format::kCacheBlock:
      return kRs1;
    case Format::kI:
    case Format::kRUnary:
    case Format::kIShift64:
    case Format::kIShift32:
    case Format::kLoad:
    case Format::kFpLoad:
    case Format::kJalr:
    case Format::kLoadReserved:
    case Format::kCsr:
    case Format::kCsrImmediate:
    case Format::kFpExactToInteger:
    case Format::kIntegerExactToFp:
      return kRd | kRs1;
    case Format::kStore:
    case Format::kFpStore:
    case Format::kB:
    case Format::kSfence:
      return kRs1 | kRs2;
    case Format::kR:
    case Format::kAmo:
    case Format::kRFpExact:
    case Format::kRFpCompare:
      return kRd | kRs1 | kRs2;
    case Format::kRFpUnary:
    case Format::kFpToInteger:
    case Format::kIntegerToFp:
      return kRd | kRs1 | kRounding;
    case Format::kRFp:
      return kRd | kRs1 | kRs2 | kRounding;
    case Format::kR4:
      return kRd | kRs1 | kRs2 | kRs3 | kRounding;
  }
  return 0;
}

}  // namespace lockstep::riscv
