// Loads and stores of both register files. The fast path is one compare in the TLB.
#include <cstring>
#include <type_traits>

#include "riscv/interpreter/context.h"
#include "riscv/interpreter/operands.h"

namespace lockstep::riscv::interpreter {
namespace {

constexpr uint64_t kSingleBox = ~uint64_t{0} << 32;

// The page number and the bits that must be clear for an aligned access.
template <typename T>
constexpr uint64_t kTagMask = ~(kPageSize - 1) | (sizeof(T) - 1);

constexpr uint64_t page_offset(uint64_t address) {
  return address & (kPageSize - 1);
}

enum class File { kInteger, kFloat };

template <typename T, File kFile>
void set_register(Context& context, const Op* op, uint64_t* x, uint64_t raw) {
  if constexpr (kFile == File::kFloat) {
    context.hart.f[op->rd] = sizeof(T) == 4 ? raw | kSingleBox : raw;
    context.hart.sstatus |= kStatusFs;
  } else if constexpr (std::is_signed_v<T>) {
    x[op->rd] = static_cast<uint64_t>(static_cast<int64_t>(static_cast<T>(raw)));
  } else {
    x[op->rd] = raw;
  }
}

template <typename T, File kFile>
[[gnu::noinline]] const Op* load_slowly(Context& context, const Op* op, uint64_t* x,
                                        unsigned size) {
  const uint64_t address = x[op->rs1] + immediate_of(op);
  uint64_t raw = 0;
  const Context::Outcome outcome = context.load(context.pc_of(op), address, sizeof(T), raw);
  if (outcome == Context::Outcome::kTrapped) return nullptr;
  set_register<T, kFile>(context, op, x, raw);
  if (outcome == Context::Outcome::kLeave) return context.leave(context.pc_of(op) + 2 * size);
  return op + size;
}

template <typename T, File kFile, unsigned kSize>
const Op* load(Context& context, const Op* op, uint64_t* x) {
  if constexpr (kFile == File::kFloat) {
    if ((context.hart.sstatus & kStatusFs) == 0) return context.illegal(op);
  }
  const uint64_t address = x[op->rs1] + immediate_of(op);
  const DataEntry& entry = context.bank->reads[TlbBank::data_index(address)];
  if ((address & kTagMask<T>) != entry.tag) [[unlikely]] {
    return load_slowly<T, kFile>(context, op, x, kSize);
  }
  T value;
  // SAFETY: a hit means that the page of RAM that holds `address` starts at host_page.
  std::memcpy(&value, reinterpret_cast<const void*>(entry.host_page + page_offset(address)),
              sizeof(T));
  set_register<T, kFile>(context, op, x,
                         static_cast<uint64_t>(static_cast<std::make_unsigned_t<T>>(value)));
  return op + kSize;
}

[[gnu::noinline]] const Op* store_slowly(Context& context, const Op* op, uint64_t address,
                                         unsigned bytes, uint64_t value, unsigned size) {
  const uint64_t next_pc = context.pc_of(op) + 2 * size;
  const Context::Outcome outcome = context.store(context.pc_of(op), address, bytes, value);
  if (outcome == Context::Outcome::kTrapped) return nullptr;
  if (outcome != Context::Outcome::kDone) return context.leave(next_pc);
  return op + size;
}

template <typename T, File kFile, unsigned kSize>
const Op* store(Context& context, const Op* op, uint64_t* x) {
  if constexpr (kFile == File::kFloat) {
    if ((context.hart.sstatus & kStatusFs) == 0) return context.illegal(op);
  }
  const uint64_t address = x[op->rs1] + immediate_of(op);
  const uint64_t value = kFile == File::kFloat ? context.hart.f[op->rs2] : x[op->rs2];
  const DataEntry& entry = context.bank->writes[TlbBank::data_index(address)];
  if ((address & kTagMask<T>) != entry.tag) [[unlikely]] {
    return store_slowly(context, op, address, sizeof(T), value, kSize);
  }
  const T narrow = static_cast<T>(value);
  // SAFETY: a hit means that the page of RAM that holds `address` starts at host_page, unguarded.
  std::memcpy(reinterpret_cast<void*>(entry.host_page + page_offset(address)), &narrow, sizeof(T));
  return op + kSize;
}

template <unsigned kSize>
[[gnu::noinline]] const Op* zero_block_slowly(Context& context, const Op* op, uint64_t address) {
  const uint64_t next_pc = context.pc_of(op) + 2 * kSize;
  const Context::Outcome outcome = context.zero_block(context.pc_of(op), address);
  if (outcome == Context::Outcome::kTrapped) return nullptr;
  if (outcome != Context::Outcome::kDone) return context.leave(next_pc);
  return op + kSize;
}

template <unsigned kSize>
const Op* zero_block(Context& context, const Op* op, uint64_t* x) {
  if (!context.hart.may_zero_blocks()) return context.illegal(op);
  const uint64_t address = x[op->rs1];
  const DataEntry& entry = context.bank->writes[TlbBank::data_index(address)];
  if ((address & ~(kPageSize - 1)) != entry.tag) [[unlikely]] {
    return zero_block_slowly<kSize>(context, op, address);
  }
  const uint64_t block = address & ~(kCacheBlockSize - 1);
  // SAFETY: a hit means that the page of RAM that holds `block` starts at host_page, unguarded.
  std::memset(reinterpret_cast<void*>(entry.host_page + page_offset(block)), 0, kCacheBlockSize);
  return op + kSize;
}

template <typename T, File kFile = File::kInteger>
constexpr Handlers kLoad = {{load<T, kFile, 1>, load<T, kFile, 2>}};
template <typename T, File kFile = File::kInteger>
constexpr Handlers kStore = {{store<T, kFile, 1>, store<T, kFile, 2>}};

}  // namespace

Handlers memory_handlers(Opcode opcode) {
  switch (opcode) {
    case Opcode::kLb:
      return kLoad<int8_t>;
    case Opcode::kLh:
      return kLoad<int16_t>;
    case Opcode::kLw:
      return kLoad<int32_t>;
    case Opcode::kLd:
      return kLoad<uint64_t>;
    case Opcode::kLbu:
      return kLoad<uint8_t>;
    case Opcode::kLhu:
      return kLoad<uint16_t>;
    case Opcode::kLwu:
      return kLoad<uint32_t>;
    case Opcode::kSb:
      return kStore<uint8_t>;
    case Opcode::kSh:
      return kStore<uint16_t>;
    case Opcode::kSw:
      return kStore<uint32_t>;
    case Opcode::kSd:
      return kStore<uint64_t>;
    case Opcode::kFlw:
      return kLoad<uint32_t, File::kFloat>;
    case Opcode::kFld:
      return kLoad<uint64_t, File::kFloat>;
    case Opcode::kFsw:
      return kStore<uint32_t, File::kFloat>;
    case Opcode::kFsd:
      return kStore<uint64_t, File::kFloat>;
    case Opcode::kCboZero:
      return {{zero_block<1>, zero_block<2>}};
    default:
      return {};
  }
}

}  // namespace lockstep::riscv::interpreter
