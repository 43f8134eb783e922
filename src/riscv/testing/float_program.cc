#include "riscv/testing/float_program.h"

#include <algorithm>
#include <vector>

#include "base/check.h"
#include "riscv/physical_memory.h"
#include "riscv/testing/float_loop.h"

namespace lockstep::riscv::testing {
namespace {

using Random = std::mt19937_64;

// Pages of the image.
constexpr uint64_t kCodePages = 7;
constexpr uint64_t kHandlerPage = 7;
constexpr uint64_t kStatePage = 8;
constexpr uint64_t kTuplePage = 9;  // a table for each kind of operand
constexpr uint64_t kTuplePages = 3;
constexpr uint64_t kResultPage = kTuplePage + kOperandKinds * kTuplePages;
constexpr uint64_t kResultPages = 2;
constexpr uint64_t kScratchPage = kResultPage + kResultPages;
static_assert((kScratchPage + 1) * kPageSize == kFloatProgramSize);

constexpr uint64_t kTuples = 512;               // of each kind
constexpr uint64_t kClassTuples = kTuples / 4;  // the first of them
static_assert(kTuples * kTupleSize <= kTuplePages * kPageSize);
static_assert(kTuples * kFloatResultSize <= kResultPages * kPageSize);
constexpr uint64_t kEndOffset = 0x800;  // in the handler's page

constexpr uint64_t kCasesOfOne = 24;
constexpr uint64_t kSequences = 6;
constexpr uint64_t kSequenceItems = 40;
constexpr uint64_t kIterations = 300;
static_assert(sequence_trace_size(kIterations) <= kResultPages * kPageSize);
static_assert(kSequenceScratchSize <= kPageSize);

constexpr uint8_t kPasses = 20;  // s4
constexpr uint64_t kInterrupts = kSoftwareInterrupt | kTimerInterrupt;
constexpr int32_t kTimerMask = 255;  // ticks; and never fewer than
constexpr int32_t kTimerMinimum = 16;

struct SwitchedCase {
  FloatCase tested;
  FloatSwitch floating_point;
};

// In an order in which neighbours are of one instruction.
std::vector<SwitchedCase> all_cases() {
  std::vector<SwitchedCase> cases;
  for (const FloatOutcome outcome : {FloatOutcome::kResult, FloatOutcome::kIllegal}) {
    for (const FloatCase& tested : float_cases(outcome)) {
      cases.push_back({tested, FloatSwitch::kOn});
    }
  }
  for (const InstructionRow& row : instruction_table()) {
    if (is_floating_point(row)) cases.push_back({{row.opcode, 0, 0}, FloatSwitch::kOff});
  }
  return cases;
}

class ProgramMaker {
 public:
  ProgramMaker(uint64_t index, GuestAddress load, uint64_t passes)
      : random_(index), index_(index), load_(load), passes_(passes), image_(kFloatProgramSize) {}

  Bytes make() {
    CHECK(passes_ > 0 && load_.value % kPageSize == 0);
    for (const OperandKind kind :
         {OperandKind::kSingle, OperandKind::kDouble, OperandKind::kInteger}) {
      make_tuples(kind);
    }
    put_word(page(kStatePage), index_);
    put_word(page(kStatePage) + 8, 6364136223846793005U);
    make_code();
    make_handler();
    return std::move(image_);
  }

 private:
  GuestAddress page(uint64_t number) const { return load_ + number * kPageSize; }
  GuestAddress tuples(OperandKind kind) const {
    return page(kTuplePage + static_cast<uint64_t>(kind) * kTuplePages);
  }
  void put(GuestAddress place, ByteView bytes) {
    CHECK(place - load_ + bytes.size() <= image_.size());
    std::ranges::copy(bytes, image_.begin() + static_cast<std::ptrdiff_t>(place - load_));
  }
  void put_word(GuestAddress place, uint64_t value) {
    Bytes bytes;
    ByteWriter(bytes).fixed(value);
    put(place, bytes);
  }

