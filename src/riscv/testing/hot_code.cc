#include "riscv/testing/hot_code.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>

#include "base/check.h"
#include "riscv/csr_numbers.h"
#include "riscv/encoder.h"
#include "riscv/instruction_fields.h"
#include "riscv/physical_memory.h"
#include "riscv/testing/assembler.h"
#include "riscv/testing/audit_program.h"

namespace lockstep::riscv::testing {
namespace {

constexpr uint64_t kCodeSize = kHotCodePages * kPageSize;
constexpr uint64_t kReserve = 2048;  // no routine starts so near to the end of a half
constexpr uint16_t kCompressedNop = 0x0001;
// To the address in a register, without and with a link in ra.
constexpr uint16_t kCompressedJump = 0x8002;
constexpr uint16_t kCompressedCall = 0x9002;
constexpr uint16_t compressed_jump(uint16_t form, uint8_t rs1) {
  return static_cast<uint16_t>(form | rs1 << kRdShift);
}
constexpr std::array<uint8_t, 12> kValues = {6, 7, 10, 11, 12, 13, 14, 15, 16, 17, 28, 29};
constexpr std::array<uint8_t, 3> kDataPointers = {kSp, kS0, kS1};

enum class Kind : uint8_t { kComputation, kFloat, kLoad, kStore, kAtomic, kJump, kSystem };

// cbo.zero and its like take an address; everything else says it by its format.
bool on_cache_block(const InstructionRow& row) {
  return row.mnemonic.starts_with("cbo.");
}

Kind kind_of(const InstructionRow& row) {
  if (on_cache_block(row)) return Kind::kAtomic;
  switch (row.format) {
    case Format::kLoad:
    case Format::kFpLoad:
      return Kind::kLoad;
    case Format::kStore:
    case Format::kFpStore:
      return Kind::kStore;
    case Format::kLoadReserved:
    case Format::kAmo:
      return Kind::kAtomic;
    case Format::kB:
    case Format::kJ:
    case Format::kJalr:
      return Kind::kJump;
    case Format::kNone:
    case Format::kCsr:
    case Format::kCsrImmediate:
    case Format::kFence:
    case Format::kSystem:
    case Format::kSfence:
      return Kind::kSystem;
    case Format::kRFp:
    case Format::kR4:
    case Format::kRFpUnary:
    case Format::kRFpExact:
    case Format::kRFpCompare:
    case Format::kFpToInteger:
    case Format::kIntegerToFp:
    case Format::kFpExactToInteger:
    case Format::kIntegerExactToFp:
      return Kind::kFloat;
    default:
      return Kind::kComputation;
  }
}

std::vector<InstructionRow> rows_of(Kind kind) {
  std::vector<InstructionRow> rows;
  for (const InstructionRow& row : instruction_table()) {
    if (kind_of(row) == kind) rows.push_back(row);
  }
  return rows;
}

bool is_value(uint8_t x) {
  return std::ranges::find(kValues, x) != kValues.end();
}
bool is_data_pointer(uint8_t x) {
  return std::ranges::find(kDataPointers, x) != kDataPointers.end();
}

// Compressed instructions that compute, load or store and leave alone what the code depends on.
std::vector<uint16_t> harmless_compressed() {
  std::vector<uint16_t> found;
  for (uint32_t bits = 0; bits < 1 << 16; ++bits) {
    if (!is_compressed(bits)) continue;
    const Instruction made = decode(bits);
    if (made.opcode == Opcode::kIllegal) continue;
    const InstructionRow& row = instruction_row(made.opcode);
    const Kind kind = kind_of(row);
    const bool memory = kind == Kind::kLoad || kind == Kind::kStore;
    const bool writes_float = row.format == Format::kFpLoad;
    const bool writes_x = !writes_float && kind != Kind::kStore;
    if (kind != Kind::kComputation && !memory) continue;
    if (memory && !is_data_pointer(made.rs1)) continue;
    if (writes_x && !is_value(made.rd)) continue;
    found.push_back(static_cast<uint16_t>(bits));
  }
  return found;
}

std::vector<Instruction> compressed_branches() {
  std::vector<Instruction> found;
  for (uint32_t bits = 0; bits < 1 << 16; ++bits) {
    if (!is_compressed(bits)) continue;
    const Instruction made = decode(bits);
    const bool jump = made.opcode == Opcode::kJal && made.rd == 0;
    if (made.opcode == Opcode::kBeq || made.opcode == Opcode::kBne || jump) found.push_back(made);
  }
  return found;
}

class CodeMaker {
 public:
  explicit CodeMaker(HotRandom& random) : random_(random) {}

