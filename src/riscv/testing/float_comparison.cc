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

}  // namespace

std::string compare_on_floats(const FloatComparison& comparison, const EngineFactory& expected,
                              const EngineFactory& tested) {
  const auto right = make_guest(comparison, expected);
  const auto left = make_guest(comparison, tested);
  const uint64_t end = float_program_end(kRamBase).value;
  const Step last(kStepsOfPass * comparison.passes);
  std::mt19937_64 random(comparison.program);
  while (right->hart.pc != end) {
    const Step from = right->hart.step;
    if (from > last) return fmt::format("program {} does not end", comparison.program);
    const Step target = from + 1 + random() % comparison.longest_piece;
    const uint64_t pc = right->hart.pc;
    right->engine->run_until(target);
    left->engine->run_until(target);
    const std::string difference = first_difference_of(*right, *left);
    if (!difference.empty()) {
      return fmt::format("program {}, between step {} (pc {:#x}) and step {} (pc {:#x}): {}",
                         comparison.program, from.value, pc, target.value, right->hart.pc,
                         difference);
    }
  }
  return {};
}

}  // namespace lockstep::riscv::testing
