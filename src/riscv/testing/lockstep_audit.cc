#include "riscv/testing/lockstep_audit.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <random>
#include <vector>

#include "base/check.h"
#include "base/state_visitors.h"
#include "riscv/disassembler.h"
#include "riscv/interpreter/interpreter.h"

namespace lockstep::riscv::testing {
namespace {

constexpr uint64_t kLongestStop = 50'000;
constexpr size_t kTraceLength = 16;
constexpr size_t kListedFields = 12;
constexpr uint64_t kOneTickPerStep = uint64_t{1} << 32;
constexpr uint64_t kLongestWarp = 4096;  // ticks

enum class Input : uint8_t {
  kNone,
  kRaiseLine,
  kLowerLine,
  kSoftware,
  kTime,
  kCopy,
  kCopies,  // a burst, as a frame that arrives
};
constexpr unsigned kInputs = 7;
constexpr uint64_t kBurst = 24;

// What happens at one stop; drawn before it, so that a repeated run draws the same.
struct Stop {
  bool flush = false;
  bool watch = false;
  uint64_t steps = 1;
  uint64_t piece = 0;  // the subject's longest run on the way; 0: in one
  uint64_t piece_seed = 0;
  bool check_memory = false;
  Input input = Input::kNone;
  uint64_t value = 0;
};

// Stops of one seed are alike; seeds differ in how often they stop, flush, and enter inputs.
class Schedule {
 public:
  explicit Schedule(uint64_t seed) : random_(seed) {
    static constexpr uint64_t kLongest[] = {30, 200, 3000, kLongestStop};
    longest_ = kLongest[below(4)];
    flush_one_in_ = any_of({0, 4, 100});
    watch_one_in_ = any_of({0, 8, 100});
    memory_one_in_ = any_of({5, 50, 500});
    input_one_in_ = any_of({1, 4, 40});
    piece_one_in_ = any_of({0, 2, 10});
  }

  Stop next() {
    Stop stop;
    stop.flush = one_in(flush_one_in_);
    stop.watch = one_in(watch_one_in_);
    const uint64_t choice = below(4);
    stop.steps = 1 + below(choice == 0   ? 8
                           : choice == 1 ? std::min<uint64_t>(200, longest_)
                                         : longest_);
    const uint64_t piece = 1 + below(one_in(2) ? 8 : 400);
    stop.piece = one_in(piece_one_in_) ? piece : 0;
    stop.piece_seed = random_();
    stop.check_memory = one_in(memory_one_in_);
    const auto input = static_cast<Input>(below(kInputs));
    stop.input = one_in(input_one_in_) ? input : Input::kNone;
    stop.value = random_();
    return stop;
  }

 private:
  uint64_t below(uint64_t limit) { return random_() % limit; }
  bool one_in(uint64_t count) { return count != 0 && below(count) == 0; }
  uint64_t any_of(std::initializer_list<uint64_t> values) {
    return values.begin()[below(values.size())];
  }