  // The kinds of number in threes, which sequences leave out: they would soon hold nothing but NaNs
  // and infinities. Then three corners, two and one: there are more corners where fewer meet.
  void make_tuples(OperandKind kind) {
    const std::vector<OperandTuple> classes = class_tuples(kind, 3);
    std::vector<OperandTuple> table;
    while (table.size() < kClassTuples) table.push_back(classes[random_() % classes.size()]);
    for (const size_t count : {size_t{3}, size_t{2}, size_t{1}}) {
      const std::vector<OperandTuple> mixed = mixed_tuples(kind, count, kTuples / 4, random_());
      table.insert(table.end(), mixed.begin(), mixed.end());
    }
    CHECK(table.size() == kTuples);
    GuestAddress place = tuples(kind);
    for (const OperandTuple& tuple : table) {
      for (const uint64_t operand : tuple) {
        put_word(place, operand);
        place += 8;
      }
    }
  }

  void make_code() {
    Assembler code(load_);
    make_boot(code);
    const uint64_t start = code.here();
    const std::vector<SwitchedCase> cases = all_cases();
    const uint64_t programs = float_programs();
    for (uint64_t i = index_ % programs; i < cases.size(); i += programs) {
      const InstructionRow& row = instruction_row(cases[i].tested.opcode);
      emit_float_loop(code,
                      {.tested = cases[i].tested,
                       .floating_point = cases[i].floating_point,
                       .tuples = tuples(operand_kind(row)),
                       .tuple_count = kTuples,
                       .results = page(kResultPage)},
                      random_);
    }
    for (uint64_t i = 0; i < kSequences; ++i) {
      emit_float_sequence(code,
                          {.traps = i % 3 == 0 ? Traps::kNone : Traps::kSome,
                           .items = kSequenceItems,
                           .iterations = kIterations,
                           .singles = tuples(OperandKind::kSingle) + kClassTuples * kTupleSize,
                           .doubles = tuples(OperandKind::kDouble) + kClassTuples * kTupleSize,
                           .operands_size = (kTuples - kClassTuples) * kTupleSize,
                           .scratch = page(kScratchPage),
                           .trace = page(kResultPage)},
                          random_);
    }
    code.addi(kPasses, kPasses, -1);
    code.branch(Opcode::kBeq, kPasses, kZero, code.here() + 8);
    code.jal(kZero, start);
    code.csr(Opcode::kCsrrwi, kZero, Csr::kSie, 0);
    code.jal(kZero, float_program_end(load_).value);
    CHECK(code.bytes().size() <= kCodePages * kPageSize);
    put(load_, code.bytes());
  }

  void make_boot(Assembler& code) {
    code.li(kT0, page(kHandlerPage).value);
    code.csr_write(Csr::kStvec, kT0);
    code.csr_read(kT0, Csr::kTime);
    code.addi(kT0, kT0, kTimerMinimum);
    code.csr_write(Csr::kStimecmp, kT0);
    code.li(kT0, kInterrupts);
    code.csr_write(Csr::kSie, kT0);
    code.li(kT0, kStatusFs | kStatusSie);
    code.csr(Opcode::kCsrrs, kZero, Csr::kSstatus, kT0);
    code.li(kHashRegister, index_);
    code.li(kPasses, passes_);
  }

