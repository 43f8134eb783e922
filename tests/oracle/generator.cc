#include "tests/oracle/generator.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "base/check.h"
#include "riscv/encoder.h"
#include "tests/oracle/operand_pool.h"
#include "tests/oracle/random.h"

namespace lockstep::oracle {
namespace {

using riscv::Format;
using riscv::Instruction;
using riscv::InstructionRow;
using riscv::IsaExtension;
using riscv::Opcode;

// The pool begins with triples of operands that belong together, singles and doubles in turn; a
// single stands in the lower half of its slot. What follows is in no order.
constexpr int kTriples = 14;
constexpr int kTripleSize = 3 * 8;
static_assert(kTriples * kTripleSize < kPoolSize);

constexpr int32_t kFflags = 0x001;
constexpr int32_t kFrm = 0x002;
constexpr int32_t kFcsr = 0x003;

bool is_one_of(Format format, std::initializer_list<Format> formats) {
  return std::find(formats.begin(), formats.end(), format) != formats.end();
}

// Rows whose instructions need no more than registers and an immediate.
bool is_plain(const InstructionRow& row) {
  return is_one_of(row.format,
                   {Format::kR, Format::kRUnary, Format::kI, Format::kIShift64, Format::kIShift32,
                    Format::kU, Format::kRFp, Format::kR4, Format::kRFpUnary, Format::kRFpExact,
                    Format::kRFpCompare, Format::kFpToInteger, Format::kIntegerToFp,
                    Format::kFpExactToInteger, Format::kIntegerExactToFp});
}
bool is_memory(const InstructionRow& row) {
  return is_one_of(row.format, {Format::kLoad, Format::kStore, Format::kFpLoad, Format::kFpStore});
}
bool is_atomic(const InstructionRow& row) {
  return row.format == Format::kAmo && row.opcode != Opcode::kScW && row.opcode != Opcode::kScD;
}
bool is_csr(const InstructionRow& row) {
  return is_one_of(row.format, {Format::kCsr, Format::kCsrImmediate});
}
bool is_branch(const InstructionRow& row) {
  return row.format == Format::kB;
}
bool is_fence(const InstructionRow& row) {
  return row.format == Format::kFence;
}

template <typename Predicate>
std::vector<const InstructionRow*> rows_where(Predicate predicate) {
  std::vector<const InstructionRow*> rows;
  for (const InstructionRow& row : riscv::instruction_table()) {
    if (oracle_knows(row) && predicate(row)) rows.push_back(&row);
  }
  return rows;
}

// Halfwords that are plain instructions or accesses to memory.
std::vector<uint16_t> usable_halfwords() {
  std::vector<uint16_t> halfwords;
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    if (!riscv::is_compressed(bits)) continue;
    const InstructionRow& row = riscv::instruction_row(riscv::decode(bits).opcode);
    if (is_plain(row) || is_memory(row)) halfwords.push_back(static_cast<uint16_t>(bits));
  }
  return halfwords;
}

bool writes_x(Format format) {
  return !is_one_of(format, {Format::kStore, Format::kFpStore, Format::kFpLoad, Format::kB,
                             Format::kFence, Format::kSystem, Format::kSfence, Format::kCacheBlock,
                             Format::kRFp, Format::kR4, Format::kRFpUnary, Format::kRFpExact,
                             Format::kIntegerToFp, Format::kIntegerExactToFp});
}
bool writes_f(Format format) {
  return is_one_of(format, {Format::kFpLoad, Format::kRFp, Format::kR4, Format::kRFpUnary,
                            Format::kRFpExact, Format::kIntegerToFp, Format::kIntegerExactToFp});
}
bool may_raise_flags(Format format) {
  return is_one_of(format, {Format::kRFp, Format::kR4, Format::kRFpUnary, Format::kRFpExact,
                            Format::kRFpCompare, Format::kFpToInteger, Format::kIntegerToFp});
}
bool has_rounding_mode(Format format) {
  return is_one_of(format, {Format::kRFp, Format::kR4, Format::kRFpUnary, Format::kFpToInteger,
                            Format::kIntegerToFp});
}

bool takes_floats(const InstructionRow& row) {
  return is_one_of(row.format,
                   {Format::kRFp, Format::kR4, Format::kRFpUnary, Format::kRFpExact,
                    Format::kRFpCompare, Format::kFpToInteger, Format::kFpExactToInteger});
}
// By the format of its operands: fcvt.s.d is, fcvt.d.s is not.
bool is_double(const InstructionRow& row) {
  return row.mnemonic.ends_with(".d") || row.opcode == Opcode::kFmvXD;
}

// Bytes that a load or store touches: its funct3 is the logarithm (and the sign).
int access_size(const InstructionRow& row) {
  return 1 << (row.match >> 12 & 3);
}

class Generator {
 public:
  Generator(uint64_t seed, size_t instructions) : random_(seed), instructions_(instructions) {}