  std::mt19937_64 random_;
  uint64_t longest_;
  uint64_t flush_one_in_;
  uint64_t watch_one_in_;
  uint64_t memory_one_in_;
  uint64_t input_one_in_;
  uint64_t piece_one_in_;
};

void enter(AuditGuest& guest, const Stop& stop) {
  switch (stop.input) {
    case Input::kNone:
      break;
    case Input::kRaiseLine:
      guest.hart.external_interrupt = true;
      break;
    case Input::kLowerLine:
      guest.hart.external_interrupt = false;
      break;
    case Input::kSoftware:
      guest.hart.software_interrupt = stop.value % 2 == 0;
      break;
    case Input::kTime: {
      const GuestTicks now = guest.hart.time.at(guest.hart.step);
      guest.hart.time.set_anchor(guest.hart.step, now + stop.value % kLongestWarp,
                                 kOneTickPerStep >> (stop.value >> 32) % 8);
      break;
    }
    case Input::kCopy:
      guest.copy_memory(stop.value);
      break;
    case Input::kCopies:
      for (uint64_t i = 0; i < stop.value % kBurst; ++i) guest.copy_memory(stop.value + i);
      break;
  }
  guest.hart.wake_if_pending();
}

// A guest that waits is woken by its timer, at once, as a warp does.
void wake(AuditGuest& guest) {
  if (!guest.hart.waiting) return;
  const GuestTicks now = guest.hart.time.at(guest.hart.step);
  if (guest.hart.stimecmp >= now + kLongestWarp) guest.hart.stimecmp = now;
  guest.hart.time.set_anchor(guest.hart.step, std::max(now, guest.hart.stimecmp),
                             guest.hart.time.rate_q32());
  guest.hart.sie |= kTimerInterrupt;
  guest.hart.wake_if_pending();
}

// --- Comparing ---

std::vector<std::string> split_field(const StateLister::Field& left,
                                     const StateLister::Field& right) {
  constexpr size_t kWord = sizeof(uint64_t);
  std::vector<std::string> lines;
  for (size_t at = 0; at < left.value.size(); at += kWord) {
    const size_t size = std::min(kWord, left.value.size() - at);
    uint64_t values[2] = {};
    std::memcpy(&values[0], left.value.data() + at, size);
    std::memcpy(&values[1], right.value.data() + at, size);
    if (values[0] == values[1]) continue;
    const std::string name =
        left.value.size() > kWord ? fmt::format("{}[{}]", left.name, at / kWord) : left.name;
    lines.push_back(fmt::format("{}: reference {:#x}, subject {:#x}", name, values[0], values[1]));
  }
  return lines;
}

std::string list_differences(AuditGuest& reference, AuditGuest& subject) {
  StateLister left;
  StateLister right;
  reference.visit_state(left);
  subject.visit_state(right);
  std::vector<std::string> lines;
  for (size_t i = 0; i < left.fields().size(); ++i) {
    for (std::string& line : split_field(left.fields()[i], right.fields()[i])) {
      lines.push_back(std::move(line));
    }
  }
  for (uint64_t page = 0; page < AuditGuest::kPages; ++page) {
    const auto first = reference.ram.begin() + static_cast<std::ptrdiff_t>(page * kPageSize);
    const auto other = subject.ram.begin() + static_cast<std::ptrdiff_t>(page * kPageSize);
    const auto [at, there] = std::mismatch(first, first + kPageSize, other);
    if (at == first + kPageSize) continue;
    lines.push_back(
        fmt::format("RAM at {:#x}: reference {:#04x}, subject {:#04x}",
                    AuditGuest::kRam.value + static_cast<uint64_t>(at - reference.ram.begin()),
                    std::to_integer<unsigned>(*at), std::to_integer<unsigned>(*there)));
  }
  std::string text;
  for (size_t i = 0; i < lines.size() && i < kListedFields; ++i) text += "  " + lines[i] + "\n";
  if (lines.size() > kListedFields) {
    text += fmt::format("  and {} more\n", lines.size() - kListedFields);
  }
  return text;
}

// --- One run of both ---

class Run {
 public:
  Run(const AuditProgram& program, const AuditOptions& options)
      : schedule_(options.seed),
        reference_(program, make_interpreter),
        subject_(program, options.subject),
        shadow_(reference_.ram.begin(), reference_.ram.end()) {
    for (AuditGuest* guest : {&reference_, &subject_}) {
      guest->hart.time.set_anchor(Step(0), GuestTicks(0), kOneTickPerStep >> options.seed % 5);
    }
  }

  AuditGuest& reference() { return reference_; }
  AuditGuest& subject() { return subject_; }
  Step step() const { return reference_.hart.step; }
  uint64_t stops() const { return stops_; }

  // To the next stop; with `limit`, at most so many steps on the way to it, and no inputs there.
  // What differs, in one line; empty: nothing.
  std::string advance(std::optional<uint64_t> limit = {}) {
    const Stop stop = schedule_.next();
    const Step from = step();
    const Step target = from + std::min(stop.steps, limit.value_or(stop.steps));
    if (stop.flush) subject_.engine->flush();
    if (stop.watch) subject_.engine->watch_writes_again();
    std::string difference = run_both(stop, target);
    if (limit) return difference;
    if (difference.empty() && stop.check_memory) difference = compare_written_pages();
    ++stops_;
    if (!difference.empty()) return difference;
    for (AuditGuest* guest : {&reference_, &subject_}) {
      enter(*guest, stop);
      wake(*guest);
    }
    return {};
  }

  std::string compare_memory() const {
    return std::ranges::equal(reference_.ram, subject_.ram) ? "" : "RAM differs";
  }

 private:
  std::string run_both(const Stop& stop, Step target) {
    std::optional<std::string> wrong = run(reference_, target, [&] { return target; });
    if (wrong) return "the reference " + *wrong;
    std::mt19937_64 random(stop.piece_seed);
    wrong = run(subject_, target, [&] {
      if (stop.piece == 0) return target;
      return std::min(target, subject_.hart.step + 1 + random() % stop.piece);
    });
    if (wrong) return "the subject " + *wrong;
    return same_state() ? "" : "registers or devices differ";
  }

  template <typename NextTarget>
  std::optional<std::string> run(AuditGuest& guest, Step target, NextTarget next) {
    while (guest.hart.step < target && !guest.hart.waiting) {
      if (auto wrong = guest.run_until(next())) return wrong;
    }
    return {};
  }

  bool same_state() {
    for (int i = 0; i < 2; ++i) {
      saved_[i].clear();
      StateWriter writer(saved_[i]);
      (i == 0 ? reference_ : subject_).visit_state(writer);
    }
    return saved_[0] == saved_[1];
  }

