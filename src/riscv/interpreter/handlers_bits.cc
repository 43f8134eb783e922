// Zba, Zbb, Zbs and Zicond: nothing here can trap or leave.
// Source: RISC-V unprivileged specification, "B" and "Zicond".
#include <algorithm>
#include <bit>

#include "riscv/interpreter/computation.h"

namespace lockstep::riscv::interpreter {
namespace {

// Zba.
template <unsigned kShift>
constexpr auto kShiftAdd = [](uint64_t a, uint64_t b) { return (a << kShift) + b; };
template <unsigned kShift>
constexpr auto kShiftAddWord = [](uint64_t a, uint64_t b) { return (low_word(a) << kShift) + b; };
constexpr auto kShiftWord = [](uint64_t a, uint64_t b) { return low_word(a) << (b & 63); };

// Zbb.
constexpr auto kAndNot = [](uint64_t a, uint64_t b) { return a & ~b; };
constexpr auto kOrNot = [](uint64_t a, uint64_t b) { return a | ~b; };
constexpr auto kXorNot = [](uint64_t a, uint64_t b) { return ~(a ^ b); };
constexpr auto kMax = [](uint64_t a, uint64_t b) { return as_signed(a) < as_signed(b) ? b : a; };
constexpr auto kMaxUnsigned = [](uint64_t a, uint64_t b) { return std::max(a, b); };
constexpr auto kMin = [](uint64_t a, uint64_t b) { return as_signed(a) < as_signed(b) ? a : b; };
constexpr auto kMinUnsigned = [](uint64_t a, uint64_t b) { return std::min(a, b); };

constexpr auto kRotateLeft = [](uint64_t a, uint64_t b) {
  return std::rotl(a, static_cast<int>(b & 63));
};
constexpr auto kRotateRight = [](uint64_t a, uint64_t b) {
  return std::rotr(a, static_cast<int>(b & 63));
};
constexpr auto kRotateLeftWord = [](uint64_t a, uint64_t b) {
  return extend_word(std::rotl(static_cast<uint32_t>(a), static_cast<int>(b & 31)));
};
constexpr auto kRotateRightWord = [](uint64_t a, uint64_t b) {
  return extend_word(std::rotr(static_cast<uint32_t>(a), static_cast<int>(b & 31)));
};

// std's counts of 0 are the width, as the specification wants.
template <typename T>
constexpr auto kLeadingZeros =
    [](uint64_t a) { return static_cast<uint64_t>(std::countl_zero(static_cast<T>(a))); };
template <typename T>
constexpr auto kTrailingZeros =
    [](uint64_t a) { return static_cast<uint64_t>(std::countr_zero(static_cast<T>(a))); };
template <typename T>
constexpr auto kOnes =
    [](uint64_t a) { return static_cast<uint64_t>(std::popcount(static_cast<T>(a))); };
// To 64 bits by the sign of T.
template <typename T>
constexpr auto kExtend =
    [](uint64_t a) { return static_cast<uint64_t>(static_cast<int64_t>(static_cast<T>(a))); };

uint64_t or_combine_bytes(uint64_t a) {
  constexpr uint64_t kLowBits = 0x0101010101010101;
  a |= a >> 4;
  a |= a >> 2;
  a |= a >> 1;  // the low bit of each byte is now the byte's disjunction
  return (a & kLowBits) * 0xff;
}
constexpr auto kReverseBytes = [](uint64_t a) { return __builtin_bswap64(a); };

// Zbs.
constexpr uint64_t one_bit(uint64_t index) {
  return uint64_t{1} << (index & 63);
}
constexpr auto kClearBit = [](uint64_t a, uint64_t b) { return a & ~one_bit(b); };
constexpr auto kExtractBit = [](uint64_t a, uint64_t b) { return a >> (b & 63) & 1; };
constexpr auto kInvertBit = [](uint64_t a, uint64_t b) { return a ^ one_bit(b); };
constexpr auto kSetBit = [](uint64_t a, uint64_t b) { return a | one_bit(b); };

// Zicond.
constexpr auto kZeroIfZero = [](uint64_t a, uint64_t b) { return b == 0 ? 0 : a; };
constexpr auto kZeroUnlessZero = [](uint64_t a, uint64_t b) { return b == 0 ? a : 0; };

Handlers address_handlers(Opcode opcode) {
  switch (opcode) {
    case Opcode::kAddUw:
      return kRegister<kShiftAddWord<0>>;
    case Opcode::kSh1add:
      return kRegister<kShiftAdd<1>>;
    case Opcode::kSh2add:
      return kRegister<kShiftAdd<2>>;
    case Opcode::kSh3add:
      return kRegister<kShiftAdd<3>>;
    case Opcode::kSh1addUw:
      return kRegister<kShiftAddWord<1>>;
    case Opcode::kSh2addUw:
      return kRegister<kShiftAddWord<2>>;
    case Opcode::kSh3addUw:
      return kRegister<kShiftAddWord<3>>;
    case Opcode::kSlliUw:
      return kImmediate<kShiftWord>;
    default:
      return {};
  }
}

Handlers unary_handlers(Opcode opcode) {
  switch (opcode) {
    case Opcode::kClz:
      return kUnary<kLeadingZeros<uint64_t>>;
    case Opcode::kClzw:
      return kUnary<kLeadingZeros<uint32_t>>;
    case Opcode::kCtz:
      return kUnary<kTrailingZeros<uint64_t>>;
    case Opcode::kCtzw:
      return kUnary<kTrailingZeros<uint32_t>>;
    case Opcode::kCpop:
      return kUnary<kOnes<uint64_t>>;
    case Opcode::kCpopw:
      return kUnary<kOnes<uint32_t>>;
    case Opcode::kSextB:
      return kUnary<kExtend<int8_t>>;
    case Opcode::kSextH:
      return kUnary<kExtend<int16_t>>;
    case Opcode::kZextH:
      return kUnary<kExtend<uint16_t>>;
    case Opcode::kOrcB:
      return kUnary<or_combine_bytes>;
    case Opcode::kRev8:
      return kUnary<kReverseBytes>;
    default:
      return {};
  }
}

Handlers logic_and_rotation_handlers(Opcode opcode) {
  switch (opcode) {
    case Opcode::kAndn:
      return kRegister<kAndNot>;
    case Opcode::kOrn:
      return kRegister<kOrNot>;
    case Opcode::kXnor:
      return kRegister<kXorNot>;
    case Opcode::kMax:
      return kRegister<kMax>;
    case Opcode::kMaxu:
      return kRegister<kMaxUnsigned>;
    case Opcode::kMin:
      return kRegister<kMin>;
    case Opcode::kMinu:
      return kRegister<kMinUnsigned>;
    case Opcode::kRol:
      return kRegister<kRotateLeft>;
    case Opcode::kRolw:
      return kRegister<kRotateLeftWord>;
    case Opcode::kRor:
      return kRegister<kRotateRight>;
    case Opcode::kRori:
      return kImmediate<kRotateRight>;
    case Opcode::kRoriw:
      return kImmediate<kRotateRightWord>;
    case Opcode::kRorw:
      return kRegister<kRotateRightWord>;
    default:
      return {};
  }
}

Handlers single_bit_and_conditional_handlers(Opcode opcode) {
  switch (opcode) {
    case Opcode::kBclr:
      return kRegister<kClearBit>;
    case Opcode::kBclri:
      return kImmediate<kClearBit>;
    case Opcode::kBext:
      return kRegister<kExtractBit>;
    case Opcode::kBexti:
      return kImmediate<kExtractBit>;
    case Opcode::kBinv:
      return kRegister<kInvertBit>;
    case Opcode::kBinvi:
      return kImmediate<kInvertBit>;
    case Opcode::kBset:
      return kRegister<kSetBit>;
    case Opcode::kBseti:
      return kImmediate<kSetBit>;
    case Opcode::kCzeroEqz:
      return kRegister<kZeroIfZero>;
    case Opcode::kCzeroNez:
      return kRegister<kZeroUnlessZero>;
    default:
      return {};
  }
}

}  // namespace

Handlers bits_handlers(Opcode opcode) {
  for (const Handlers& found :
       {address_handlers(opcode), unary_handlers(opcode), logic_and_rotation_handlers(opcode),
        single_bit_and_conditional_handlers(opcode)}) {
    if (found.of[1] != nullptr) return found;
  }
  return {};
}

}  // namespace lockstep::riscv::interpreter
