#include "tests/audit/boot.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fmt/format.h>
#include <memory>
#include <utility>

#include "base/error.h"
#include "base/state_visitors.h"
#include "io/posix/anonymous_memory.h"
#include "io/posix/file.h"
#include "jit/testing/chaos_options.h"
#include "machine/machine.h"
#include "replay/machine_target.h"
#include "replay/replay_outside.h"
#include "replay/replayer.h"
#include "replay/source.h"
#include "riscv/disassembler.h"
#include "riscv/hart.h"
#include "riscv/testing/instruction_at.h"
#include "vmm/board_file.h"

namespace lockstep::audit {
namespace {

constexpr uint64_t kProgressSteps = 500'000'000;
// A repetition tries so many places in what is left of the interval with the difference.
constexpr uint64_t kParts = 64;
constexpr size_t kListedFields = 40;
constexpr size_t kListedPages = 16;

// A machine, and the log that drives it.
class Side {
 public:
  static Result<std::unique_ptr<Side>> open(const std::string& path,
                                            const machine::EngineChoice& engine) {
    auto file = posix::FileReader::open(path);
    if (!file) return std::unexpected(file.error());
    auto reader = log::LogFileReader::open(std::move(*file));
    if (!reader) return std::unexpected(reader.error());
    auto board = vmm::decode_board(reader->header().board, path);
    if (!board) return std::unexpected(board.error());
    auto ram = posix::AnonymousMemory::create(board->memory_bytes);
    if (!ram) return std::unexpected(ram.error());
    auto side = std::unique_ptr<Side>(new Side(std::move(*ram), std::move(*reader)));
    auto made =
        machine::Machine::create(std::move(*board), side->ram_.bytes(), side->outside_, engine);
    if (!made) return std::unexpected(made.error());
    side->machine_ = std::move(*made);
    side->target_ = std::make_unique<replay::MachineTarget>(
        *side->machine_, [outside = &side->outside_] { return outside->inputs(); });
    side->replayer_ = std::make_unique<replay::Replayer>(side->source_, *side->target_);
    return side;
  }

  Result<replay::ReplayStop> run_until(Step step) { return replayer_->run_until(step); }
  machine::Machine& machine() { return *machine_; }
  const replay::OutputTally& outputs() const { return outside_.tally(); }

  // The value of a register by its name in the state's walk.
  static uint64_t number(const StateLister& state, std::string_view name) {
    for (const StateLister::Field& field : state.fields()) {
      if (field.name != name) continue;
      uint64_t value = 0;
      std::memcpy(&value, field.value.data(), std::min(field.value.size(), sizeof(value)));
      return value;
    }
    return 0;
  }

  std::string next_instruction() {
    StateLister state;
    machine_->visit_state(state);
    const uint64_t pc = number(state, "hart[0].pc");
    const auto bits =
        riscv::testing::instruction_at(pc, number(state, "hart[0].satp"), machine_->ram());
    return fmt::format("pc {:#x}, privilege {}: {}", pc, number(state, "hart[0].privilege"),
                       bits ? riscv::disassemble(riscv::decode(*bits)) : "cannot be fetched");
  }

 private:
  Side(posix::AnonymousMemory ram, log::LogFileReader reader)
      : ram_(std::move(ram)), source_(std::move(reader)) {}

  posix::AnonymousMemory ram_;
  replay::ReplayOutside outside_;
  replay::FileSource source_;
  std::unique_ptr<machine::Machine> machine_;
  std::unique_ptr<replay::MachineTarget> target_;
  std::unique_ptr<replay::Replayer> replayer_;
};

struct Progress {
  bool end = false;
  std::string difference;  // empty: none
};

class Pair {
 public:
  static Result<Pair> open(const BootOptions& options) {
    machine::EngineChoice translator{machine::EngineKind::kTranslator, {}};
    if (options.chaos_seed) {
      translator.translator = jit::testing::chaos_options(*options.chaos_seed);
    }
    auto reference = Side::open(options.recording, {machine::EngineKind::kInterpreter, {}});
    if (!reference) return std::unexpected(reference.error());
    auto subject = Side::open(options.recording, translator);
    if (!subject) return std::unexpected(subject.error());
    return Pair(std::move(*reference), std::move(*subject));
  }

  Side& reference() { return *reference_; }
  Side& subject() { return *subject_; }

  Progress run_until(Step step) {
    const auto first = reference_->run_until(step);
    if (!first) return {true, "the interpreter: " + first.error().text()};
    const auto second = subject_->run_until(step);
    if (!second) return {true, "the translator: " + second.error().text()};
    Progress progress{*first != replay::ReplayStop::kLimit, {}};
    if (reference_->machine().step() != subject_->machine().step()) {
      progress.difference = "the steps at which they stand";
    } else if (reference_->outputs() != subject_->outputs()) {
      progress.difference = "outputs";
    } else if (reference_->machine().digest() != subject_->machine().digest()) {
      progress.difference = "digests";
    }
    return progress;
  }

