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

Result<Run> run_both(std::span<const Block> blocks, const Arrangement& arrangement,
                     const Sides& sides) {
  Run run{.program = build_program(blocks, arrangement.layout, arrangement.passes),
          .oracle = {},
          .engine = {}};
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

// The difference that one instruction makes: `before` is the record when it comes to run, the
// others are what each side leaves.
std::string describe(const Block& block, size_t index, ByteView before, ByteView oracle_after,
                     ByteView engine_after) {
  const PlannedInstruction& planned = block.code[index];
  return fmt::format("instruction {}: {} ({})\ninputs:\n{}differences:\n{}", index,
                     riscv::disassemble(planned.instruction), word_text(planned),
                     inputs(planned.instruction, before), field_lines(oracle_after, engine_after));
}

std::vector<Block> prefixes_of(const Block& block) {
  std::vector<Block> prefixes;
  for (size_t count = 0; count <= block.code.size(); ++count) {
    prefixes.push_back(prefix(block, count));
  }
  return prefixes;
}

// A shortest prefix that differs, run alone: in how few passes does it?
Result<uint32_t> first_pass(const Block& shortest, const Arrangement& arrangement,
                            const Sides& sides) {
  for (uint32_t passes = 1; passes < arrangement.passes; ++passes) {
    const Result<Run> run = run_both({&shortest, 1}, {arrangement.layout, passes}, sides);
    if (!run) return std::unexpected(run.error());
    if (run->first_difference()) return passes;
  }
  return arrangement.passes;
}

// The record that the last instruction of `shortest` finds in the given pass, by the oracle.
Result<Bytes> record_before(const Block& shortest, uint32_t pass, const Sides& sides) {
  Block block = shortest;
  const auto run_alone = [&](uint32_t passes) -> Status {
    const Program program = build_program({&block, 1}, Layout::kApart, passes);
    const Result<Bytes> image = sides.oracle(program);
    if (!image) return std::unexpected(image.error());
    const ByteView record = record_of(program, *image, 0);
    block.record.assign(record.begin(), record.end());
    return {};
  };
  if (pass > 1) {
    if (Status status = run_alone(pass - 1); !status) return std::unexpected(status.error());
  }
  const Bytes start = block.record;
  block = prefix(shortest, shortest.code.size() - 1);
  block.record = start;
  if (Status status = run_alone(1); !status) return std::unexpected(status.error());
  return block.record;
}

// Fills in the instruction, the pass and the report, from the block's prefixes.
Status trace(const Block& block, const Arrangement& arrangement, const Sides& sides,
             Difference& difference) {
  const std::vector<Block> prefixes = prefixes_of(block);
  const Result<Run> traced = run_both(prefixes, arrangement, sides);
  if (!traced) return std::unexpected(traced.error());
  const std::optional<size_t> count = traced->first_difference();
  if (!count) {
    difference.report += "it does not differ when run by its prefixes\n";
    return {};
  }
  const ByteView oracle_after = record_of(traced->program, traced->oracle, *count);
  const ByteView engine_after = record_of(traced->program, traced->engine, *count);
  if (*count == 0) {
    difference.report =
        "loading and storing the registers differs:\n" + field_lines(oracle_after, engine_after);
    return {};
  }
  difference.instruction = *count - 1;
  const Block& shortest = prefixes[*count];
  const Result<uint32_t> pass = first_pass(shortest, arrangement, sides);
  if (!pass) return std::unexpected(pass.error());
  difference.pass = *pass;
  const Result<Bytes> before = record_before(shortest, *pass, sides);
  if (!before) return std::unexpected(before.error());
  difference.report =
      fmt::format("block {}, pass {}, {}", difference.block, difference.pass,
                  describe(block, *difference.instruction, *before, oracle_after, engine_after));
  return {};
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

Result<std::optional<Difference>> compare(std::span<const Block> blocks,
                                          const Arrangement& arrangement, const Sides& sides) {
  const Result<Run> run = run_both(blocks, arrangement, sides);
  if (!run) return std::unexpected(run.error());
  const std::optional<size_t> found = run->first_difference();
  if (!found) return std::nullopt;

  Difference difference;
  difference.block = *found;
  difference.pass = arrangement.passes;
  difference.report = fmt::format("block {}, where it stands:\n{}", *found,
                                  field_lines(record_of(run->program, run->oracle, *found),
                                              record_of(run->program, run->engine, *found)));
  if (Status status = trace(blocks[*found], arrangement, sides, difference); !status) {
    difference.report += "tracing it failed: " + status.error().text() + "\n";
  }
  return difference;
}

}  // namespace lockstep::oracle
