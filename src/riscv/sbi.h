// The supervisor binary interface, version 2.0: what a guest's ecall from S-mode reaches.
//
// Extensions: BASE, TIME, IPI, RFENCE, HSM, SRST, DBCN. One hart, number 0. The remote fences have
// nothing to do, since TLB and code cache are coherent.
//
// Deterministic: a function of the hart and of guest memory. What leaves the machine goes to
// SbiHost.
//
// Owner: the vCPU thread. Source: RISC-V SBI specification 2.0, chapters 4 to 10 and 12.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "riscv/environment.h"
#include "riscv/hart.h"
#include "riscv/physical_memory.h"

namespace lockstep::riscv {

enum class SbiReset : uint8_t { kShutdown, kReboot, kFailure };

// Called during the ecall; an implementation only notes and returns.
class SbiHost {
 public:
  virtual ~SbiHost() = default;
  virtual void debug_console_write(ByteView bytes) = 0;
  // The hart retires the ecall and runs no further.
  virtual void system_reset(SbiReset reset) = 0;
};

class Sbi final : public EnvironmentCalls {
 public:
  // A guest writes at most this much by one call; the result says how much was written.
  static constexpr uint64_t kMaxConsoleWrite = 4096;

  Sbi(const PhysicalMemory& memory, SbiHost& host) : memory_(memory), host_(host) {}

  void call(Hart& hart) override;

 private:
  // SBI 2.0 §3: standard error codes.
  enum class Code : int64_t {
    kSuccess = 0,
    kFailed = -1,
    kNotSupported = -2,
    kInvalidParameter = -3,
    kDenied = -4,
    kInvalidAddress = -5,
    kAlreadyAvailable = -6,
  };
  struct Answer {
    Code code = Code::kSuccess;
    uint64_t value = 0;
  };

  Answer base(uint64_t function, uint64_t argument) const;
  Answer inter_processor_interrupt(Hart& hart, uint64_t function) const;
  Answer hart_state(Hart& hart, uint64_t function) const;
  Answer system_reset(uint64_t type, uint64_t reason);
  Answer debug_console(const Hart& hart, uint64_t function);

  const PhysicalMemory& memory_;
  SbiHost& host_;
};

}  // namespace lockstep::riscv