  // Keeps to t3 to t6, and to s8 to s11.
  void make_handler() {
    constexpr uint8_t kState = kT5;
    constexpr uint8_t kHash = kT4;
    constexpr uint8_t kMultiplier = 24, kStatusMask = 25, kStatus = 26;
    Assembler code(page(kHandlerPage));
    const auto mix = [&](uint8_t value) {
      code.op(Opcode::kXor, kHash, kHash, value);
      code.op(Opcode::kMul, kHash, kHash, kMultiplier);
      code.addi(kHash, kHash, 1013);
    };
    code.csr_read(kT6, Csr::kScause);
    code.li(kState, page(kStatePage).value);
    code.load(Opcode::kLd, kHash, kState, 0);
    code.load(Opcode::kLd, kMultiplier, kState, 8);
    mix(kT6);
    for (const Csr csr : {Csr::kSepc, Csr::kStval, Csr::kInstret}) {
      code.csr_read(kT3, csr);
      mix(kT3);
    }
    code.csr_read(kStatus, Csr::kSstatus);
    mix(kStatus);
    code.li(kStatusMask, kStatusFs);
    code.op(Opcode::kAnd, kStatus, kStatus, kStatusMask);
    code.branch(Opcode::kBeq, kStatus, kZero, code.here() + 20);
    code.csr_read(kT3, Csr::kFcsr);
    mix(kT3);
    code.store(Opcode::kSd, kHash, kState, 0);
    make_exception_path(code, kHash, kStatusMask);
    make_interrupt_path(code, kHash);
    CHECK(code.here() <= float_program_end(load_).value);
    code.pad_to(float_program_end(load_).value);
    code.spin();
    put(page(kHandlerPage), code.bytes());
  }

  // Switches floating point on, mostly gives frm a legal mode if it has none, and passes the
  // instruction over.
  void make_exception_path(Assembler& code, uint8_t hash, uint8_t status_mask) {
    constexpr uint64_t kInstructions = 13;
    const uint64_t start = code.here();
    const uint64_t skip = start + 4 * (kInstructions - 4);
    code.branch(Opcode::kBlt, kT6, kZero, start + 4 * kInstructions);
    code.csr(Opcode::kCsrrs, kZero, Csr::kSstatus, status_mask);
    code.csr_read(kT3, Csr::kFrm);
    code.emit(immediate_form(Opcode::kSltiu, kT3, kT3, 5));
    code.branch(Opcode::kBne, kT3, kZero, skip);
    code.emit(immediate_form(Opcode::kSrli, kT3, hash, 61));
    code.emit(immediate_form(Opcode::kSltiu, kT6, kT3, 5));
    code.branch(Opcode::kBeq, kT6, kZero, skip);
    code.csr_write(Csr::kFrm, kT3);
    CHECK(code.here() == skip);
    code.csr_read(kT3, Csr::kSepc);
    code.addi(kT3, kT3, 4);
    code.csr_write(Csr::kSepc, kT3);
    code.op(Opcode::kSret);
    CHECK(code.here() == start + 4 * kInstructions);
  }

  void make_interrupt_path(Assembler& code, uint8_t hash) {
    code.csr(Opcode::kCsrrwi, kZero, Csr::kSip, 0);
    code.csr_read(kT3, Csr::kTime);
    code.emit(immediate_form(Opcode::kSrli, kT6, hash, 40));
    code.emit(immediate_form(Opcode::kAndi, kT6, kT6, kTimerMask));
    code.op(Opcode::kAdd, kT3, kT3, kT6);
    code.addi(kT3, kT3, kTimerMinimum);
    code.csr_write(Csr::kStimecmp, kT3);
    code.op(Opcode::kSret);
  }

  Random random_;
  uint64_t index_;
  GuestAddress load_;
  uint64_t passes_;
  Bytes image_;
};

}  // namespace

uint64_t float_programs() {
  static const uint64_t programs = (all_cases().size() + kCasesOfOne - 1) / kCasesOfOne;
  return programs;
}

Bytes float_program(uint64_t index, GuestAddress load, uint64_t passes) {
  return ProgramMaker(index, load, passes).make();
}

GuestAddress float_program_end(GuestAddress load) {
  return load + (kHandlerPage * kPageSize + kEndOffset);
}

ByteView float_program_code(const Bytes& image) {
  return ByteView(image).first(kCodePages * kPageSize);
}

}  // namespace lockstep::riscv::testing
