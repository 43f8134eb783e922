// Floating point, F and D: unpack, call softfloat, pack. Source: unprivileged specification, "F",
// "D".
#include "riscv/interpreter/context.h"
#include "riscv/interpreter/operands.h"
#include "riscv/softfloat/softfloat.h"

namespace lockstep::riscv::interpreter {
namespace {

namespace sf = softfloat;

constexpr uint64_t kSingleBox = ~uint64_t{0} << 32;
constexpr uint32_t kSingleNan = 0x7fc00000;
constexpr uint8_t kDynamicRounding = 7;

template <typename T>
constexpr T kSignBit = static_cast<T>(T{1} << (8 * sizeof(T) - 1));

// A single that is not NaN-boxed reads as the canonical NaN ("D", "NaN Boxing of Narrower Values").
template <typename T>
T get(const Hart& hart, uint8_t index) {
  const uint64_t raw = hart.f[index];
  if constexpr (sizeof(T) == 8) return raw;
  return raw >= kSingleBox ? static_cast<T>(raw) : static_cast<T>(kSingleNan);
}

template <typename T>
void set(Hart& hart, uint8_t index, T value) {
  hart.f[index] = sizeof(T) == 8 ? value : value | kSingleBox;
}

bool enabled(const Hart& hart) {
  return (hart.sstatus & kStatusFs) != 0;
}
void mark_dirty(Hart& hart) {
  hart.sstatus |= kStatusFs;
}

// The rounding mode of the instruction; false when it, or frm for a dynamic one, is reserved.
bool rounding(const Hart& hart, const Op* op, sf::RoundingMode& mode) {
  uint8_t number = op->extra & 7;
  if (number == kDynamicRounding) number = hart.frm;
  mode = static_cast<sf::RoundingMode>(number);
  return number <= static_cast<uint8_t>(sf::RoundingMode::kRmm);
}

template <typename T, auto kFunction>
const Op* binary(Context& context, const Op* op, uint64_t*) {
  Hart& hart = context.hart;
  sf::RoundingMode mode;
  if (!enabled(hart) || !rounding(hart, op, mode)) return context.illegal(op);
  set<T>(hart, op->rd, kFunction(get<T>(hart, op->rs1), get<T>(hart, op->rs2), mode, hart.fflags));
  mark_dirty(hart);
  return op + 2;
}

template <typename T, auto kFunction>
const Op* square_root(Context& context, const Op* op, uint64_t*) {
  Hart& hart = context.hart;
  sf::RoundingMode mode;
  if (!enabled(hart) || !rounding(hart, op, mode)) return context.illegal(op);
  set<T>(hart, op->rd, kFunction(get<T>(hart, op->rs1), mode, hart.fflags));
  mark_dirty(hart);
  return op + 2;
}

// fmadd: a*b + c; fmsub: a*b - c; fnmsub: -(a*b) + c; fnmadd: -(a*b) - c.
template <typename T, auto kFunction, bool kNegateProduct, bool kNegateAddend>
const Op* fused(Context& context, const Op* op, uint64_t*) {
  Hart& hart = context.hart;
  sf::RoundingMode mode;
  if (!enabled(hart) || !rounding(hart, op, mode)) return context.illegal(op);
  T a = get<T>(hart, op->rs1);
  const T b = get<T>(hart, op->rs2);
  T c = get<T>(hart, op->extra >> 3);
  if (kNegateProduct) a ^= kSignBit<T>;
  if (kNegateAddend) c ^= kSignBit<T>;
  set<T>(hart, op->rd, kFunction(a, b, c, mode, hart.fflags));
  mark_dirty(hart);
  return op + 2;
}

template <typename T, auto kFunction>
const Op* min_max(Context& context, const Op* op, uint64_t*) {
  Hart& hart = context.hart;
  if (!enabled(hart)) return context.illegal(op);
  set<T>(hart, op->rd, kFunction(get<T>(hart, op->rs1), get<T>(hart, op->rs2), hart.fflags));
  mark_dirty(hart);
  return op + 2;
}

template <typename T, auto kFunction>
const Op* compare(Context& context, const Op* op, uint64_t* x) {
  Hart& hart = context.hart;
  if (!enabled(hart)) return context.illegal(op);
  x[op->rd] = kFunction(get<T>(hart, op->rs1), get<T>(hart, op->rs2), hart.fflags) ? 1 : 0;
  mark_dirty(hart);
  return op + 2;
}

template <typename T, auto kSign>
const Op* inject_sign(Context& context, const Op* op, uint64_t*) {
  Hart& hart = context.hart;
  if (!enabled(hart)) return context.illegal(op);
  const T a = get<T>(hart, op->rs1);
  const T sign = static_cast<T>(kSign(a, get<T>(hart, op->rs2)) & kSignBit<T>);
  set<T>(hart, op->rd, static_cast<T>((a & ~kSignBit<T>) | sign));
  mark_dirty(hart);
  return op + 2;
}

constexpr auto kCopySign = [](auto, auto b) { return b; };
constexpr auto kNegatedSign = [](auto, auto b) { return ~b; };
constexpr auto kXorSign = [](auto a, auto b) { return a ^ b; };

template <typename T, auto kFunction>
const Op* to_integer(Context& context, const Op* op, uint64_t* x) {
  Hart& hart = context.hart;
  sf::RoundingMode mode;
  if (!enabled(hart) || !rounding(hart, op, mode)) return context.illegal(op);
  const auto result = kFunction(get<T>(hart, op->rs1), mode, hart.fflags);
  // 32-bit results, unsigned ones too, are sign-extended.
  x[op->rd] = sizeof(result) == 4 ? extend_word(static_cast<uint64_t>(result))
                                  : static_cast<uint64_t>(result);
  mark_dirty(hart);
  return op + 2;
}

template <typename T, typename From, auto kFunction>
const Op* from_integer(Context& context, const Op* op, uint64_t* x) {
  Hart& hart = context.hart;
  sf::RoundingMode mode;
  if (!enabled(hart) || !rounding(hart, op, mode)) return context.illegal(op);
  set<T>(hart, op->rd, kFunction(static_cast<From>(x[op->rs1]), mode, hart.fflags));
  mark_dirty(hart);
  return op + 2;
}

const Op* narrow(Context& context, const Op* op, uint64_t*) {
  Hart& hart = context.hart;
  sf::RoundingMode mode;
  if (!enabled(hart) || !rounding(hart, op, mode)) return context.illegal(op);
  set<uint32_t>(hart, op->rd,
                sf::convert_64_to_32(get<uint64_t>(hart, op->rs1), mode, hart.fflags));
  mark_dirty(hart);
  return op + 2;
}

const Op* widen(Context& context, const Op* op, uint64_t*) {
  Hart& hart = context.hart;
  sf::RoundingMode mode;  // exact, but a reserved mode is illegal all the same
  if (!enabled(hart) || !rounding(hart, op, mode)) return context.illegal(op);
  set<uint64_t>(hart, op->rd, sf::convert_32_to_64(get<uint32_t>(hart, op->rs1), hart.fflags));
  mark_dirty(hart);
  return op + 2;
}

template <typename T, auto kFunction>
const Op* classify(Context& context, const Op* op, uint64_t* x) {
  if (!enabled(context.hart)) return context.illegal(op);
  x[op->rd] = kFunction(get<T>(context.hart, op->rs1));
  return op + 2;
}

const Op* move_word_to_integer(Context& context, const Op* op, uint64_t* x) {
  if (!enabled(context.hart)) return context.illegal(op);
  x[op->rd] = extend_word(context.hart.f[op->rs1]);
  return op + 2;
}

const Op* move_double_to_integer(Context& context, const Op* op, uint64_t* x) {
  if (!enabled(context.hart)) return context.illegal(op);
  x[op->rd] = context.hart.f[op->rs1];
  return op + 2;
}

template <typename T>
const Op* move_from_integer(Context& context, const Op* op, uint64_t* x) {
  if (!enabled(context.hart)) return context.illegal(op);
  set<T>(context.hart, op->rd, static_cast<T>(x[op->rs1]));
  mark_dirty(context.hart);
  return op + 2;
}

Handler single_handler(Opcode opcode) {
  using T = uint32_t;
  switch (opcode) {
    case Opcode::kFaddS:
      return binary<T, sf::add32>;
    case Opcode::kFsubS:
      return binary<T, sf::sub32>;
    case Opcode::kFmulS:
      return binary<T, sf::mul32>;
    case Opcode::kFdivS:
      return binary<T, sf::div32>;
    case Opcode::kFsqrtS:
      return square_root<T, sf::sqrt32>;
    case Opcode::kFmaddS:
      return fused<T, sf::fma32, false, false>;
    case Opcode::kFmsubS:
      return fused<T, sf::fma32, false, true>;
    case Opcode::kFnmsubS:
      return fused<T, sf::fma32, true, false>;
    case Opcode::kFnmaddS:
      return fused<T, sf::fma32, true, true>;
    case Opcode::kFminS:
      return min_max<T, sf::min32>;
    case Opcode::kFmaxS:
      return min_max<T, sf::max32>;
    case Opcode::kFeqS:
      return compare<T, sf::eq32>;
    case Opcode::kFltS:
      return compare<T, sf::lt32>;
    case Opcode::kFleS:
      return compare<T, sf::le32>;
    case Opcode::kFsgnjS:
      return inject_sign<T, kCopySign>;
    case Opcode::kFsgnjnS:
      return inject_sign<T, kNegatedSign>;
    case Opcode::kFsgnjxS:
      return inject_sign<T, kXorSign>;
    case Opcode::kFcvtWS:
      return to_integer<T, sf::to_int32_32>;
    case Opcode::kFcvtWuS:
      return to_integer<T, sf::to_uint32_32>;
    case Opcode::kFcvtLS:
      return to_integer<T, sf::to_int64_32>;
    case Opcode::kFcvtLuS:
      return to_integer<T, sf::to_uint64_32>;
    case Opcode::kFcvtSW:
      return from_integer<T, int32_t, sf::from_int32_to32>;
    case Opcode::kFcvtSWu:
      return from_integer<T, uint32_t, sf::from_uint32_to32>;
    case Opcode::kFcvtSL:
      return from_integer<T, int64_t, sf::from_int64_to32>;
    case Opcode::kFcvtSLu:
      return from_integer<T, uint64_t, sf::from_uint64_to32>;
    case Opcode::kFcvtSD:
      return narrow;
    case Opcode::kFclassS:
      return classify<T, sf::classify32>;
    case Opcode::kFmvXW:
      return move_word_to_integer;
    case Opcode::kFmvWX:
      return move_from_integer<T>;
    default:
      return nullptr;
  }
}

Handler double_handler(Opcode opcode) {
  using T = uint64_t;
  switch (opcode) {
    case Opcode::kFaddD:
      return binary<T, sf::add64>;
    case Opcode::kFsubD:
      return binary<T, sf::sub64>;
    case Opcode::kFmulD:
      return binary<T, sf::mul64>;
    case Opcode::kFdivD:
      return binary<T, sf::div64>;
    case Opcode::kFsqrtD:
      return square_root<T, sf::sqrt64>;
    case Opcode::kFmaddD:
      return fused<T, sf::fma64, false, false>;
    case Opcode::kFmsubD:
      return fused<T, sf::fma64, false, true>;
    case Opcode::kFnmsubD:
      return fused<T, sf::fma64, true, false>;
    case Opcode::kFnmaddD:
      return fused<T, sf::fma64, true, true>;
    case Opcode::kFminD:
      return min_max<T, sf::min64>;
    case Opcode::kFmaxD:
      return min_max<T, sf::max64>;
    case Opcode::kFeqD:
      return compare<T, sf::eq64>;
    case Opcode::kFltD:
      return compare<T, sf::lt64>;
    case Opcode::kFleD:
      return compare<T, sf::le64>;
    case Opcode::kFsgnjD:
      return inject_sign<T, kCopySign>;
    case Opcode::kFsgnjnD:
      return inject_sign<T, kNegatedSign>;
    case Opcode::kFsgnjxD:
      return inject_sign<T, kXorSign>;
    case Opcode::kFcvtWD:
      return to_integer<T, sf::to_int32_64>;
    case Opcode::kFcvtWuD:
      return to_integer<T, sf::to_uint32_64>;
    case Opcode::kFcvtLD:
      return to_integer<T, sf::to_int64_64>;
    case Opcode::kFcvtLuD:
      return to_integer<T, sf::to_uint64_64>;
    case Opcode::kFcvtDW:
      return from_integer<T, int32_t, sf::from_int32_to64>;
    case Opcode::kFcvtDWu:
      return from_integer<T, uint32_t, sf::from_uint32_to64>;
    case Opcode::kFcvtDL:
      return from_integer<T, int64_t, sf::from_int64_to64>;
    case Opcode::kFcvtDLu:
      return from_integer<T, uint64_t, sf::from_uint64_to64>;
    case Opcode::kFcvtDS:
      return widen;
    case Opcode::kFclassD:
      return classify<T, sf::classify64>;
    case Opcode::kFmvXD:
      return move_double_to_integer;
    case Opcode::kFmvDX:
      return move_from_integer<T>;
    default:
      return nullptr;
  }
}

}  // namespace

Handlers float_handlers(Opcode opcode) {
  const Handler single = single_handler(opcode);
  return {{nullptr, single != nullptr ? single : double_handler(opcode)}};
}

}  // namespace lockstep::riscv::interpreter
