// The lockstep audit: one random guest on two engines, compared at random steps.
//
// The interpreter, the reference, and a subject run the same program and get the same inputs at the
// same steps: wires, new time anchors, writes to RAM by a device. At each stop every register, CSR
// and device value is compared; at some of them every page that either engine reports as written;
// at the end all RAM. The subject is also flushed, and stopped in between, at random. On a
// difference the audit repeats the run and closes in on the first step that makes one.
//
// Deterministic: a function of program, seed and engines. Owner: the test.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "riscv/engine.h"
#include "riscv/testing/audit_guest.h"

namespace lockstep::riscv::testing {

struct AuditOptions {
  uint64_t seed = 0;
  uint64_t steps = 0;
  EngineFactory subject;
};

struct AuditDifference {
  // The first step after which the two differ, started from equal states.
  Step step;
  // For people: where, the instructions that led there, the registers that differ.
  std::string report;
};

struct AuditOutcome {
  uint64_t steps = 0;
  uint64_t traps = 0;
  uint64_t stops = 0;
  EngineStatistics subject;
  std::optional<AuditDifference> difference;
};

AuditOutcome audit(const AuditProgram& program, const AuditOptions& options);

}  // namespace lockstep::riscv::testing