  HotCode make() {
    made_.code.reserve(kCodeSize);
    for (const bool supervisor : {false, true}) {
      supervisor_ = supervisor;
      const uint64_t end = supervisor ? kCodeSize : kCodeSize / 2;
      while (here() + kReserve < end) {
        if (one_in(3)) emit_leaf();
        if (one_in(3)) skip_to_page_end();
        if (here() + kReserve < end) emit_routine();
      }
      while (here() < end) half(kCompressedNop);
    }
    made_.twin = made_.code;
    for (const Alternative& other : alternatives_) put(made_.twin, other.place, other.word);
    CHECK(!made_.leaves.empty());
    std::vector<uint64_t> leaves;
    for (uint64_t i = 0; i < kHotLeaves; ++i) leaves.push_back(any_of(made_.leaves));
    made_.leaves = std::move(leaves);
    return std::move(made_);
  }

  uint32_t computation() {
    static const std::vector<InstructionRow> rows = rows_of(Kind::kComputation);
    return random_word(any_of(rows), value(), source(), source());
  }

 private:
  struct Alternative {
    uint64_t place;
    uint32_t word;
  };

  uint64_t below(uint64_t limit) { return random_() % limit; }
  bool one_in(uint64_t count) { return below(count) == 0; }
  template <typename Container>
  typename Container::value_type any_of(const Container& values) {
    return values[below(values.size())];
  }
  template <typename T>
  T any_of(std::initializer_list<T> values) {
    return values.begin()[below(values.size())];
  }
  uint8_t value() { return any_of(kValues); }
  uint8_t value_or_none() { return one_in(2) ? uint8_t{0} : value(); }
  uint8_t source() {
    return one_in(12) ? uint8_t{0} : one_in(10) ? any_of(kDataPointers) : value();
  }
  uint8_t data_pointer() { return any_of(kDataPointers); }

  // --- Emission ---

  uint64_t here() const { return made_.code.size(); }
  static void put(Bytes& code, uint64_t place, uint32_t bits) {
    std::memcpy(code.data() + place, &bits, sizeof(bits));
  }
  void half(uint16_t bits) { ByteWriter(made_.code).fixed(bits); }
  void word(uint32_t bits) { ByteWriter(made_.code).fixed(bits); }
  void emit(const Instruction& instruction) { word(encode(instruction)); }
  void addi(uint8_t rd, uint8_t rs1, int32_t immediate) {
    emit(immediate_form(Opcode::kAddi, rd, rs1, immediate));
  }
  void op(Opcode opcode, uint8_t rd, uint8_t rs1, uint8_t rs2) {
    emit(register_form(opcode, rd, rs1, rs2));
  }
  void csr(Opcode opcode, uint8_t rd, Csr number, uint8_t rs1) {
    emit(immediate_form(opcode, rd, rs1, static_cast<int32_t>(number)));
  }
  void branch_to(Opcode opcode, uint8_t rs1, uint8_t rs2, uint64_t target) {
    emit(store_form(opcode, rs1, rs2, static_cast<int32_t>(target - here())));
  }
  // A branch over what `body` emits.
  void branch_over(Opcode opcode, uint8_t rs1, uint8_t rs2, const std::function<void()>& body) {
    const uint64_t place = here();
    word(0);
    body();
    put(made_.code, place,
        encode(store_form(opcode, rs1, rs2, static_cast<int32_t>(here() - place))));
  }
  // In some of the inner loop's turns only.
  void rarely(const std::function<void()>& body) {
    emit(immediate_form(Opcode::kAndi, kT2, kInner, any_of({1, 3, 7, 15, 5})));
    branch_over(one_in(4) ? Opcode::kBeq : Opcode::kBne, kT2, kZero, body);
  }

  // Everything that the row leaves open is random, but for the registers.
  uint32_t random_word(const InstructionRow& row, uint8_t rd, uint8_t rs1, uint8_t rs2) {
    const uint32_t open = ~row.mask & ~register_field_mask(row.format);
    const auto put_field = [&](uint32_t number, int shift) {
      return number << shift & ~row.mask & register_field_mask(row.format);
    };
    const uint32_t rounding = one_in(2) ? 7 : static_cast<uint32_t>(below(one_in(8) ? 7 : 5));
    uint32_t made = row.match | (static_cast<uint32_t>(random_()) & open) |
                    put_field(rd, kRdShift) | put_field(rs1, kRs1Shift) |
                    put_field(rs2, kRs2Shift) |
                    put_field(static_cast<uint32_t>(below(32)), kRs3Shift);
    if ((row.mask >> kFunct3Shift & 7) == 0) made |= put_field(rounding, kFunct3Shift);
    return made;
  }

