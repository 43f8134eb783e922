#include "tests/audit/programs.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fmt/format.h>

#include "jit/testing/chaos_options.h"
#include "jit/translator.h"
#include "riscv/testing/audit_program.h"
#include "riscv/testing/lockstep_audit.h"

namespace lockstep::audit {
namespace {

namespace guests = riscv::testing;

constexpr uint64_t kProgressEvery = 50;  // seeds

struct Totals {
  uint64_t programs = 0;
  uint64_t steps = 0;
  uint64_t stops = 0;
  uint64_t interpreted = 0;
  uint64_t differences = 0;
};

void audit_one(const char* kind, const guests::AuditProgram& program, uint64_t seed,
               const ProgramsOptions& options, Totals& totals) {
  const guests::AuditOutcome outcome = guests::audit(
      program, {.seed = seed,
                .steps = options.steps,
                .subject = jit::translator_factory(jit::testing::chaos_options(seed))});
  ++totals.programs;
  totals.steps += outcome.steps;
  totals.stops += outcome.stops;
  totals.interpreted += outcome.subject.interpreted_steps;
  if (!outcome.difference) return;
  ++totals.differences;
  fmt::print("{}repeat: lockstep-audit programs --kind {} --seeds {}:1 --steps {}\n\n",
             outcome.difference->report, kind, seed, options.steps);
  std::fflush(stdout);
}

}  // namespace

int audit_programs(const ProgramsOptions& options) {
  Totals totals;
  const auto start = std::chrono::steady_clock::now();
  for (uint64_t i = 0; i < options.seeds; ++i) {
    const uint64_t seed = options.first_seed + i;
    if (options.kind != "cold") {
      audit_one("hot", guests::hot_program(seed), seed, options, totals);
    }
    if (options.kind != "hot") {
      audit_one("cold", guests::cold_program(seed), seed, options, totals);
    }
    if (options.stop_at_first && totals.differences != 0) break;
    if ((i + 1) % kProgressEvery == 0) {
      fmt::print(stderr, "{} seeds, {} steps, {} differences\n", i + 1, totals.steps,
                 totals.differences);
    }
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  fmt::print(
      "{} programs, {} steps ({} % of them translated), {} stops, {} differences, {:.1f} s\n",
      totals.programs, totals.steps,
      100 - 100 * std::min(totals.interpreted, totals.steps) / std::max<uint64_t>(totals.steps, 1),
      totals.stops, totals.differences, seconds.count());
  return totals.differences == 0 ? 0 : 1;
}

}  // namespace lockstep::audit
