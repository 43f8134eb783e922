// A recording replayed on both engines side by side, compared as they go.
//
// Owner: the main thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace lockstep::audit {

struct BootOptions {
  std::string recording;               // by `lockstep record`
  uint64_t every = 1'000'000;          // steps between two comparisons
  std::optional<uint64_t> chaos_seed;  // of the translator's options; the default ones if none
};

// Prints progress to standard error and a report to standard output: steps, digests, mismatches; at
// a mismatch the first step that makes one, and what differs there. The exit code: 0 no difference,
// 1 a difference, 2 the recording cannot be replayed.
int audit_boot(const BootOptions& options);

}  // namespace lockstep::audit
