#include "riscv/testing/float_comparison.h"

#include <fmt/format.h>
#include <memory>
#include <random>

#include "riscv/testing/float_program.h"
#include "riscv/testing/test_guest.h"

namespace lockstep::riscv::testing {
namespace {

constexpr uint64_t kOneTickPerStep = uint64_t{1} << 32;
constexpr uint64_t kStepsOfPass = 10'000'000;  // more than any program takes
constexpr uint64_t kGuestPages = 40;

std::unique_ptr<TestGuest> make_guest(const FloatComparison& comparison,
                                      const EngineFactory& make_engine) {
  auto guest = std::make_unique<TestGuest>(kGuestPages, make_engine);
  guest->memory.write(kRamBase, float_program(comparison.program, kRamBase, comparison.passes));
  guest->hart.time.set_anchor(Step(0), GuestTicks(0),
                              kOneTickPerStep / (1 + comparison.program % 3));
  return guest;
}

// The names of the registers that differ: of a whole register file a report shows no more than the
// start.
std::string registers_that_differ(const Hart& left, const Hart& right) {
  std::string names;
  for (size_t i = 0; i < 32; ++i) {
    if (left.x[i] == right.x[i]) continue;
    names += fmt::format("; x{} = {:#x} against {:#x}", i, left.x[i], right.x[i]);
  }
  for (size_t i = 0; i < 32; ++i) {
    if (left.f[i] == right.f[i]) continue;
    names += fmt::format("; f{} = {:#x} against {:#x}", i, left.f[i], right.f[i]);
  }
  return names;
}

}  // namespace

std::string compare_on_floats(const FloatComparison& comparison, const EngineFactory& expected,
                              const EngineFactory& tested) {
  const auto reference = make_guest(comparison, expected);
  const auto subject = make_guest(comparison, tested);
  const uint64_t end = float_program_end(kRamBase).value;
  const Step last(kStepsOfPass * comparison.passes);
  std::mt19937_64 random(comparison.program);
  while (reference->hart.pc != end) {
    const Step from = reference->hart.step;
    if (from > last) return fmt::format("program {} does not end", comparison.program);
    const Step target = from + 1 + random() % comparison.longest_piece;
    const uint64_t pc = reference->hart.pc;
    reference->engine->run_until(target);
    subject->engine->run_until(target);
    const std::string difference = first_difference_of(*reference, *subject);
    if (!difference.empty()) {
      return fmt::format("program {}, between step {} (pc {:#x}) and step {} (pc {:#x}): {}{}",
                         comparison.program, from.value, pc, target.value, reference->hart.pc,
                         difference, registers_that_differ(reference->hart, subject->hart));
    }
  }
  return {};
}

}  // namespace lockstep::riscv::testing
