#include "tests/oracle/program.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "base/check.h"
#include "riscv/encoder.h"

namespace lockstep::oracle {
namespace {

using riscv::Instruction;
using riscv::Opcode;

constexpr int32_t kFcsr = 0x003;
// Linux system calls of riscv64 (asm-generic/unistd.h).
constexpr int32_t kWrite = 64;
constexpr int32_t kExitGroup = 94;

std::unordered_map<uint32_t, uint16_t> make_compressed_forms() {
  std::unordered_map<uint32_t, uint16_t> forms;
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    if (!riscv::is_compressed(bits)) continue;
    const Instruction instruction = riscv::decode(bits);
    if (instruction.opcode == Opcode::kIllegal) continue;
    forms.emplace(riscv::encode(instruction), static_cast<uint16_t>(bits));
  }
  return forms;
}

// Writes instructions and records one after the other into the image.
class Assembler {
 public:
  explicit Assembler(Bytes& image) : image_(image), writer_(image) {}

  size_t position() const { return image_.size(); }
  void emit(const Instruction& instruction) { writer_.fixed(riscv::encode(instruction)); }
  void emit_half(uint16_t bits) { writer_.fixed(bits); }
  void fixed(uint64_t value) { writer_.fixed(value); }
  void bytes(ByteView data) { writer_.bytes(data); }
  void skip_to(size_t position) {
    CHECK(position >= image_.size());
    image_.resize(position);
  }

  // rd = the address of the image's byte at `offset`.
  void load_address(uint8_t rd, size_t offset) {
    const auto distance = static_cast<int32_t>(offset) - static_cast<int32_t>(position());
    const int32_t low = static_cast<int32_t>(static_cast<uint32_t>(distance) << 20) >> 20;
    emit({.opcode = Opcode::kAuipc, .rd = rd, .immediate = distance - low});
    emit({.opcode = Opcode::kAddi, .rd = rd, .rs1 = rd, .immediate = low});
  }
  void load_constant(uint8_t rd, int32_t value) {
    const int32_t low = static_cast<int32_t>(static_cast<uint32_t>(value) << 20) >> 20;
    emit({.opcode = Opcode::kLui, .rd = rd, .immediate = value - low});
    emit({.opcode = Opcode::kAddiw, .rd = rd, .rs1 = rd, .immediate = low});
  }

