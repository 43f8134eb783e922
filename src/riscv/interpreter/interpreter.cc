#include "riscv/interpreter/interpreter.h"

#include "riscv/interpreter/context.h"

namespace lockstep::riscv {

Interpreter::Interpreter(Hart& hart, PhysicalMemory& memory, Bus& bus,
                         EnvironmentCalls& environment)
    : context_(std::make_unique<interpreter::Context>(hart, memory, bus, environment)) {
  memory.set_observer(context_.get());
}

Interpreter::~Interpreter() {
  context_->memory.set_observer(nullptr);
}

void Interpreter::run_until(Step target) {
  interpreter::Context& context = *context_;
  Hart& hart = context.hart;
  context.stop = false;
  context.select_bank();
  while (hart.step < target && !context.stop) {
    hart.wake_if_pending();
    if (hart.waiting) return;
    if (hart.take_interrupt()) {
      context.select_bank();
      continue;
    }
    context.limit = hart.timer_limit(target);
    context.left = context.limit - hart.step;
    context.execute();
    hart.step = context.limit - context.left;
    // Also when the target ends the run right behind a WFI: hart.h, invariant 3.
    hart.wake_if_pending();
    context.free_retired_pages();
  }
}

void Interpreter::request_stop() {
  context_->stop = true;
}

void Interpreter::flush() {
  context_->mmu.flush();
  context_->drop_all_code();
}

void Interpreter::watch_writes_again() {
  context_->mmu.drop_write_entries();
}

EngineStatistics Interpreter::statistics() const {
  EngineStatistics statistics;
  statistics.mmu = context_->mmu.statistics();
  return statistics;
}

std::unique_ptr<Engine> make_interpreter(Hart& hart, PhysicalMemory& memory, Bus& bus,
                                         EnvironmentCalls& environment) {
  return std::make_unique<Interpreter>(hart, memory, bus, environment);
}

}  // namespace lockstep::riscv
