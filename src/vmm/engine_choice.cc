#include "vmm/engine_choice.h"

#include "config/engines.h"

namespace lockstep::vmm {

static_assert(config::kMinCodeCacheBytes >= jit::kMinCodeCacheBytes);

machine::EngineChoice engine_choice(config::Engine engine) {
  machine::EngineChoice choice;
  choice.kind = engine == config::Engine::kInterpreter ? machine::EngineKind::kInterpreter
                                                       : machine::EngineKind::kTranslator;
  return choice;
}

machine::EngineChoice engine_choice(const config::VmConfig& config, config::Node node) {
  machine::EngineChoice choice = engine_choice(config::engine_of(config, node));
  choice.translator.code_cache_bytes = config.code_cache;
  return choice;
}

config::Engine engine_of(const machine::EngineReport& report) {
  return report.kind == machine::EngineKind::kInterpreter ? config::Engine::kInterpreter
                                                          : config::Engine::kJit;
}

api::EngineStatus engine_status(const machine::EngineReport& report) {
  const riscv::EngineStatistics& counted = report.statistics;
  return {.name = std::string(to_string(engine_of(report))),
          .steps_per_second = 0,
          .walks = counted.mmu.walks,
          .superblocks = counted.superblocks,
          .instructions = counted.instructions,
          .code_bytes = counted.code_bytes,
          .invalidated = counted.invalidated,
          .evicted = counted.evicted,
          .interpreted_steps = counted.interpreted_steps,
          .data_misses = counted.data_misses,
          .fetch_misses = counted.fetch_misses,
          .cold_exits = counted.cold_exits,
          .budget_exits = counted.budget_exits,
          .step_exits = counted.step_exits,
          .leave_exits = counted.leave_exits,
          .single_steps = counted.single_steps};
}

}  // namespace lockstep::vmm
