// The interpreter: the engine for cold code, the oracle, and the exact stepper.
//
// Owner: the vCPU thread.
#pragma once

#include <memory>

#include "riscv/engine.h"

namespace lockstep::riscv {

namespace interpreter {
struct Context;
}

class Interpreter final : public Engine {
 public:
  Interpreter(Hart& hart, PhysicalMemory& memory, Bus& bus, EnvironmentCalls& environment);
  ~Interpreter() override;

  void run_until(Step target) override;
  void request_stop() override;
  void flush() override;
  void watch_writes_again() override;
  EngineStatistics statistics() const override;

 private:
  std::unique_ptr<interpreter::Context> context_;
};

std::unique_ptr<Engine> make_interpreter(Hart& hart, PhysicalMemory& memory, Bus& bus,
                                         EnvironmentCalls& environment);

}  // namespace lockstep::riscv