  // What either reports as written is the same in both; what was written, the subject reports.
  std::string compare_written_pages() {
    const std::vector<uint64_t> by_reference = reference_.memory.take_dirty_pages();
    const std::vector<uint64_t> by_subject = subject_.memory.take_dirty_pages();
    reference_.engine->watch_writes_again();
    subject_.engine->watch_writes_again();
    std::vector<uint64_t> pages;
    std::ranges::set_union(by_reference, by_subject, std::back_inserter(pages));
    for (const uint64_t page : pages) {
      const size_t at = page * kPageSize;
      if (std::memcmp(&reference_.ram[at], &subject_.ram[at], kPageSize) != 0) {
        return fmt::format("RAM differs in page {}", page);
      }
      if (std::memcmp(&reference_.ram[at], &shadow_[at], kPageSize) == 0) continue;
      if (!std::ranges::binary_search(by_subject, page)) {
        return fmt::format("the subject wrote to page {} and did not mark it dirty", page);
      }
      std::memcpy(&shadow_[at], &reference_.ram[at], kPageSize);
    }
    return {};
  }

  Schedule schedule_;
  AuditGuest reference_;
  AuditGuest subject_;
  Bytes shadow_;  // RAM as of the last comparison of pages
  Bytes saved_[2];
  uint64_t stops_ = 0;
};

// --- Closing in ---

std::string next_instruction(const AuditGuest& guest) {
  const std::optional<uint32_t> bits = guest.next_instruction();
  return bits ? disassemble(decode(*bits)) : "cannot be fetched";
}

// Repeats the run up to the stop `stops`, which began in equal states.
class Search {
 public:
  Search(const AuditProgram& program, const AuditOptions& options)
      : program_(program), options_(options) {}

  // `stop`: the number of the stop at which a difference was seen.
  AuditDifference find(uint64_t stop, const std::string& what) {
    const uint64_t guilty = first_guilty(stop);
    const std::unique_ptr<Run> start = before(guilty);
    const Step from = start->step();
    uint64_t good = 0;
    uint64_t bad = 1;
    while (!differs_after(guilty, bad)) {
      if (bad > kLongestStop) return unrepeated(from, what);
      good = bad;
      bad *= 2;
    }
    while (bad - good > 1) {
      const uint64_t middle = good + (bad - good) / 2;
      (differs_after(guilty, middle) ? bad : good) = middle;
    }
    return describe(guilty, from, bad, what);
  }

 private:
  std::unique_ptr<Run> before(uint64_t stop) const {
    auto run = std::make_unique<Run>(program_, options_);
    while (run->stops() < stop) run->advance();
    return run;
  }

  // RAM is compared at some stops only: the first after which anything differs.
  uint64_t first_guilty(uint64_t stop) const {
    Run run(program_, options_);
    while (run.stops() < stop) {
      if (!run.advance().empty() || !run.compare_memory().empty()) return run.stops() - 1;
    }
    return stop - 1;
  }

  bool differs_after(uint64_t stop, uint64_t steps) const {
    const std::unique_ptr<Run> run = before(stop);
    return !run->advance(steps).empty() || !run->compare_memory().empty();
  }

  AuditDifference unrepeated(Step from, const std::string& what) const {
    return {from, fmt::format("seed {}: {}; at the stop that began at step {}, and only if it is "
                              "run whole\n",
                              options_.seed, what, from.value)};
  }

  AuditDifference describe(uint64_t stop, Step from, uint64_t steps, const std::string& what) {
    const std::unique_ptr<Run> traced = before(stop);
    AuditGuest& guest = traced->reference();
    std::vector<std::string> trace;
    const uint64_t skipped = steps - std::min<uint64_t>(steps, kTraceLength);
    while (guest.hart.step < from + skipped && !guest.hart.waiting) {
      guest.run_until(from + skipped);
    }
    while (guest.hart.step < from + steps && !guest.hart.waiting) {
      trace.push_back(fmt::format("  step {} {} pc {:#x}: {}\n", guest.hart.step.value,
                                  guest.hart.privilege == Privilege::kUser ? 'U' : 'S',
                                  guest.hart.pc, next_instruction(guest)));
      guest.run_until(guest.hart.step + 1);
    }
    const std::unique_ptr<Run> run = before(stop);
    const std::string seen = run->advance(steps);
    std::string report = fmt::format(
        "seed {}: {}\nequal at step {}, where the run began; equal after {} steps, different "
        "after {}{}\nthe last instructions, before any interrupt that was taken instead:\n",
        options_.seed, what, from.value, steps - 1, steps, seen.empty() ? "" : ": " + seen);
    for (const std::string& line : trace) report += line;
    report += list_differences(run->reference(), run->subject());
    return {from + steps, report};
  }

  const AuditProgram& program_;
  const AuditOptions& options_;
};

}  // namespace

AuditOutcome audit(const AuditProgram& program, const AuditOptions& options) {
  Run run(program, options);
  std::string difference;
  while (difference.empty() && run.step().value < options.steps) difference = run.advance();
  if (difference.empty()) difference = run.compare_memory();
  AuditOutcome outcome;
  outcome.steps = run.step().value;
  outcome.traps = run.reference().hart.traps;
  outcome.stops = run.stops();
  outcome.subject = run.subject().engine->statistics();
  if (!difference.empty()) {
    outcome.difference = Search(program, options).find(run.stops(), difference);
  }
  return outcome;
}

}  // namespace lockstep::riscv::testing
