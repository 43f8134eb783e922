// Random guests on the interpreter and the translator. Owner: the main thread.
#pragma once

#include <cstdint>
#include <string>

namespace lockstep::audit {

struct ProgramsOptions {
  std::string kind = "both";  // hot, cold, both
  uint64_t first_seed = 0;
  uint64_t seeds = 100;
  uint64_t steps = 1'000'000;  // of each guest
  bool stop_at_first = false;
};

// Prints each difference, progress to standard error, and a final line. The exit code: 0 no
// difference, 1 a difference.
int audit_programs(const ProgramsOptions& options);

}  // namespace lockstep::audit