 private:
  Bytes& image_;
  ByteWriter writer_;
};

uint8_t other_register(uint8_t base_register) {
  return base_register == 5 ? 6 : 5;
}

void emit_loading(Assembler& out, const Block& block, size_t record) {
  const uint8_t base = block.base_register;
  const uint8_t other = other_register(base);
  out.load_address(base, record + static_cast<size_t>(-kFcsrOffset));
  out.emit({.opcode = Opcode::kLd, .rd = other, .rs1 = base, .immediate = kFcsrOffset});
  out.emit({.opcode = Opcode::kCsrrw, .rd = 0, .rs1 = other, .immediate = kFcsr});
  for (uint8_t i = 0; i < 32; ++i) {
    out.emit({.opcode = Opcode::kFld, .rd = i, .rs1 = base, .immediate = kFpOffset + 8 * i});
  }
  for (uint8_t i = 1; i < 32; ++i) {
    if (i == base) continue;
    out.emit({.opcode = Opcode::kLd, .rd = i, .rs1 = base, .immediate = kFcsrOffset + 8 * i});
  }
}

void emit_storing(Assembler& out, const Block& block) {
  const uint8_t base = block.base_register;
  const uint8_t other = other_register(base);
  for (uint8_t i = 1; i < 32; ++i) {
    out.emit({.opcode = Opcode::kSd, .rs1 = base, .rs2 = i, .immediate = kFcsrOffset + 8 * i});
  }
  for (uint8_t i = 0; i < 32; ++i) {
    out.emit({.opcode = Opcode::kFsd, .rs1 = base, .rs2 = i, .immediate = kFpOffset + 8 * i});
  }
  out.emit({.opcode = Opcode::kCsrrs, .rd = other, .rs1 = 0, .immediate = kFcsr});
  out.emit({.opcode = Opcode::kSd, .rs1 = base, .rs2 = other, .immediate = kFcsrOffset});
}

void emit_code(Assembler& out, const Block& block) {
  std::vector<int32_t> places;
  int32_t place = 0;
  for (const PlannedInstruction& planned : block.code) {
    places.push_back(place);
    place += planned.instruction.length;
  }
  places.push_back(place);

  for (size_t i = 0; i < block.code.size(); ++i) {
    const PlannedInstruction& planned = block.code[i];
    Instruction instruction = planned.instruction;
    if (planned.patch != Patch::kNone) {
      CHECK(planned.target > i && planned.target < places.size());
      const size_t from = planned.patch == Patch::kFromHere ? i : planned.anchor;
      instruction.immediate = places[planned.target] - places[from] + (instruction.immediate & 1);
      instruction.bits = 0;
    }
    if (instruction.length == 4) {
      out.emit(instruction);
    } else {
      const uint32_t bits =
          planned.patch == Patch::kNone ? instruction.bits : compress(instruction);
      CHECK(bits != 0 && riscv::is_compressed(bits));
      out.emit_half(static_cast<uint16_t>(bits));
    }
  }
}

void emit_block(Assembler& out, const Block& block, size_t record, Program& program) {
  program.code_starts.push_back(out.position());
  emit_loading(out, block, record);
  emit_code(out, block);
  emit_storing(out, block);
}

size_t loading_size() {
  Bytes bytes;
  Assembler out(bytes);
  emit_loading(out, Block{}, 0);
  return bytes.size();
}
size_t storing_size() {
  Bytes bytes;
  Assembler out(bytes);
  emit_storing(out, Block{});
  return bytes.size();
}
size_t code_size(const Block& block) {
  size_t size = 0;
  for (const PlannedInstruction& planned : block.code) size += planned.instruction.length;
  return size;
}

// The first place at or after `position` that puts the page boundary where the block wants it.
size_t record_place(const Block& block, size_t position) {
  const auto boundary = static_cast<size_t>(block.page_boundary - kFcsrOffset);
  return (position + boundary + kPage - 1) / kPage * kPage - boundary;
}

void emit_interleaved(Assembler& out, std::span<const Block> blocks, Program& program) {
  const size_t fixed_size = loading_size() + storing_size() + 4;  // and a jump over the record
  for (const Block& block : blocks) {
    const size_t end = out.position() + fixed_size + code_size(block);
    const size_t record = record_place(block, end);
    program.records.push_back(record);
    emit_block(out, block, record, program);
    const auto jump = static_cast<int32_t>(record + kRecordSize - out.position());
    out.emit({.opcode = Opcode::kJal, .rd = 0, .immediate = jump});
    out.skip_to(record);
    out.bytes(block.record);
  }
}

void emit_apart(Assembler& out, std::span<const Block> blocks, Program& program) {
  for (const Block& block : blocks) {
    out.skip_to(record_place(block, out.position()));
    program.records.push_back(out.position());
    out.bytes(block.record);
  }
  program.entry = program.base + out.position();
  for (size_t i = 0; i < blocks.size(); ++i) {
    emit_block(out, blocks[i], program.records[i], program);
  }
}

// Back to the entry until the counter behind the code is used up.
void emit_repetition(Assembler& out, const Program& program, uint32_t passes) {
  constexpr uint8_t kCounterAddress = 5, kCounter = 6, kEntry = 7;
  constexpr size_t kCodeSize = 10 * 4;
  // The counter may be misaligned, as any access may.
  const size_t counter = out.position() + kCodeSize;
  const size_t entry = program.entry - program.base;
  out.load_address(kCounterAddress, counter);
  out.emit({.opcode = Opcode::kLd, .rd = kCounter, .rs1 = kCounterAddress, .immediate = 0});
  out.emit({.opcode = Opcode::kAddi, .rd = kCounter, .rs1 = kCounter, .immediate = -1});
  out.emit({.opcode = Opcode::kSd, .rs1 = kCounterAddress, .rs2 = kCounter, .immediate = 0});
  out.load_address(kEntry, entry);
  out.emit({.opcode = Opcode::kBeq, .rs1 = kCounter, .rs2 = 0, .immediate = 8});
  out.emit({.opcode = Opcode::kJalr, .rd = 0, .rs1 = kEntry, .immediate = 0});
  out.emit({.opcode = Opcode::kJal, .rd = 0, .immediate = 12});
  CHECK(out.position() == counter);
  out.fixed(uint64_t{passes});
}

// write(1, image, size); exit_group(0)
void emit_end(Assembler& out) {
  constexpr uint8_t kA0 = 10, kA1 = 11, kA2 = 12, kA7 = 17;
  constexpr size_t kEndSize = 10 * 4;
  const size_t size = out.position() + kEndSize;
  out.load_address(kA1, 0);
  out.load_constant(kA2, static_cast<int32_t>(size));
  out.emit({.opcode = Opcode::kAddi, .rd = kA0, .rs1 = 0, .immediate = 1});
  out.emit({.opcode = Opcode::kAddi, .rd = kA7, .rs1 = 0, .immediate = kWrite});
  out.emit({.opcode = Opcode::kEcall});
  out.emit({.opcode = Opcode::kAddi, .rd = kA0, .rs1 = 0, .immediate = 0});
  out.emit({.opcode = Opcode::kAddi, .rd = kA7, .rs1 = 0, .immediate = kExitGroup});
  out.emit({.opcode = Opcode::kEcall});
  CHECK(out.position() == size);
}

}  // namespace

uint16_t compress(const Instruction& instruction) {
  static const std::unordered_map<uint32_t, uint16_t> forms = make_compressed_forms();
  const auto found = forms.find(riscv::encode(instruction));
  return found == forms.end() ? uint16_t{0} : found->second;
}

Block prefix(const Block& block, size_t count) {
  CHECK(count <= block.code.size());
  Block out = block;
  out.code.resize(count);
  for (PlannedInstruction& planned : out.code) planned.target = std::min(planned.target, count);
  return out;
}

Program build_program(std::span<const Block> blocks, Layout layout, uint32_t passes) {
  CHECK(passes >= 1 && passes <= kMaximumPasses);
  for (const Block& block : blocks) {
    CHECK(block.record.size() == kRecordSize);
    CHECK(block.page_boundary % 8 == 0);
    CHECK(block.page_boundary > 0 && block.page_boundary < kScratchSize);
  }
  Program program{
      .base = kProgramBase, .entry = kProgramBase, .image = {}, .records = {}, .code_starts = {}};
  Assembler out(program.image);
  if (layout == Layout::kInterleaved) {
    emit_interleaved(out, blocks, program);
  } else {
    emit_apart(out, blocks, program);
  }
  if (passes > 1) emit_repetition(out, program, passes);
  emit_end(out);
  return program;
}

}  // namespace lockstep::oracle
