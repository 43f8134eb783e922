// Integer computation: nothing here can trap or leave.
#include <limits>

#include "riscv/interpreter/computation.h"

namespace lockstep::riscv::interpreter {
namespace {

template <unsigned kSize>
const Op* load_upper(Context&, const Op* op, uint64_t* x) {
  x[op->rd] = immediate_of(op);
  return op + kSize;
}

constexpr uint64_t kMostNegative64 = uint64_t{1} << 63;

uint64_t mulh(uint64_t a, uint64_t b) {
  __extension__ using Wide = __int128;
  return static_cast<uint64_t>(static_cast<Wide>(as_signed(a)) * as_signed(b) >> 64);
}
uint64_t mulhu(uint64_t a, uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  return static_cast<uint64_t>(static_cast<Wide>(a) * b >> 64);
}
uint64_t mulhsu(uint64_t a, uint64_t b) {
  __extension__ using Wide = __int128;
  return static_cast<uint64_t>(static_cast<Wide>(as_signed(a)) * static_cast<Wide>(b) >> 64);
}

// Division never traps: unprivileged specification, "M", "Division Operations".
uint64_t div(uint64_t a, uint64_t b) {
  if (b == 0) return ~uint64_t{0};
  if (a == kMostNegative64 && b == ~uint64_t{0}) return a;
  return static_cast<uint64_t>(as_signed(a) / as_signed(b));
}
uint64_t divu(uint64_t a, uint64_t b) {
  return b == 0 ? ~uint64_t{0} : a / b;
}
uint64_t rem(uint64_t a, uint64_t b) {
  if (b == 0) return a;
  if (a == kMostNegative64 && b == ~uint64_t{0}) return 0;
  return static_cast<uint64_t>(as_signed(a) % as_signed(b));
}
uint64_t remu(uint64_t a, uint64_t b) {
  return b == 0 ? a : a % b;
}

// The 32-bit forms: the same on sign- or zero-extended halves, and the result sign-extended. The
// 64-bit quotient of two 32-bit numbers never overflows, so the special case falls out.
uint64_t divw(uint64_t a, uint64_t b) {
  return extend_word(div(extend_word(a), extend_word(b)));
}
uint64_t remw(uint64_t a, uint64_t b) {
  return extend_word(rem(extend_word(a), extend_word(b)));
}
uint64_t divuw(uint64_t a, uint64_t b) {
  return extend_word(divu(low_word(a), low_word(b)));
}
uint64_t remuw(uint64_t a, uint64_t b) {
  return extend_word(remu(low_word(a), low_word(b)));
}

constexpr auto kAdd = [](uint64_t a, uint64_t b) { return a + b; };
constexpr auto kSub = [](uint64_t a, uint64_t b) { return a - b; };
constexpr auto kAnd = [](uint64_t a, uint64_t b) { return a & b; };
constexpr auto kOr = [](uint64_t a, uint64_t b) { return a | b; };
constexpr auto kXor = [](uint64_t a, uint64_t b) { return a ^ b; };
constexpr auto kSlt = [](uint64_t a, uint64_t b) -> uint64_t {
  return as_signed(a) < as_signed(b);
};
constexpr auto kSltu = [](uint64_t a, uint64_t b) -> uint64_t { return a < b; };
constexpr auto kSll = [](uint64_t a, uint64_t b) { return a << (b & 63); };
constexpr auto kSrl = [](uint64_t a, uint64_t b) { return a >> (b & 63); };
constexpr auto kSra = [](uint64_t a, uint64_t b) {
  return static_cast<uint64_t>(as_signed(a) >> (b & 63));
};
constexpr auto kAddw = [](uint64_t a, uint64_t b) { return extend_word(a + b); };
constexpr auto kSubw = [](uint64_t a, uint64_t b) { return extend_word(a - b); };
constexpr auto kSllw = [](uint64_t a, uint64_t b) { return extend_word(a << (b & 31)); };
constexpr auto kSrlw = [](uint64_t a, uint64_t b) { return extend_word(low_word(a) >> (b & 31)); };
constexpr auto kSraw = [](uint64_t a, uint64_t b) {
  return static_cast<uint64_t>(as_signed(extend_word(a)) >> (b & 31));
};
constexpr auto kMul = [](uint64_t a, uint64_t b) { return a * b; };
constexpr auto kMulw = [](uint64_t a, uint64_t b) { return extend_word(a * b); };

}  // namespace

Handlers integer_handlers(Opcode opcode) {
  switch (opcode) {
    case Opcode::kLui:
      return {{load_upper<1>, load_upper<2>}};
    case Opcode::kAddi:
      return kImmediate<kAdd>;
    case Opcode::kSlti:
      return kImmediate<kSlt>;
    case Opcode::kSltiu:
      return kImmediate<kSltu>;
    case Opcode::kXori:
      return kImmediate<kXor>;
    case Opcode::kOri:
      return kImmediate<kOr>;
    case Opcode::kAndi:
      return kImmediate<kAnd>;
    case Opcode::kSlli:
      return kImmediate<kSll>;
    case Opcode::kSrli:
      return kImmediate<kSrl>;
    case Opcode::kSrai:
      return kImmediate<kSra>;
    case Opcode::kAddiw:
      return kImmediate<kAddw>;
    case Opcode::kSlliw:
      return kImmediate<kSllw>;
    case Opcode::kSrliw:
      return kImmediate<kSrlw>;
    case Opcode::kSraiw:
      return kImmediate<kSraw>;
    case Opcode::kAdd:
      return kRegister<kAdd>;
    case Opcode::kSub:
      return kRegister<kSub>;
    case Opcode::kSll:
      return kRegister<kSll>;
    case Opcode::kSlt:
      return kRegister<kSlt>;
    case Opcode::kSltu:
      return kRegister<kSltu>;
    case Opcode::kXor:
      return kRegister<kXor>;
    case Opcode::kSrl:
      return kRegister<kSrl>;
    case Opcode::kSra:
      return kRegister<kSra>;
    case Opcode::kOr:
      return kRegister<kOr>;
    case Opcode::kAnd:
      return kRegister<kAnd>;
    case Opcode::kAddw:
      return kRegister<kAddw>;
    case Opcode::kSubw:
      return kRegister<kSubw>;
    case Opcode::kSllw:
      return kRegister<kSllw>;
    case Opcode::kSrlw:
      return kRegister<kSrlw>;
    case Opcode::kSraw:
      return kRegister<kSraw>;
    case Opcode::kMul:
      return kRegister<kMul>;
    case Opcode::kMulh:
      return kRegister<mulh>;
    case Opcode::kMulhsu:
      return kRegister<mulhsu>;
    case Opcode::kMulhu:
      return kRegister<mulhu>;
    case Opcode::kDiv:
      return kRegister<div>;
    case Opcode::kDivu:
      return kRegister<divu>;
    case Opcode::kRem:
      return kRegister<rem>;
    case Opcode::kRemu:
      return kRegister<remu>;
    case Opcode::kMulw:
      return kRegister<kMulw>;
    case Opcode::kDivw:
      return kRegister<divw>;
    case Opcode::kDivuw:
      return kRegister<divuw>;
    case Opcode::kRemw:
      return kRegister<remw>;
    case Opcode::kRemuw:
      return kRegister<remuw>;
    default:
      return {};
  }
}

}  // namespace lockstep::riscv::interpreter