  // --- Leaves and routines ---

  void skip_to_page_end() {
    const uint64_t end = (here() | (kPageSize - 1)) + 1;
    const uint64_t place = end - 2 - 2 * below(60);
    while (here() < place) half(kCompressedNop);
  }

  void emit_leaf() {
    if (one_in(2)) half(kCompressedNop);
    const uint64_t start = here();
    in_leaf_ = true;
    for (uint64_t i = below(8); i > 0; --i) emit_plain();
    in_leaf_ = false;
    const bool by_t0 = one_in(3);
    (by_t0 ? leaves_by_t0_ : made_.leaves).push_back(start);
    const uint8_t link = by_t0 ? kT0 : kRa;
    if (one_in(2)) return half(compressed_jump(kCompressedJump, link));
    emit(immediate_form(Opcode::kJalr, 0, link, 0));
  }

  void emit_routine() {
    if (made_.leaves.empty()) {
      emit_leaf();
      return;
    }
    if (one_in(2)) half(kCompressedNop);
    (supervisor_ ? made_.supervisor_routines : made_.user_routines).push_back(here());
    const bool nested = one_in(3);
    if (nested) addi(kOuter, 0, static_cast<int32_t>(2 + below(6)));
    const uint64_t outer_start = here();
    addi(kInner, 0, any_of({2, 9, 20, 40, 150}));
    const uint64_t start = here();
    loop_sites_.clear();
    for (uint64_t i = 2 + below(20); i > 0; --i) emit_item();
    addi(kInner, kInner, -1);
    close_loop(kInner, start);
    if (nested) {
      addi(kOuter, kOuter, -1);
      close_loop(kOuter, outer_start);
    }
    emit_tail();
  }

  void close_loop(uint8_t counter, uint64_t start) {
    if (one_in(4)) {
      branch_over(Opcode::kBeq, counter, kZero, [&] { jump_to(kZero, start); });
    } else {
      branch_to(one_in(2) ? Opcode::kBne : Opcode::kBltu, kZero, counter, start);
    }
  }
  void jump_to(uint8_t link, uint64_t target) {
    emit(immediate_form(Opcode::kJal, link, 0, static_cast<int32_t>(target - here())));
  }

  void emit_tail() {
    switch (below(5)) {
      case 0:
        word(instruction_row(Opcode::kEbreak).match);
        return;
      case 1:
        emit(immediate_form(Opcode::kJalr, 0, kRa, 0));
        return;
      case 2:
        jump_to(kZero, any_of(supervisor_ ? made_.supervisor_routines : made_.user_routines));
        return;
      default:
        return;  // into what follows
    }
  }

  // One instruction that leaves alone what the code depends on. In the loop's list of places that
  // may be patched.
  void emit_plain() {
    if (one_in(4)) {
      static const std::vector<uint16_t> compressed = harmless_compressed();
      half(any_of(compressed));
      return;
    }
    const uint64_t place = here();
    word(computation());
    if (one_in(3)) alternatives_.push_back({place, computation()});
    sites_.push_back(place);
    if (!in_leaf_) loop_sites_.push_back(place);
  }

  void emit_item() {
    const uint64_t choice = below(100);
    if (choice < 30) return emit_plain();
    if (choice < 42) return emit_float();
    if (choice < 55) return emit_access();
    if (choice < 61) return emit_branch();
    if (choice < 68) return emit_call();
    if (choice < 76) return emit_atomic();
    if (choice < 79) return emit_clock();
    if (choice < 85) return emit_patch();
    if (choice < 89) return emit_table_write();
    if (choice < 93) return emit_device();
    if (choice < 95) return emit_float_csr();
    if (supervisor_) return emit_supervisor();
    rarely([&] { emit_fence_or_call(); });
  }

