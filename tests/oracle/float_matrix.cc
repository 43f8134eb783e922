#include "tests/oracle/float_matrix.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <map>
#include <random>
#include <span>
#include <utility>

#include "base/check.h"
#include "riscv/disassembler.h"

namespace lockstep::oracle {
namespace {

using namespace riscv::testing;
using riscv::Opcode;

// Linux system calls of riscv64 (asm-generic/unistd.h).
constexpr uint64_t kWrite = 64;
constexpr uint64_t kExitGroup = 94;

constexpr size_t kResultsOfProgram = 250'000;  // 4 MB of them
constexpr size_t kBoundedTuples = 5'000;       // all pairs, and some of the triples
constexpr size_t kBoundedRandomTuples = 300;
constexpr size_t kRandomTuples = 20'000;
constexpr uint64_t kBoundedSequences = 100;
constexpr uint64_t kWholeSequences = 2'000;
constexpr uint64_t kSequenceItems = 40;
constexpr uint64_t kIterations = 200;
constexpr size_t kSequenceTuples = 300;  // of each kind
static_assert(kSequenceTuples * kTupleSize >= kMinimumSequenceOperands);

bool is_sequence(const FloatJob& job) {
  return job.cases.empty();
}

// Where things lie in the image.
struct Plan {
  size_t results;
  size_t scratch;
  size_t code;
};
Plan plan_of(const FloatJob& job) {
  const size_t results = job.tuples.size() * kTupleSize;
  const size_t result_size = is_sequence(job)
                                 ? sequence_trace_size(kIterations)
                                 : job.cases.size() * job.tuples.size() * kFloatResultSize;
  const size_t scratch = results + result_size;
  return {results, scratch, scratch + kSequenceScratchSize};
}

// write(1, image, size); exit_group(0)
void emit_end(Assembler& code) {
  constexpr uint64_t kRoom = 64;  // whatever it takes to load the size
  const uint64_t end = code.here() + kRoom;
  code.li(kA0, 1);
  code.li(kA1, kProgramBase.value);
  code.li(kA2, end - kProgramBase.value);
  code.li(kA7, kWrite);
  code.op(Opcode::kEcall);
  code.li(kA0, 0);
  code.li(kA7, kExitGroup);
  code.op(Opcode::kEcall);
  code.pad_to(end);
}

uint64_t word_at(ByteView image, size_t offset) {
  uint64_t value = 0;
  CHECK(offset + sizeof(value) <= image.size());
  std::memcpy(&value, image.data() + offset, sizeof(value));
  return value;
}

std::string operand_text(const FloatCase& tested, const OperandTuple& tuple) {
  std::string text;
  const size_t count = operand_count(riscv::instruction_row(tested.opcode).format);
  for (size_t i = 0; i < count; ++i) text += fmt::format(" {:#018x}", tuple[i]);
  return text;
}

struct Outcome {
  uint64_t value = 0;
  uint64_t flags = 0;
  bool operator==(const Outcome&) const = default;
};
Outcome outcome_at(ByteView image, size_t offset) {
  return {word_at(image, offset), word_at(image, offset + 8)};
}

void report(std::string text, FloatTotals& totals) {
  if (totals.reports.size() < kMaximumFloatReports) totals.reports.push_back(std::move(text));
}

void compare_cases(const FloatJob& job, ByteView oracle, ByteView engine, FloatTotals& totals) {
  size_t offset = plan_of(job).results;
  for (const FloatCase& tested : job.cases) {
    bool differs = false;
    for (const OperandTuple& tuple : job.tuples) {
      const Outcome expected = outcome_at(oracle, offset);
      const Outcome found = outcome_at(engine, offset);
      offset += kFloatResultSize;
      ++totals.results;
      if (expected == found) continue;
      ++totals.differences;
      if (!differs) {
        report(
            fmt::format("{}:{}\n  oracle {:#018x}, flags {:#04x}\n  engine {:#018x}, flags {:#04x}",
                        name_of(tested), operand_text(tested, tuple), expected.value,
                        expected.flags, found.value, found.flags),
            totals);
      }
      differs = true;
    }
  }
}

// A sequence is one difference: what follows the first wrong value is wrong.
void compare_trace(const FloatJob& job, ByteView oracle, ByteView engine, FloatTotals& totals) {
  const size_t start = plan_of(job).results;
  totals.results += kIterations;
  for (uint64_t i = 0; i < sequence_trace_size(kIterations) / 8; ++i) {
    const uint64_t expected = word_at(oracle, start + 8 * i);
    const uint64_t found = word_at(engine, start + 8 * i);
    if (expected == found) continue;
    ++totals.differences;
    const std::string place =
        i < kIterations ? fmt::format("iteration {}", i) : fmt::format("f{}", i - kIterations);
    report(fmt::format("sequence {}: {}: oracle {:#x}, engine {:#x}", job.sequence_seed, place,
                       expected, found),
           totals);
    return;
  }
}

// Instructions that take the same operands.
struct Operands {
  OperandKind kind;
  size_t count;
  auto operator<=>(const Operands&) const = default;
};

std::vector<OperandTuple> tuples_of(const Operands& operands, MatrixSize size, uint64_t seed) {
  std::vector<OperandTuple> tuples = directed_tuples(operands.kind, operands.count);
  const auto append = [&](const std::vector<OperandTuple>& others) {
    tuples.insert(tuples.end(), others.begin(), others.end());
  };
  if (size == MatrixSize::kWhole) {
    append(random_tuples(operands.kind, kRandomTuples, seed));
    return tuples;
  }
  if (tuples.size() > kBoundedTuples) {
    std::mt19937_64 random(seed);
    std::ranges::shuffle(tuples, random);
    tuples.resize(kBoundedTuples);
    append(class_tuples(operands.kind, operands.count));
  }
  append(random_tuples(operands.kind, kBoundedRandomTuples, seed));
  return tuples;
}

// Cut into programs of kResultsOfProgram.
void add_jobs(const std::vector<FloatCase>& cases, const std::vector<OperandTuple>& tuples,
              std::vector<FloatJob>& jobs) {
  for (size_t at = 0; at < tuples.size(); at += kResultsOfProgram) {
    const size_t taken = std::min(kResultsOfProgram, tuples.size() - at);
    const auto part = std::span(tuples).subspan(at, taken);
    const size_t together = std::max<size_t>(kResultsOfProgram / taken, 1);
    for (size_t i = 0; i < cases.size(); i += together) {
      const auto some = std::span(cases).subspan(i, std::min(together, cases.size() - i));
      jobs.push_back({.cases = {some.begin(), some.end()}, .tuples = {part.begin(), part.end()}});
    }
  }
}

FloatJob sequence_job(uint64_t seed) {
  FloatJob job{.cases = {}, .tuples = {}, .sequence_seed = seed};
  for (const OperandKind kind : {OperandKind::kSingle, OperandKind::kDouble}) {
    const std::vector<OperandTuple> tuples = mixed_tuples(kind, 2, kSequenceTuples, seed);
    job.tuples.insert(job.tuples.end(), tuples.begin(), tuples.end());
  }
  return job;
}

}  // namespace

std::vector<FloatJob> float_jobs(MatrixSize size, uint64_t seed) {
  std::map<Operands, std::vector<FloatCase>> groups;
  for (const FloatCase& tested : float_cases(FloatOutcome::kResult)) {
    const riscv::InstructionRow& row = riscv::instruction_row(tested.opcode);
    groups[{operand_kind(row), operand_count(row.format)}].push_back(tested);
  }
  std::vector<FloatJob> jobs;
  for (const auto& [operands, cases] : groups) {
    add_jobs(cases, tuples_of(operands, size, seed), jobs);
  }
  const uint64_t sequences = size == MatrixSize::kBounded ? kBoundedSequences : kWholeSequences;
  for (uint64_t i = 0; i < sequences; ++i) jobs.push_back(sequence_job(seed * kWholeSequences + i));
  return jobs;
}

Program build_float_program(const FloatJob& job) {
  const Plan plan = plan_of(job);
  Program program{
      .base = kProgramBase, .entry = kProgramBase, .image = {}, .records = {}, .code_starts = {}};
  program.entry = program.base + plan.code;
  program.code_starts.push_back(plan.code);
  ByteWriter writer(program.image);
  for (const OperandTuple& tuple : job.tuples) {
    for (const uint64_t operand : tuple) writer.fixed(operand);
  }
  program.image.resize(plan.code);

  Assembler code(program.entry);
  std::mt19937_64 random(job.sequence_seed);
  code.li(kHashRegister, 0);
  GuestAddress results = program.base + plan.results;
  for (const FloatCase& tested : job.cases) {
    emit_float_loop(code,
                    {.tested = tested,
                     .tuples = program.base,
                     .tuple_count = job.tuples.size(),
                     .results = results},
                    random);
    results += job.tuples.size() * kFloatResultSize;
  }
  if (is_sequence(job)) {
    emit_float_sequence(code,
                        {.traps = Traps::kNone,
                         .items = kSequenceItems,
                         .iterations = kIterations,
                         .singles = program.base,
                         .doubles = program.base + kSequenceTuples * kTupleSize,
                         .operands_size = kSequenceTuples * kTupleSize,
                         .scratch = program.base + plan.scratch,
                         .trace = results},
                        random);
  }
  emit_end(code);
  writer.bytes(code.bytes());
  return program;
}

Status compare_float_job(const FloatJob& job, const Runner& oracle, const Runner& engine,
                         FloatTotals& totals) {
  const Program program = build_float_program(job);
  const Result<Bytes> expected = oracle(program);
  if (!expected) return std::unexpected(expected.error());
  const Result<Bytes> found = engine(program);
  if (!found) return std::unexpected(found.error());
  ++totals.programs;
  if (is_sequence(job)) {
    compare_trace(job, *expected, *found, totals);
  } else {
    compare_cases(job, *expected, *found, totals);
  }
  return {};
}

}  // namespace lockstep::oracle