  std::string list_differences() {
    StateLister left;
    StateLister right;
    reference_->machine().visit_state(left);
    subject_->machine().visit_state(right);
    std::string text = list_fields(left, right);
    const ByteView ram = reference_->machine().ram();
    const ByteView other = subject_->machine().ram();
    size_t pages = 0;
    for (size_t at = 0; at < ram.size(); at += riscv::kPageSize) {
      if (std::memcmp(&ram[at], &other[at], riscv::kPageSize) == 0) continue;
      if (++pages > kListedPages) continue;
      const auto place = std::ranges::mismatch(ram.subspan(at, riscv::kPageSize),
                                               other.subspan(at, riscv::kPageSize));
      text +=
          fmt::format("  RAM at {:#x}: interpreter {:#04x}, translator {:#04x}\n",
                      machine::kRamBase.value + static_cast<uint64_t>(&*place.in1 - ram.data()),
                      std::to_integer<unsigned>(*place.in1), std::to_integer<unsigned>(*place.in2));
    }
    if (pages > kListedPages) text += fmt::format("  and {} more pages\n", pages - kListedPages);
    return text;
  }

 private:
  Pair(std::unique_ptr<Side> reference, std::unique_ptr<Side> subject)
      : reference_(std::move(reference)), subject_(std::move(subject)) {}

  static std::string list_fields(const StateLister& left, const StateLister& right) {
    constexpr size_t kWord = sizeof(uint64_t);
    std::string text;
    size_t listed = 0;
    for (size_t i = 0; i < std::min(left.fields().size(), right.fields().size()); ++i) {
      const StateLister::Field& field = left.fields()[i];
      const StateLister::Field& other = right.fields()[i];
      if (field == other) continue;
      for (size_t at = 0; at + kWord <= std::min(field.value.size(), other.value.size());
           at += kWord) {
        uint64_t values[2];
        std::memcpy(&values[0], field.value.data() + at, kWord);
        std::memcpy(&values[1], other.value.data() + at, kWord);
        if (values[0] == values[1] || ++listed > kListedFields) continue;
        text += fmt::format("  {}[{}]: interpreter {:#x}, translator {:#x}\n", field.name,
                            at / kWord, values[0], values[1]);
      }
      if (std::min(field.value.size(), other.value.size()) < kWord) {
        text += fmt::format("  {} differs\n", field.name);
      }
    }
    return text;
  }

  std::unique_ptr<Side> reference_;
  std::unique_ptr<Side> subject_;
};

// Equal at `good`, different at `bad`: closes in by repeating the replay, each time with more
// stops between the two and the same before them.
class Search {
 public:
  explicit Search(const BootOptions& options) : options_(options) {}

  Result<std::string> find(Step good, Step bad) {
    const Step from = good;
    while (bad - good > 1) {
      auto pair = at(from);
      if (!pair) return std::unexpected(pair.error());
      const uint64_t part = std::max<uint64_t>(1, (bad - good) / kParts);
      if (good > from && !pair->run_until(good).difference.empty()) return vanished(from, bad);
      Step next = std::min(good + part, bad);
      while (pair->run_until(next).difference.empty()) {
        if (next == bad) return vanished(from, bad);
        good = next;
        next = std::min(next + part, bad);
      }
      bad = next;
      fmt::print(stderr, "between steps {} and {}\n", good.value, bad.value);
    }
    auto pair = at(from);
    if (!pair) return std::unexpected(pair.error());
    if (good > from) pair->run_until(good);
    std::string text =
        fmt::format("equal at step {}, at {}\n", good.value, pair->reference().next_instruction());
    const Progress progress = pair->run_until(bad);
    text += fmt::format("different at step {}: {}\n", bad.value, progress.difference);
    return text + pair->list_differences();
  }

 private:
  // A new pair at `step`, by stops at every multiple of the interval.
  Result<Pair> at(Step step) {
    auto pair = Pair::open(options_);
    if (!pair) return pair;
    for (Step next(options_.every); next <= step; next += options_.every) pair->run_until(next);
    return pair;
  }

  static std::string vanished(Step from, Step bad) {
    return fmt::format(
        "equal at step {}, different at step {}, and only if the steps between them "
        "are run as they were\n",
        from.value, bad.value);
  }

  const BootOptions& options_;
};

int cannot_replay(const Error& error) {
  fmt::print(stderr, "{}\n", error.text());
  return 2;
}

}  // namespace

int audit_boot(const BootOptions& options) {
  auto pair = Pair::open(options);
  if (!pair) return cannot_replay(pair.error());
  const auto start = std::chrono::steady_clock::now();
  uint64_t digests = 0;
  Step good;
  Step limit(options.every);
  Progress progress;
  while (true) {
    progress = pair->run_until(limit);
    ++digests;
    if (progress.end || !progress.difference.empty()) break;
    good = limit;
    if (limit.value % kProgressSteps < options.every) {
      fmt::print(stderr, "{} million steps, {} comparisons\n", limit.value / 1'000'000, digests);
    }
    limit += options.every;
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  const uint64_t steps = pair->reference().machine().step().value;
  const riscv::EngineStatistics engine = pair->subject().machine().engine_report().statistics;
  const bool differs = !progress.difference.empty();
  fmt::print("{} steps, {:.1f} % of them translated, {} comparisons, {} mismatches, {:.1f} s\n",
             steps,
             100.0 - 100.0 * static_cast<double>(engine.interpreted_steps) /
                         static_cast<double>(std::max<uint64_t>(steps, 1)),
             digests, differs ? 1 : 0, seconds.count());
  if (!differs) return 0;
  fmt::print("different: {}\n", progress.difference);
  const Result<std::string> found =
      Search(options).find(good, std::max(limit, pair->subject().machine().step()));
  if (!found) return cannot_replay(found.error());
  fmt::print("{}", *found);
  return 1;
}

}  // namespace lockstep::audit
