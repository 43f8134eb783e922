#include "tests/oracle/comparison.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <iterator>

#include "base/check.h"
#include "riscv/disassembler.h"
#include "riscv/encoder.h"

namespace lockstep::oracle {
namespace {

using riscv::Format;
using riscv::Instruction;

constexpr size_t kMaximumFields = 20;  // of a report

uint64_t word_at(ByteView record, int offset) {
  uint64_t value = 0;
  std::memcpy(&value, record.data() + (offset - kFcsrOffset), sizeof(value));
  return value;
}

std::string name_of(int offset) {
  if (offset == kFcsrOffset) return "fcsr";
  if (offset < kFpOffset) return fmt::format("x{}", (offset - kFcsrOffset) / 8);
  if (offset < kScratchOffset) return fmt::format("f{}", (offset - kFpOffset) / 8);
  if (offset < kPoolOffset) return fmt::format("scratch + {}", offset - kScratchOffset);
  if (offset < kLogOffset) return fmt::format("pool + {}", offset - kPoolOffset);
  return fmt::format("log + {}", offset - kLogOffset);
}

std::string x_input(ByteView record, uint8_t number) {
  const uint64_t value = number == 0 ? 0 : word_at(record, kFcsrOffset + 8 * number);
  return fmt::format("  x{} = {:#018x}\n", number, value);
}
std::string f_input(ByteView record, uint8_t number) {
  return fmt::format("  f{} = {:#018x}\n", number, word_at(record, kFpOffset + 8 * number));
}

// What the instruction reads, before it runs.
std::string inputs(const Instruction& i, ByteView record) {
  const std::string fcsr = fmt::format("  fcsr = {:#x}\n", word_at(record, kFcsrOffset));
  switch (riscv::instruction_row(i.opcode).format) {
    case Format::kR:
    case Format::kB:
    case Format::kStore:
    case Format::kAmo:
      return x_input(record, i.rs1) + x_input(record, i.rs2);
    case Format::kI:
    case Format::kIShift64:
    case Format::kIShift32:
    case Format::kLoad:
    case Format::kFpLoad:
    case Format::kJalr:
    case Format::kLoadReserved:
      return x_input(record, i.rs1);
    case Format::kFpStore:
      return x_input(record, i.rs1) + f_input(record, i.rs2);
    case Format::kCsr:
    case Format::kIntegerToFp:
    case Format::kIntegerExactToFp:
      return x_input(record, i.rs1) + fcsr;
    case Format::kCsrImmediate:
      return fcsr;
    case Format::kRFp:
    case Format::kRFpExact:
    case Format::kRFpCompare:
      return f_input(record, i.rs1) + f_input(record, i.rs2) + fcsr;
    case Format::kR4:
      return f_input(record, i.rs1) + f_input(record, i.rs2) + f_input(record, i.rs3) + fcsr;
    case Format::kRFpUnary:
    case Format::kFpToInteger:
    case Format::kFpExactToInteger:
      return f_input(record, i.rs1) + fcsr;
    default:
      return "  nothing but pc\n";
  }
}

ByteView record_of(const Program& program, const Bytes& image, size_t block) {
  return ByteView(image).subspan(program.records[block], kRecordSize);
}

struct Run {
  Program program;
  Bytes oracle;
  Bytes engine;

  std::optional<size_t> first_difference() const {
    for (size_t i = 0; i < program.records.size(); ++i) {
      if (!std::ranges::equal(record_of(program, oracle, i), record_of(program, engine, i))) {
        return i;
      }
    }
    return std::nullopt;
  }
};

Result<Run> run_both(std::span<const Block> blocks, Layout layout, const Sides& sides) {
  Run run{.program = build_program(blocks, layout), .oracle = {}, .engine = {}};
  Result<Bytes> oracle = sides.oracle(run.program);
  if (!oracle) return std::unexpected(oracle.error());
  Result<Bytes> engine = sides.engine(run.program);
  if (!engine) return std::unexpected(engine.error());
  run.oracle = std::move(*oracle);
  run.engine = std::move(*engine);
  CHECK(run.oracle.size() == run.program.image.size());
  CHECK(run.engine.size() == run.program.image.size());
  return run;
}

std::string field_lines(ByteView oracle_record, ByteView engine_record) {
  std::string text;
  for (const std::string& line : differing_fields(oracle_record, engine_record)) {
    text += "  " + line + "\n";
  }
  return text;
}

std::string word_text(const PlannedInstruction& planned) {
  const Instruction& i = planned.instruction;
  if (planned.patch != Patch::kNone) return fmt::format("{} bytes, a jump", i.length);
  if (i.length == 2) return fmt::format("word {:#06x}", i.bits);
  return fmt::format("word {:#010x}", riscv::encode(i));
}

// `run` holds the prefixes of 0, 1, 2, … instructions, and `count` is the shortest that differs.
std::string describe(const Block& block, const Run& run, size_t count) {
  const ByteView oracle_after = record_of(run.program, run.oracle, count);
  const ByteView engine_after = record_of(run.program, run.engine, count);
  if (count == 0) {
    return "loading and storing the registers differs:\n" + field_lines(oracle_after, engine_after);
  }
  const PlannedInstruction& planned = block.code[count - 1];
  const Instruction& i = planned.instruction;
  return fmt::format("instruction {}: {} ({})\ninputs:\n{}differences:\n{}", count - 1,
                     riscv::disassemble(i), word_text(planned),
                     inputs(i, record_of(run.program, run.oracle, count - 1)),
                     field_lines(oracle_after, engine_after));
}

}  // namespace

std::vector<std::string> differing_fields(ByteView oracle_record, ByteView engine_record) {
  std::vector<std::string> lines;
  for (int offset = kFcsrOffset; offset < kLogOffset + kLogSize; offset += 8) {
    const uint64_t expected = word_at(oracle_record, offset);
    const uint64_t found = word_at(engine_record, offset);
    if (expected == found) continue;
    if (lines.size() == kMaximumFields) {
      lines.push_back("and more");
      break;
    }
    lines.push_back(
        fmt::format("{}: oracle {:#018x}, engine {:#018x}", name_of(offset), expected, found));
  }
  return lines;
}

Result<std::optional<Difference>> compare(std::span<const Block> blocks, Layout layout,
                                          const Sides& sides) {
  const Result<Run> run = run_both(blocks, layout, sides);
  if (!run) return std::unexpected(run.error());
  const std::optional<size_t> found = run->first_difference();
  if (!found) return std::nullopt;

  const Block& block = blocks[*found];
  std::vector<Block> prefixes;
  for (size_t count = 0; count <= block.code.size(); ++count) {
    prefixes.push_back(prefix(block, count));
  }
  const Result<Run> traced = run_both(prefixes, layout, sides);
  if (!traced) return std::unexpected(traced.error());

  Difference difference{.block = *found, .instruction = std::nullopt, .report = {}};
  if (const std::optional<size_t> count = traced->first_difference()) {
    if (*count > 0) difference.instruction = *count - 1;
    difference.report = fmt::format("block {}, {}", *found, describe(block, *traced, *count));
  } else {
    difference.report =
        fmt::format("block {} differs where it stands, not when run by its prefixes:\n{}", *found,
                    field_lines(record_of(run->program, run->oracle, *found),
                                record_of(run->program, run->engine, *found)));
  }
  return difference;
}

}  // namespace lockstep::oracle