  void emit_float() {
    static const std::vector<InstructionRow> rows = rows_of(Kind::kFloat);
    for (uint64_t i = 1 + below(3); i > 0; --i) {
      const InstructionRow row = any_of(rows);
      const bool to_x = row.format == Format::kRFpCompare || row.format == Format::kFpToInteger ||
                        row.format == Format::kFpExactToInteger;
      const bool from_x =
          row.format == Format::kIntegerToFp || row.format == Format::kIntegerExactToFp;
      const auto any_f = [&] { return static_cast<uint8_t>(below(32)); };
      if (one_in(4)) {
        const uint64_t place = kHotFloats + 8 * below(kHotFloatCount);
        emit(immediate_form(Opcode::kFld, any_f(), kS2, static_cast<int32_t>(place)));
      }
      word(random_word(row, to_x ? value() : any_f(), from_x ? source() : any_f(), any_f()));
    }
  }

  void emit_float_csr() {
    const Csr number = any_of({Csr::kFflags, Csr::kFrm, Csr::kFcsr});
    if (one_in(2)) return csr(Opcode::kCsrrs, value(), number, kZero);
    if (one_in(2)) {
      return csr(any_of({Opcode::kCsrrwi, Opcode::kCsrrsi, Opcode::kCsrrci}), value(), number,
                 static_cast<uint8_t>(below(5)));
    }
    rarely([&] {
      csr(any_of({Opcode::kCsrrw, Opcode::kCsrrs, Opcode::kCsrrc}), value(), number, value());
    });
  }

  void emit_access() {
    const uint8_t pointer = data_pointer();
    if (one_in(6)) addi(pointer, pointer, any_of({8, -8, 64, 16, pointer == kS1 ? 1 : 24}));
    static const std::vector<InstructionRow> loads = rows_of(Kind::kLoad);
    static const std::vector<InstructionRow> stores = rows_of(Kind::kStore);
    const InstructionRow row = one_in(2) ? any_of(loads) : any_of(stores);
    const bool floating = row.format == Format::kFpLoad || row.format == Format::kFpStore;
    const uint8_t data = floating ? static_cast<uint8_t>(below(32)) : value();
    const int32_t offset =
        static_cast<int32_t>(below(17) * 8) - 64 + (one_in(4) ? static_cast<int32_t>(below(8)) : 0);
    emit(kind_of(row) == Kind::kLoad ? immediate_form(row.opcode, data, pointer, offset)
                                     : store_form(row.opcode, pointer, data, offset));
  }

  void emit_branch() {
    if (one_in(3)) return emit_compressed_branch();
    const Opcode opcode = any_of(
        {Opcode::kBeq, Opcode::kBne, Opcode::kBlt, Opcode::kBge, Opcode::kBltu, Opcode::kBgeu});
    branch_over(opcode, source(), one_in(4) ? kInner : source(), [&] {
      for (uint64_t i = 1 + below(4); i > 0; --i) emit_plain();
    });
  }

  // c.beqz, c.bnez or c.j over one to three instructions.
  void emit_compressed_branch() {
    const uint64_t place = here();
    half(0);
    for (uint64_t i = 1 + below(3); i > 0; --i) emit_plain();
    const auto distance = static_cast<int32_t>(here() - place);
    std::vector<uint16_t> fitting;
    static const std::vector<Instruction> branches = compressed_branches();
    for (const Instruction& branch : branches) {
      if (branch.immediate == distance && !is_data_pointer(branch.rs1)) {
        fitting.push_back(static_cast<uint16_t>(branch.bits));
      }
    }
    const uint16_t bits = any_of(fitting);
    std::memcpy(made_.code.data() + place, &bits, sizeof(bits));
  }

  void emit_call() {
    if (one_in(3) && !leaves_by_t0_.empty()) return jump_to(kT0, any_of(leaves_by_t0_));
    if (one_in(2)) return jump_to(kRa, any_of(made_.leaves));
    // Through the table, by a value or by the counter.
    emit(immediate_form(Opcode::kAndi, kT1, one_in(2) ? value() : kInner, kHotLeaves - 1));
    emit(immediate_form(Opcode::kSlli, kT1, kT1, 3));
    op(Opcode::kAdd, kT1, kT1, kS2);
    emit(immediate_form(Opcode::kLd, kT1, kT1, 0));
    op(Opcode::kAdd, kT1, kT1, kTp);
    if (one_in(2)) return half(compressed_jump(kCompressedCall, kT1));
    emit(immediate_form(Opcode::kJalr, kRa, kT1, 0));
  }

