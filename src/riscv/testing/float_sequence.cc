// Loops of random floating-point instructions with integer code, CSR accesses and traps between.
#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "riscv/testing/float_loop.h"

namespace lockstep::riscv::testing {
namespace {

constexpr uint8_t kSingles = kS0;  // of this iteration
constexpr uint8_t kDoubles = kRa;
constexpr uint8_t kDoublesDistance = 3;  // from kSingles
constexpr uint8_t kSinglesLimit = kS1;
constexpr uint8_t kTrace = kS2;
constexpr uint8_t kScratch = 21;       // s5: the scratch area's middle
constexpr uint8_t kCounter = 22;       // s6
constexpr uint8_t kSinglesStart = 23;  // s7
// What instructions read and write; x0 too.
constexpr std::array<uint8_t, 12> kValues = {kZero, kT0, kT1, kT2, kA0, kA1,
                                             kA2,   kA3, kA4, kA5, kA6, kA7};
constexpr int32_t kOperandReach = 2048;  // of one iteration
constexpr int32_t kOperandStride = 40;
constexpr uint64_t kStrayOperands = 8;  // one in so many is of either precision
constexpr int32_t kScratchReach = kSequenceScratchSize / 2;
constexpr uint32_t kFsField = 1 << 13;  // its lowest bit in sstatus
constexpr uint8_t kLegalModes = 5;
constexpr uint64_t kFoldedRegisters = 4;
constexpr int32_t kSoftwarePending = 2;  // sip.SSIP

// fcvt.d.w, fadd.d; not fcvt.s.d.
bool has_wide_result(const InstructionRow& row) {
  const size_t dot = row.mnemonic.find('.');
  return dot != std::string_view::npos && row.mnemonic.substr(dot).starts_with(".d");
}

// The last instruction is a branch over the next `skipped` items, if that is not 0.
struct Item {
  std::vector<Instruction> code;
  size_t skipped = 0;
};

class ItemMaker {
 public:
  ItemMaker(Traps traps, std::mt19937_64& random) : traps_(traps), random_(random) {
    for (const InstructionRow& row : instruction_table()) {
      if (!is_floating_point(row)) continue;
      (is_float_access(row.format) ? accesses_ : computations_).push_back(row.opcode);
    }
  }

  Item make() {
    const uint64_t choice = below(100);
    if (choice < 45) return {{computation()}};
    if (choice < 61) return {{float_access()}};
    if (choice < 69) return {{integer_computation()}};
    if (choice < 74) return {{integer_access()}};
    if (choice < 86) return csr_access();
    if (choice < 92) return branch();
    return traps_ == Traps::kNone ? Item{{computation()}} : trap();
  }

 private:
  uint64_t below(uint64_t limit) { return random_() % limit; }
  bool one_in(uint64_t count) { return below(count) == 0; }
  template <typename Range>
  auto any_of(const Range& values) {
    return *(std::begin(values) + static_cast<std::ptrdiff_t>(below(std::size(values))));
  }
  uint8_t any_value() { return any_of(kValues); }
  uint8_t any_temporary() { return kValues[1 + below(kValues.size() - 1)]; }
  uint8_t any_float() { return static_cast<uint8_t>(below(32)); }
  // Doubles mostly stand in even registers, singles in odd ones: else nearly all would be NaNs.
  uint8_t float_of(bool wide) {
    if (one_in(kStrayOperands)) return any_float();
    return static_cast<uint8_t>(2 * below(16) + (wide ? 0 : 1));
  }
  uint8_t any_mode() {
    const bool reserved = traps_ == Traps::kSome && one_in(8);
    return static_cast<uint8_t>(reserved ? kLegalModes + below(3) : below(kLegalModes));
  }

  Instruction computation() {
    const Opcode opcode = any_of(computations_);
    const InstructionRow& row = instruction_row(opcode);
    const bool wide = operand_kind(row) == OperandKind::kDouble;
    Instruction made{
        .opcode = opcode,
        .rd = writes_float_register(row.format) ? float_of(has_wide_result(row)) : any_value(),
        .rs1 = operand_kind(row) == OperandKind::kInteger ? any_value() : float_of(wide),
        .rs2 = float_of(wide),
        .rs3 = float_of(wide)};
    if (one_in(6)) made.rs2 = made.rs1;
    if (one_in(6)) made.rs3 = made.rs2;
    if (has_rounding_mode(row.format)) {
      made.rounding_mode = one_in(3) ? any_mode() : static_cast<uint8_t>(RoundingMode::kDynamic);
    }
    return made;
  }

