// What an ecall from S-mode reaches: the supervisor execution environment (SBI).
// Owner: the vCPU thread.
#pragma once

namespace lockstep::riscv {

struct Hart;

class EnvironmentCalls {
 public:
  virtual ~EnvironmentCalls() = default;
  // Arguments in a0..a7, results in a0 and a1; hart.step is that of the ecall.
  virtual void call(Hart& hart) = 0;
};

}  // namespace lockstep::riscv