  void emit_atomic() {
    if (one_in(3)) {
      const bool wide = one_in(2);
      const uint64_t retry = here();
      op(wide ? Opcode::kLrD : Opcode::kLrW, kT1, kSp, 0);
      if (one_in(2)) emit_plain();
      if (one_in(6)) emit(store_form(wide ? Opcode::kSd : Opcode::kSw, kSp, value(), 0));
      addi(kT1, kT1, 1);
      op(wide ? Opcode::kScD : Opcode::kScW, kT2, kSp, kT1);
      if (one_in(2)) branch_to(Opcode::kBne, kT2, kZero, retry);
      return;
    }
    static const std::vector<InstructionRow> rows = rows_of(Kind::kAtomic);
    const InstructionRow row = any_of(rows);
    if (!one_in(6)) return word(random_word(row, value(), any_of<uint8_t>({kSp, kS0}), value()));
    if (on_cache_block(row)) return;
    // On the device; off the alignment.
    rarely([&] {
      if (one_in(2)) return word(random_word(row, value(), kGp, value()));
      addi(kSp, kSp, 4);
      word(random_word(row, value(), kSp, value()));
      addi(kSp, kSp, -4);
    });
  }

  void emit_clock() {
    csr(Opcode::kCsrrs, value(), any_of({Csr::kTime, Csr::kCycle, Csr::kInstret}), kZero);
    if (one_in(3)) emit(immediate_form(Opcode::kAuipc, value(), 0, 0));
  }

  // Puts the address of `place` into t1.
  void address_of(uint64_t place) {
    if (one_in(2)) {
      emit(immediate_form(Opcode::kAuipc, kT1, 0, 0));
      const auto distance = static_cast<int32_t>(place - here() + 4);
      if (distance >= -2048 && distance < 2048) return addi(kT1, kT1, distance);
    }
    const auto offset = static_cast<int32_t>(place);
    const int32_t low = static_cast<int32_t>(static_cast<uint32_t>(offset) << 20) >> 20;
    emit(immediate_form(Opcode::kLui, kT1, 0, offset - low));
    addi(kT1, kT1, low);
    op(Opcode::kAdd, kT1, kT1, kTp);
  }

  // Stores computations over an instruction behind the store, or over any other.
  void emit_patch() {
    const auto patch = [&] {
      op(Opcode::kXor, kS4, kS4, kS5);
      const bool ahead = one_in(2);
      const uint64_t base = here();
      if (ahead) {
        emit(immediate_form(Opcode::kAuipc, kT1, 0, 0));
      } else {
        address_of(one_in(2) && !loop_sites_.empty() ? any_of(loop_sites_) : any_of(sites_));
      }
      if (one_in(3)) op(Opcode::kAdd, kT1, kT1, kS3);
      const uint64_t place = here();
      word(0);
      if (one_in(3)) word(instruction_row(Opcode::kFenceI).match);
      if (!ahead) {
        const Opcode store = any_of({Opcode::kSw, Opcode::kSw, Opcode::kSh});
        put(made_.code, place, encode(store_form(store, kT1, kS4, 0)));
        if (!one_in(3)) return;
        emit(immediate_form(Opcode::kSrli, kT2, kS4, 16));
        return emit(store_form(Opcode::kSh, kT1, kT2, 2));
      }
      for (uint64_t i = below(3); i > 0; --i) emit_plain();
      const Opcode store = any_of({Opcode::kSw, Opcode::kSd, Opcode::kSh});
      const auto distance = static_cast<int32_t>(here() - base);
      put(made_.code, place, encode(store_form(store, kT1, kS4, distance)));
      for (int i = 0; i < 2; ++i) word(computation());
    };
    if (sites_.empty()) return emit_plain();
    if (one_in(2)) {
      patch();
    } else {
      rarely(patch);
    }
  }

  void emit_table_write() {
    rarely([&] {
      op(Opcode::kXor, kS7, kS7, kS8);
      emit(store_form(one_in(6) ? Opcode::kSw : Opcode::kSd, kS6, kS7, 0));
      if (one_in(3)) op(Opcode::kSfenceVma, 0, 0, 0);
      emit_plain();
      if (one_in(2)) {
        op(Opcode::kXor, kS7, kS7, kS8);
        emit(store_form(Opcode::kSd, kS6, kS7, 0));
      }
    });
  }