  // Mostly aligned.
  int32_t any_offset(int32_t low, int32_t high) {
    const auto span = static_cast<uint64_t>(high - low - 8);
    const int32_t offset = low + static_cast<int32_t>(below(span));
    return one_in(16) ? offset : offset & ~int32_t{7};
  }
  Instruction float_access() {
    const Opcode opcode = any_of(accesses_);
    const bool wide = opcode == Opcode::kFld || opcode == Opcode::kFsd;
    const uint8_t value = float_of(wide);
    const int32_t offset = any_offset(-kScratchReach, kScratchReach);
    if (instruction_row(opcode).format == Format::kFpStore) {
      return store_form(opcode, kScratch, value, offset);
    }
    if (one_in(4)) return immediate_form(opcode, value, kScratch, offset);
    return immediate_form(opcode, value, wide ? kDoubles : kSingles, any_offset(0, kOperandReach));
  }
  Instruction integer_access() {
    const int32_t offset = any_offset(-kScratchReach, kScratchReach);
    if (one_in(2)) return store_form(Opcode::kSd, kScratch, any_value(), offset);
    return immediate_form(one_in(2) ? Opcode::kLd : Opcode::kLw, any_value(), kScratch, offset);
  }
  Instruction integer_computation() {
    constexpr std::array kOpcodes = {Opcode::kAdd, Opcode::kSub,  Opcode::kXor,
                                     Opcode::kMul, Opcode::kSltu, Opcode::kSraw};
    return register_form(any_of(kOpcodes), any_value(), any_value(), any_value());
  }

  Instruction csr_form(Opcode opcode, uint8_t rd, Csr number, uint8_t operand) {
    return immediate_form(opcode, rd, operand, static_cast<int32_t>(number));
  }
  Item csr_access() {
    switch (below(6)) {
      case 0:
        return {{csr_form(Opcode::kCsrrs, any_value(),
                          any_of(std::array{Csr::kFflags, Csr::kFrm, Csr::kFcsr}), kZero)}};
      case 1:
        return {{csr_form(any_of(std::array{Opcode::kCsrrw, Opcode::kCsrrs, Opcode::kCsrrc}),
                          any_value(), Csr::kFflags, any_value())}};
      case 2:
        return {{csr_form(any_of(std::array{Opcode::kCsrrwi, Opcode::kCsrrsi, Opcode::kCsrrci}),
                          any_value(), Csr::kFflags, any_float())}};
      case 3:
      case 4:
        return {{csr_form(Opcode::kCsrrwi, any_value(), Csr::kFrm, any_mode())}};
      default: {
        const uint8_t value = any_temporary();
        const bool reserved = traps_ == Traps::kSome && one_in(3);
        // Without the highest bit of frm: a legal mode.
        return {{immediate_form(Opcode::kAndi, value, any_value(), reserved ? 0xff : 0x7f),
                 csr_form(Opcode::kCsrrw, any_value(), Csr::kFcsr, value)}};
      }
    }
  }

  Item branch() {
    constexpr std::array kOpcodes = {Opcode::kBeq, Opcode::kBne, Opcode::kBlt, Opcode::kBgeu};
    const Instruction made = store_form(any_of(kOpcodes), any_value(), any_value(), 0);
    return {{made}, 1 + below(3)};
  }

  Instruction fold(uint8_t value) {
    return register_form(Opcode::kXor, kHashRegister, kHashRegister, value);
  }
  Item trap() {
    const uint8_t value = any_temporary();
    switch (below(7)) {
      case 0:
        return {{{.opcode = Opcode::kEbreak}}};
      case 5: {  // nothing is there: an access fault
        const Opcode opcode = any_of(accesses_);
        const int32_t offset = any_offset(0, kOperandReach);
        return {{instruction_row(opcode).format == Format::kFpStore
                     ? store_form(opcode, kZero, any_float(), offset)
                     : immediate_form(opcode, any_float(), kZero, offset)}};
      }
      case 1:
        return {{csr_form(Opcode::kCsrrsi, kZero, Csr::kSip, kSoftwarePending)}};
      case 2:
        return {{csr_form(Opcode::kCsrrs, value, Csr::kSstatus, kZero), fold(value)}};
      case 3:
        return {{csr_form(Opcode::kCsrrs, value, Csr::kInstret, kZero), fold(value)}};
      case 4:  // off
        return {{immediate_form(Opcode::kLui, value, 0, static_cast<int32_t>(kStatusFs)),
                 csr_form(Opcode::kCsrrc, kZero, Csr::kSstatus, value)}};
      default: {  // initial or clean
        const auto bit = static_cast<int32_t>(kFsField << below(2));
        return {{immediate_form(Opcode::kLui, value, 0, bit),
                 csr_form(Opcode::kCsrrc, kZero, Csr::kSstatus, value)}};
      }
    }
  }

