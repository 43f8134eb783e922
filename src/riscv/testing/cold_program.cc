#include "riscv/testing/audit_program.h"
#include "riscv/testing/random_program.h"

namespace lockstep::riscv::testing {

AuditProgram cold_program(uint64_t seed) {
  return {random_program(seed, kAuditRam, ProgramDevices::kBoard),
          {{kRandomProgramTables, 2, 8}, {kRandomProgramCode, 8, 4}, {kRandomProgramData, 8, 1}},
          kAllExtensions};
}

}  // namespace lockstep::riscv::testing