  Block run() {
    // x2 and x8 to x15 are bases of compressed accesses.
    const auto any = static_cast<uint8_t>(1 + random_.below(31));
    block_.base_register =
        random_.percent(70) ? random_.pick<uint8_t>({2, 2, 2, 8, 9, 10, 11, 12, 13, 14, 15}) : any;
    block_.page_boundary = static_cast<int>(8 + 8 * random_.below(kScratchSize / 8 - 1));
    make_record();
    while (block_.code.size() < instructions_) {
      item_starts_.push_back(block_.code.size());
      make_item();
    }
    item_starts_.push_back(block_.code.size());
    settle_targets();
    return std::move(block_);
  }

 private:
  void make_record();
  void make_item();
  void make_plain();
  void make_halfwords();
  void make_halfword();
  void make_memory();
  void make_refresh();
  void make_arranged();
  void make_atomic();
  void make_reserved_pair();
  void make_csr();
  void make_frm_write();
  void make_branch();
  void make_jump();
  void make_fence();

  void make_short(Instruction& fields);
  void log_value(const Instruction& instruction);
  void log_flags();
  void log_result(const Instruction& instruction);  // either, both or none
  void settle_targets();

  uint8_t any_x() { return static_cast<uint8_t>(random_.below(32)); }
  uint8_t any_f() { return static_cast<uint8_t>(random_.below(32)); }
  // A register that may be written; now and then x0.
  uint8_t any_destination() {
    uint8_t rd = any_x();
    while (rd == block_.base_register) rd = any_x();
    return rd;
  }
  uint8_t any_temporary() {
    uint8_t rd = any_destination();
    while (rd == 0) rd = any_destination();
    return rd;
  }
  int32_t any_immediate() {
    const auto raw = static_cast<int32_t>(random_.bits() & 0xfff) - 2048;
    return random_.coin() ? raw : raw >> random_.below(12);
  }
  uint8_t any_rounding_mode() {
    return random_.coin() ? uint8_t{7} : random_.pick<uint8_t>({0, 1, 2, 3, 4});
  }
  int32_t scratch_offset(int size);

  // Takes the 16-bit form at random, where there is one.
  size_t add(Instruction instruction);
  // `target` counts items from the current one; settled at the end.
  size_t add_jump(Instruction instruction, Patch patch, size_t anchor);
  void add_address(uint8_t rd, int32_t offset) {
    add({.opcode = Opcode::kAddi, .rd = rd, .rs1 = block_.base_register, .immediate = offset});
  }

