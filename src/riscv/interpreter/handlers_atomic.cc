// LR, SC and the atomic operations. One hart runs at a time, so that atomicity is free; what
// matters is when a reservation holds, and that is architectural (riscv/hart.h).
#include <algorithm>
#include <type_traits>

#include "riscv/interpreter/context.h"
#include "riscv/interpreter/operands.h"

namespace lockstep::riscv::interpreter {
namespace {

template <typename T>
uint64_t extend(T value) {
  return static_cast<uint64_t>(static_cast<int64_t>(static_cast<std::make_signed_t<T>>(value)));
}

// Stores through the guards. True: go on with the next Op; else leave.
template <typename T>
bool store_at(Context& context, GuestAddress place, T value) {
  if (std::byte* host = context.memory.write_pointer(place); host != nullptr) {
    __builtin_memcpy(host, &value, sizeof(T));
    return true;
  }
  context.memory.store(place, value);
  return false;
}

template <typename T, unsigned kSize>
const Op* load_reserved(Context& context, const Op* op, uint64_t* x) {
  GuestAddress place;
  if (!context.locate(context.pc_of(op), x[op->rs1], sizeof(T), Access::kLoad, place))
    return nullptr;
  const T value = context.memory.load<T>(place);
  context.hart.reserved = true;
  context.hart.reserved_address = place;
  context.hart.reserved_value = value;
  x[op->rd] = extend(value);
  return op + kSize;
}

template <typename T, unsigned kSize>
const Op* store_conditional(Context& context, const Op* op, uint64_t* x) {
  GuestAddress place;
  if (!context.locate(context.pc_of(op), x[op->rs1], sizeof(T), Access::kStore, place))
    return nullptr;
  Hart& hart = context.hart;
  const bool holds = hart.reserved && hart.reserved_address == place &&
                     context.memory.load<T>(place) == static_cast<T>(hart.reserved_value);
  hart.reserved = false;
  const uint64_t next_pc = context.pc_of(op) + 2 * kSize;
  const bool go_on = !holds || store_at(context, place, static_cast<T>(x[op->rs2]));
  x[op->rd] = holds ? 0 : 1;
  return go_on ? op + kSize : context.leave(next_pc);
}

template <typename T, auto kFunction, unsigned kSize>
const Op* read_modify_write(Context& context, const Op* op, uint64_t* x) {
  GuestAddress place;
  if (!context.locate(context.pc_of(op), x[op->rs1], sizeof(T), Access::kStore, place))
    return nullptr;
  const T old_value = context.memory.load<T>(place);
  const T operand = static_cast<T>(x[op->rs2]);
  const uint64_t next_pc = context.pc_of(op) + 2 * kSize;
  const bool go_on = store_at(context, place, static_cast<T>(kFunction(old_value, operand)));
  x[op->rd] = extend(old_value);
  return go_on ? op + kSize : context.leave(next_pc);
}

template <typename T, auto kFunction>
constexpr Handlers kAtomic = {
    {read_modify_write<T, kFunction, 1>, read_modify_write<T, kFunction, 2>}};

constexpr auto kSwap = [](auto, auto b) { return b; };
constexpr auto kAdd = [](auto a, auto b) { return a + b; };
constexpr auto kXor = [](auto a, auto b) { return a ^ b; };
constexpr auto kAnd = [](auto a, auto b) { return a & b; };
constexpr auto kOr = [](auto a, auto b) { return a | b; };
constexpr auto kMin = [](auto a, auto b) {
  using Signed = std::make_signed_t<decltype(a)>;
  return static_cast<Signed>(a) < static_cast<Signed>(b) ? a : b;
};
constexpr auto kMax = [](auto a, auto b) {
  using Signed = std::make_signed_t<decltype(a)>;
  return static_cast<Signed>(a) > static_cast<Signed>(b) ? a : b;
};
constexpr auto kMinu = [](auto a, auto b) { return std::min(a, b); };
constexpr auto kMaxu = [](auto a, auto b) { return std::max(a, b); };

}  // namespace

Handlers atomic_handlers(Opcode opcode) {
  using Word = uint32_t;
  using Double = uint64_t;
  switch (opcode) {
    case Opcode::kLrW:
      return {{load_reserved<Word, 1>, load_reserved<Word, 2>}};
    case Opcode::kLrD:
      return {{load_reserved<Double, 1>, load_reserved<Double, 2>}};
    case Opcode::kScW:
      return {{store_conditional<Word, 1>, store_conditional<Word, 2>}};
    case Opcode::kScD:
      return {{store_conditional<Double, 1>, store_conditional<Double, 2>}};
    case Opcode::kAmoswapW:
      return kAtomic<Word, kSwap>;
    case Opcode::kAmoaddW:
      return kAtomic<Word, kAdd>;
    case Opcode::kAmoxorW:
      return kAtomic<Word, kXor>;
    case Opcode::kAmoandW:
      return kAtomic<Word, kAnd>;
    case Opcode::kAmoorW:
      return kAtomic<Word, kOr>;
    case Opcode::kAmominW:
      return kAtomic<Word, kMin>;
    case Opcode::kAmomaxW:
      return kAtomic<Word, kMax>;
    case Opcode::kAmominuW:
      return kAtomic<Word, kMinu>;
    case Opcode::kAmomaxuW:
      return kAtomic<Word, kMaxu>;
    case Opcode::kAmoswapD:
      return kAtomic<Double, kSwap>;
    case Opcode::kAmoaddD:
      return kAtomic<Double, kAdd>;
    case Opcode::kAmoxorD:
      return kAtomic<Double, kXor>;
    case Opcode::kAmoandD:
      return kAtomic<Double, kAnd>;
    case Opcode::kAmoorD:
      return kAtomic<Double, kOr>;
    case Opcode::kAmominD:
      return kAtomic<Double, kMin>;
    case Opcode::kAmomaxD:
      return kAtomic<Double, kMax>;
    case Opcode::kAmominuD:
      return kAtomic<Double, kMinu>;
    case Opcode::kAmomaxuD:
      return kAtomic<Double, kMaxu>;
    default:
      return {};
  }
}

}  // namespace lockstep::riscv::interpreter