  Traps traps_;
  std::mt19937_64& random_;
  std::vector<Opcode> computations_;
  std::vector<Opcode> accesses_;
};

void emit_items(Assembler& code, const std::vector<Item>& items) {
  std::vector<uint64_t> starts;
  uint64_t place = code.here();
  for (const Item& item : items) {
    starts.push_back(place);
    place += 4 * item.code.size();
  }
  starts.push_back(place);
  for (size_t i = 0; i < items.size(); ++i) {
    for (Instruction instruction : items[i].code) {
      if (items[i].skipped != 0) {
        const size_t target = std::min(i + 1 + items[i].skipped, items.size());
        instruction.immediate = static_cast<int32_t>(starts[target] - code.here());
      }
      code.emit(instruction);
    }
  }
}

// hash = 5 * hash + value
void emit_fold(Assembler& code, uint8_t value, uint8_t temporary) {
  code.emit(immediate_form(Opcode::kSlli, temporary, kHashRegister, 2));
  code.op(Opcode::kAdd, kHashRegister, kHashRegister, temporary);
  code.op(Opcode::kAdd, kHashRegister, kHashRegister, value);
}

void emit_end_of_iteration(Assembler& code, std::mt19937_64& random) {
  for (uint64_t i = 0; i < kFoldedRegisters; ++i) {
    code.op(Opcode::kFmvXD, kT0, static_cast<uint8_t>(random() % 32), 0);
    emit_fold(code, kT0, kT1);
  }
  for (const uint8_t value : kValues) code.op(Opcode::kXor, kT2, kT2, value);
  code.csr_read(kT0, Csr::kFcsr);
  emit_fold(code, kT0, kT1);
  emit_fold(code, kT2, kT1);
  code.store(Opcode::kSd, kHashRegister, kTrace);
  code.addi(kTrace, kTrace, 8);
  code.addi(kSingles, kSingles, kOperandStride);
  // At the end of the operands back to their start, a little further on at each round.
  code.branch(Opcode::kBltu, kSingles, kSinglesLimit, code.here() + 12);
  code.addi(kSinglesStart, kSinglesStart, 8);
  code.addi(kSingles, kSinglesStart, 0);
  code.op(Opcode::kAdd, kDoubles, kSingles, kDoublesDistance);
}

void enable_floating_point(Assembler& code) {
  code.li(kT0, kStatusFs);
  code.csr(Opcode::kCsrrs, kZero, Csr::kSstatus, kT0);
}

}  // namespace

void emit_float_sequence(Assembler& code, const FloatSequence& sequence, std::mt19937_64& random) {
  CHECK(sequence.items > 0 && sequence.iterations > 0);
  CHECK(sequence.operands_size >= kMinimumSequenceOperands);
  ItemMaker maker(sequence.traps, random);
  std::vector<Item> items(sequence.items);
  for (Item& item : items) item = maker.make();

  code.li(kSinglesStart, sequence.singles.value);
  code.li(kSinglesLimit, (sequence.singles + (sequence.operands_size - kOperandReach)).value);
  code.li(kDoublesDistance, sequence.doubles - sequence.singles);
  code.addi(kSingles, kSinglesStart, 0);
  code.op(Opcode::kAdd, kDoubles, kSingles, kDoublesDistance);
  code.li(kTrace, sequence.trace.value);
  code.li(kScratch, (sequence.scratch + kScratchReach).value);
  code.li(kCounter, sequence.iterations);
  if (sequence.traps == Traps::kSome) enable_floating_point(code);
  code.csr(Opcode::kCsrrwi, kZero, Csr::kFcsr, 0);
  for (uint8_t i = 0; i < 32; ++i) {
    code.load(Opcode::kFld, i, i % 2 == 0 ? kDoubles : kSingles, 8 * i);
  }
  for (const uint8_t value : kValues) code.addi(value, kZero, 7 * value);

  const uint64_t start = code.here();
  emit_items(code, items);
  emit_end_of_iteration(code, random);
  code.addi(kCounter, kCounter, -1);
  code.branch(Opcode::kBne, kCounter, kZero, start);

  if (sequence.traps == Traps::kSome) enable_floating_point(code);
  for (uint8_t i = 0; i < 32; ++i) code.store(Opcode::kFsd, i, kTrace, 8 * i);
  code.csr_read(kT0, Csr::kFcsr);
  code.store(Opcode::kSd, kT0, kTrace, 8 * 32);
}

}  // namespace lockstep::riscv::testing