  Random random_;
  size_t instructions_;
  Block block_;
  std::vector<size_t> item_starts_;
  static constexpr int32_t kLogEnd = kLogOffset + kLogSize;
  int32_t log_ = kLogOffset;
};

void put(Bytes& record, int offset, uint64_t value) {
  std::memcpy(record.data() + (offset - kFcsrOffset), &value, sizeof(value));
}

void Generator::make_record() {
  Bytes& record = block_.record;
  record.resize(kRecordSize);
  const uint64_t rounding_mode = random_.below(5);
  put(record, kFcsrOffset, rounding_mode << 5 | random_.below(32));
  for (int i = 1; i < 32; ++i) put(record, kFcsrOffset + 8 * i, random_integer(random_));
  for (int i = 0; i < 32; ++i) put(record, kFpOffset + 8 * i, random_fp_register(random_));
  for (int i = 0; i < kScratchSize; i += 8) put(record, kScratchOffset + i, random_.bits());
  for (int i = 0; i < kTriples; ++i) {
    const auto singles = random_single_triple(random_);
    const auto doubles = random_double_triple(random_);
    for (int k = 0; k < 3; ++k) {
      const auto place = static_cast<size_t>(k);
      put(record, kPoolOffset + i * kTripleSize + 8 * k,
          i % 2 == 0 ? singles[place] : doubles[place]);
    }
  }
  for (int i = kTriples * kTripleSize; i < kPoolSize; i += 8) {
    const uint64_t upper = random_single(random_);
    const uint64_t singles = upper << 32 | random_single(random_);
    put(record, kPoolOffset + i,
        random_.pick({random_integer(random_), random_double(random_), singles}));
  }
}

void Generator::make_item() {
  const uint64_t roll = random_.below(100);
  if (roll < 32) return make_plain();
  if (roll < 46) return make_arranged();
  if (roll < 62) return make_halfwords();
  if (roll < 72) return make_memory();
  if (roll < 83) return make_refresh();
  if (roll < 86) return make_atomic();
  if (roll < 88) return make_reserved_pair();
  if (roll < 92) return make_csr();
  if (roll < 97) return make_branch();
  if (roll < 99) return make_jump();
  make_fence();
}

size_t Generator::add(Instruction instruction) {
  if (random_.coin()) {
    if (const uint16_t bits = compress(instruction); bits != 0) {
      instruction.length = 2;
      instruction.bits = bits;
    }
  }
  block_.code.push_back({.instruction = instruction});
  return block_.code.size() - 1;
}

size_t Generator::add_jump(Instruction instruction, Patch patch, size_t anchor) {
  // At most a few items ahead: in reach of a compressed branch.
  const size_t target = item_starts_.size() + random_.below(4);
  block_.code.push_back(
      {.instruction = instruction, .patch = patch, .target = target, .anchor = anchor});
  return block_.code.size() - 1;
}

void Generator::settle_targets() {
  for (PlannedInstruction& planned : block_.code) {
    if (planned.patch == Patch::kNone) continue;
    planned.target = item_starts_[std::min(planned.target, item_starts_.size() - 1)];
  }
}

// Operands that compressed forms can express: x8 to x15, and the first source is the destination.
void Generator::make_short(Instruction& fields) {
  fields.rs1 = static_cast<uint8_t>(8 + random_.below(8));
  fields.rs2 = static_cast<uint8_t>(8 + random_.below(8));
  if (fields.rs1 != block_.base_register) fields.rd = fields.rs1;
}

void Generator::make_plain() {
  static const std::vector<const InstructionRow*> rows = rows_where(is_plain);
  const InstructionRow& row = *random_.pick(rows);
  // The fields that the format does not have are dropped on the way through the word.
  Instruction fields{.opcode = row.opcode,
                     .rd = writes_x(row.format) ? any_destination() : any_f(),
                     .rs1 = any_x(),
                     .rs2 = any_x(),
                     .rs3 = any_x()};
  if (random_.percent(30)) make_short(fields);
  if (random_.percent(20)) fields.rs2 = fields.rs1;
  if (random_.percent(20) && fields.rs1 != block_.base_register) fields.rd = fields.rs1;
  if (has_rounding_mode(row.format)) fields.rounding_mode = any_rounding_mode();
  if (row.format == Format::kI) fields.immediate = any_immediate();
  if (row.format == Format::kIShift64) fields.immediate = static_cast<int32_t>(random_.below(64));
  if (row.format == Format::kIShift32) fields.immediate = static_cast<int32_t>(random_.below(32));
  if (row.format == Format::kU) {
    fields.immediate = static_cast<int32_t>(static_cast<uint32_t>(random_.bits()) & 0xfffff000U);
  }
  const Instruction instruction = riscv::decode(riscv::encode(fields));
  add(instruction);
  log_result(instruction);
}

// Keeps what the instruction gave in the next slot of the log, while there is one.
void Generator::log_value(const Instruction& instruction) {
  if (log_ + 8 > kLogEnd) return;
  const Format format = riscv::instruction_row(instruction.opcode).format;
  add({.opcode = writes_f(format) ? Opcode::kFsd : Opcode::kSd,
       .rs1 = block_.base_register,
       .rs2 = instruction.rd,
       .immediate = log_});
  log_ += 8;
}

void Generator::log_flags() {
  if (log_ + 1 > kLogEnd) return;
  const uint8_t flags = any_temporary();
  add({.opcode = Opcode::kCsrrw, .rd = flags, .rs1 = 0, .immediate = kFflags});
  add({.opcode = Opcode::kSb, .rs1 = block_.base_register, .rs2 = flags, .immediate = log_});
  log_ += 1;
}

void Generator::log_result(const Instruction& instruction) {
  const Format format = riscv::instruction_row(instruction.opcode).format;
  if (random_.percent(50)) log_value(instruction);
  if (may_raise_flags(format) && random_.percent(50)) log_flags();
}

// A short run, as compilers give them.
void Generator::make_halfwords() {
  const uint64_t count = 1 + random_.below(5);
  for (uint64_t i = 0; i < count; ++i) make_halfword();
}

void Generator::make_halfword() {
  static const std::vector<uint16_t> halfwords = usable_halfwords();
  constexpr int kTries = 40;
  for (int i = 0; i < kTries; ++i) {
    const Instruction instruction = riscv::decode(random_.pick(halfwords));
    const InstructionRow& row = riscv::instruction_row(instruction.opcode);
    if (writes_x(row.format) && instruction.rd == block_.base_register) continue;
    if (is_memory(row)) {
      const bool stores = row.format == Format::kStore || row.format == Format::kFpStore;
      const int limit = stores ? kScratchOffset + kScratchSize : kPoolOffset + kPoolSize;
      if (instruction.rs1 != block_.base_register) continue;
      if (instruction.immediate + access_size(row) > limit) continue;
    }
    block_.code.push_back({.instruction = instruction});
    return;
  }
}

int32_t Generator::scratch_offset(int size) {
  if (random_.percent(15)) {  // around the page boundary, across it more often than not
    const int before = static_cast<int>(random_.below(static_cast<uint64_t>(size) + 1));
    return std::clamp(block_.page_boundary - before, 0, kScratchSize - size);
  }
  const auto span = static_cast<uint64_t>(kScratchSize - size + 1);
  const auto offset = static_cast<int32_t>(random_.below(span));
  return kScratchOffset + (random_.percent(60) ? offset / size * size : offset);
}

void Generator::make_memory() {
  static const std::vector<const InstructionRow*> rows = rows_where(is_memory);
  const InstructionRow& row = *random_.pick(rows);
  Instruction instruction{.opcode = row.opcode, .rs1 = block_.base_register};
  const int32_t offset = scratch_offset(access_size(row));
  if (random_.percent(25)) {  // by way of another register
    instruction.rs1 = any_temporary();
    const int32_t split = any_immediate();
    const int32_t rest = offset - split;
    if (rest < -2048 || rest > 2047) {
      instruction.immediate = 0;
      add_address(instruction.rs1, offset);
    } else {
      instruction.immediate = split;
      add_address(instruction.rs1, rest);
    }
  } else {
    instruction.immediate = offset;
  }
  switch (row.format) {
    case Format::kLoad:
      instruction.rd = any_destination();
      break;
    case Format::kFpLoad:
      instruction.rd = any_f();
      break;
    default:
      instruction.rs2 = any_x();
      break;
  }
  add(instruction);
  if (instruction.rd != 0 && random_.percent(30)) log_result(instruction);
}

// An operand from the pool: keeps registers from all ending as NaNs and zeros.
void Generator::make_refresh() {
  const Opcode opcode = random_.pick(
      {Opcode::kFld, Opcode::kFld, Opcode::kFlw, Opcode::kFlw, Opcode::kLd, Opcode::kLw});
  const int size = access_size(riscv::instruction_row(opcode));
  const auto slot = static_cast<int32_t>(random_.below(static_cast<uint64_t>(kPoolSize / size)));
  const bool floating = opcode == Opcode::kFld || opcode == Opcode::kFlw;
  add({.opcode = opcode,
       .rd = floating ? any_f() : any_destination(),
       .rs1 = block_.base_register,
       .immediate = kPoolOffset + slot * size});
}

// A floating-point operation on a triple, with flags that tell of it alone, and both logged.
void Generator::make_arranged() {
  static const std::vector<const InstructionRow*> rows[2] = {
      rows_where([](const InstructionRow& row) { return takes_floats(row) && !is_double(row); }),
      rows_where([](const InstructionRow& row) { return takes_floats(row) && is_double(row); })};
  const uint64_t triple = random_.below(kTriples);
  const bool wide = triple % 2 == 1;
  const InstructionRow& row = *random_.pick(rows[wide ? 1 : 0]);
  const auto first = static_cast<uint8_t>(random_.below(32));
  Instruction fields{.opcode = row.opcode,
                     .rd = writes_x(row.format) ? any_temporary() : any_f(),
                     .rs1 = first,
                     .rs2 = static_cast<uint8_t>((first + 1) % 32),
                     .rs3 = static_cast<uint8_t>((first + 2) % 32)};
  if (has_rounding_mode(row.format)) fields.rounding_mode = any_rounding_mode();
  const uint64_t turn = random_.below(3);  // which operand comes first
  for (uint64_t i = 0; i < 3; ++i) {
    const auto offset = static_cast<int32_t>(triple * kTripleSize + (i + turn) % 3 * 8);
    add({.opcode = wide ? Opcode::kFld : Opcode::kFlw,
         .rd = static_cast<uint8_t>((first + i) % 32),
         .rs1 = block_.base_register,
         .immediate = kPoolOffset + offset});
  }
  add({.opcode = Opcode::kCsrrwi, .rd = 0, .rs1 = 0, .immediate = kFflags});
  const Instruction instruction = riscv::decode(riscv::encode(fields));
  add(instruction);
  log_value(instruction);
  log_flags();
}

void Generator::make_atomic() {
  static const std::vector<const InstructionRow*> rows = rows_where(is_atomic);
  const InstructionRow& row = *random_.pick(rows);
  const int size = access_size(row);
  const uint8_t address = any_temporary();
  add_address(address, scratch_offset(size) / size * size);
  const Instruction instruction{
      .opcode = row.opcode, .rd = any_destination(), .rs1 = address, .rs2 = any_x()};
  add(instruction);
  log_result(instruction);
}

// lr, perhaps something in between, sc: at the same place, at another, after another sc, or without
// the lr (these three fail). The item leaves no reservation behind.
void Generator::make_reserved_pair() {
  const bool wide = random_.coin();
  const int size = wide ? 8 : 4;
  const uint8_t base = block_.base_register;
  const uint8_t address = any_temporary();
  const int32_t offset = scratch_offset(size) / size * size;
  add_address(address, offset);
  uint8_t loaded = any_destination();
  while (loaded == address) loaded = any_destination();
  if (!random_.percent(10)) {
    add({.opcode = wide ? Opcode::kLrD : Opcode::kLrW, .rd = loaded, .rs1 = address});
  }
  switch (random_.below(4)) {
    case 0:  // a store that may change the value
      add({.opcode = wide ? Opcode::kSd : Opcode::kSw,
           .rs1 = base,
           .rs2 = random_.coin() ? loaded : any_x(),
           .immediate = offset});
      break;
    case 1:
      add_address(address, scratch_offset(size) / size * size);
      break;
    case 2:  // a first sc that leaves the value as it is, but ends the reservation
      add({.opcode = wide ? Opcode::kScD : Opcode::kScW, .rd = 0, .rs1 = address, .rs2 = loaded});
      break;
    default:
      break;
  }
  const Instruction conditional{.opcode = wide ? Opcode::kScD : Opcode::kScW,
                                .rd = any_destination(),
                                .rs1 = address,
                                .rs2 = any_x()};
  add(conditional);
  log_result(conditional);
}

// Writes frm by way of a register that holds 0 to 3, or an immediate that is 0 to 4.
void Generator::make_frm_write() {
  const uint8_t rd = any_destination();
  if (random_.coin()) {
    add({.opcode = Opcode::kCsrrwi,
         .rd = rd,
         .rs1 = static_cast<uint8_t>(random_.below(5)),
         .immediate = kFrm});
    return;
  }
  const uint8_t value = any_temporary();
  const bool whole = random_.coin();
  add({.opcode = Opcode::kAndi, .rd = value, .rs1 = any_x(), .immediate = whole ? 0x7f : 3});
  add({.opcode = Opcode::kCsrrw, .rd = rd, .rs1 = value, .immediate = whole ? kFcsr : kFrm});
}

// Any access that leaves frm valid: fflags takes all; frm and fcsr are read, or lose bits.
void Generator::make_csr() {
  static const std::vector<const InstructionRow*> rows = rows_where(is_csr);
  if (random_.percent(50)) return make_frm_write();
  const InstructionRow& row = *random_.pick(rows);
  Instruction instruction{
      .opcode = row.opcode, .rd = any_destination(), .rs1 = any_x(), .immediate = kFflags};
  const bool clears = row.opcode == Opcode::kCsrrc || row.opcode == Opcode::kCsrrci;
  const bool sets = row.opcode == Opcode::kCsrrs || row.opcode == Opcode::kCsrrsi;
  if ((clears || sets) && random_.coin()) {
    instruction.immediate = random_.pick({kFrm, kFcsr});
    if (sets) instruction.rs1 = 0;
  }
  add(instruction);
  log_result(instruction);
}

void Generator::make_branch() {
  static const std::vector<const InstructionRow*> rows = rows_where(is_branch);
  if (random_.percent(30)) {  // as c.beqz or c.bnez
    add_jump({.opcode = random_.pick({Opcode::kBeq, Opcode::kBne}),
              .rs1 = static_cast<uint8_t>(8 + random_.below(8)),
              .length = 2},
             Patch::kFromHere, 0);
    return;
  }
  const InstructionRow& row = *random_.pick(rows);
  const uint8_t rs1 = any_x();
  add_jump({.opcode = row.opcode, .rs1 = rs1, .rs2 = random_.percent(20) ? rs1 : any_x()},
           Patch::kFromHere, 0);
}

// jal, c.j; auipc with jalr, c.jr or c.jalr.
void Generator::make_jump() {
  const uint64_t roll = random_.below(4);
  if (roll == 0) {
    add_jump({.opcode = Opcode::kJal, .rd = any_destination()}, Patch::kFromHere, 0);
    return;
  }
  if (roll == 1) {
    add_jump({.opcode = Opcode::kJal, .rd = 0, .length = 2}, Patch::kFromHere, 0);
    return;
  }
  const uint8_t address = any_temporary();
  const size_t anchor = add({.opcode = Opcode::kAuipc, .rd = address});
  if (roll == 2) {  // the lowest bit of the sum is ignored
    add_jump({.opcode = Opcode::kJalr,
              .rd = any_destination(),
              .rs1 = address,
              .immediate = random_.coin() ? 1 : 0},
             Patch::kFromAnchor, anchor);
    return;
  }
  const size_t target_of = add_jump({.opcode = Opcode::kAddi, .rd = address, .rs1 = address},
                                    Patch::kFromAnchor, anchor);
  CHECK(target_of == anchor + 1);
  const bool links = block_.base_register != 1 && random_.coin();
  Instruction jump{
      .opcode = Opcode::kJalr, .rd = static_cast<uint8_t>(links ? 1 : 0), .rs1 = address};
  jump.bits = compress(jump);
  jump.length = 2;
  block_.code.push_back({.instruction = jump});
}

void Generator::make_fence() {
  static const std::vector<const InstructionRow*> rows = rows_where(is_fence);
  const InstructionRow& row = *random_.pick(rows);
  // fm = 0: fm with reserved meanings is for the unit tests of the decoder.
  add({.opcode = row.opcode,
       .immediate = row.opcode == Opcode::kFence ? static_cast<int32_t>(random_.below(256)) : 0});
}

}  // namespace

bool oracle_knows(const InstructionRow& row) {
  // Of a word that is 0, QEMU 7.2 counts on in the upper half; the specification says 32.
  if (row.opcode == Opcode::kCtzw) return false;
  return row.extension != IsaExtension::kZicond && row.extension != IsaExtension::kZicboz;
}

Block random_block(uint64_t seed, size_t instructions) {
  CHECK(instructions <= kMaximumInstructions);
  return Generator(seed, instructions).run();
}

std::vector<Block> random_blocks(uint64_t seed, const ProgramShape& shape) {
  CHECK(shape.blocks <= kMaximumBlocks);
  Random random(seed);
  std::vector<Block> blocks;
  for (size_t i = 0; i < shape.blocks; ++i) {
    blocks.push_back(random_block(random.bits(), shape.instructions));
  }
  return blocks;
}

Layout layout_of(uint64_t seed) {
  return seed % 4 == 3 ? Layout::kInterleaved : Layout::kApart;
}

}  // namespace lockstep::oracle