  void emit_device() {
    const auto access = [&](uint64_t effect) {
      const auto offset =
          static_cast<int32_t>((effect << kDeviceEffectShift) + (one_in(2) ? 8 * below(16) : 0));
      if (one_in(2)) {
        emit(immediate_form(any_of({Opcode::kLd, Opcode::kLw, Opcode::kLbu, Opcode::kLhu}), value(),
                            kGp, offset));
      } else {
        emit(store_form(any_of({Opcode::kSd, Opcode::kSw, Opcode::kSb}), kGp, value(), offset));
      }
    };
    if (one_in(2)) return access(below(2));
    rarely([&] { access(below(kDeviceEffects)); });
  }

  void emit_fence_or_call() {
    word(instruction_row(any_of({Opcode::kFence, Opcode::kFenceI, Opcode::kEcall, Opcode::kEbreak,
                                 Opcode::kSfenceVma}))
             .match);
  }

  void emit_supervisor() {
    switch (below(10)) {
      case 0:
        return rarely([&] {
          op(Opcode::kXor, kS9, kS9, kT6);
          csr(Opcode::kCsrrw, kZero, Csr::kSatp, kS9);
        });
      case 1:
      case 2:
        csr(Opcode::kCsrrs, value_or_none(), Csr::kSstatus, kT5);
        emit_access();
        if (one_in(4)) emit_float();
        return csr(Opcode::kCsrrc, value_or_none(), Csr::kSstatus, kT5);
      case 3:
        return rarely([&] { emit({.opcode = Opcode::kWfi}); });
      case 4:  // returns to what follows, in S-mode
        return rarely([&] {
          emit(immediate_form(Opcode::kAddi, kT1, 0, 0x100));
          csr(Opcode::kCsrrs, kZero, Csr::kSstatus, kT1);
          emit(immediate_form(Opcode::kAuipc, kT1, 0, 0));
          addi(kT1, kT1, 16);
          csr(Opcode::kCsrrw, kZero, Csr::kSepc, kT1);
          emit({.opcode = Opcode::kSret});
        });
      case 5:
        if (one_in(2)) {  // a stretch without interrupts
          csr(Opcode::kCsrrci, value_or_none(), Csr::kSstatus, kStatusSie);
          emit_plain();
          return csr(Opcode::kCsrrsi, value_or_none(), Csr::kSstatus, kStatusSie);
        }
        return csr(any_of({Opcode::kCsrrs, Opcode::kCsrrc}), value(),
                   any_of({Csr::kSip, Csr::kSie, Csr::kScause, Csr::kStval, Csr::kSatp}), kZero);
      case 6:
        return rarely([&] {
          csr(Opcode::kCsrrs, kT1, Csr::kTime, kZero);
          addi(kT1, kT1, static_cast<int32_t>(below(100)));
          csr(Opcode::kCsrrw, kZero, Csr::kStimecmp, kT1);
        });
      case 7:
        return emit_masked_interrupts();
      case 8:
        return csr(any_of({Opcode::kCsrrw, Opcode::kCsrrwi, Opcode::kCsrrs, Opcode::kCsrrc}),
                   value(), any_of({Csr::kScause, Csr::kStval, Csr::kSepc}), value());
      default:
        return rarely([&] { emit_fence_or_call(); });
    }
  }

  // Interrupts are off for a while, in which one becomes pending, mostly in few turns of the loop.
  void emit_masked_interrupts() {
    const auto change = [&](Opcode opcode) {
      csr(opcode, one_in(2) ? uint8_t{0} : value(), Csr::kSstatus, kStatusSie);
    };
    change(Opcode::kCsrrci);
    emit_plain();
    if (one_in(2)) {
      rarely([&] { csr(Opcode::kCsrrsi, value(), Csr::kSip, kSoftwareInterrupt); });
    } else if (one_in(2)) {
      emit_device();
    }
    if (one_in(2)) emit_access();
    change(Opcode::kCsrrsi);
    emit_plain();
  }

  HotRandom& random_;
  HotCode made_;
  bool supervisor_ = false;
  bool in_leaf_ = false;
  std::vector<Alternative> alternatives_;
  std::vector<uint64_t> sites_;
  std::vector<uint64_t> loop_sites_;
  std::vector<uint64_t> leaves_by_t0_;
};

}  // namespace

HotCode make_hot_code(HotRandom& random) {
  return CodeMaker(random).make();
}

uint64_t make_patch(HotRandom& random) {
  CodeMaker maker(random);
  const uint64_t first = maker.computation();
  return first | static_cast<uint64_t>(maker.computation()) << 32;
}

}  // namespace lockstep::riscv::testing
