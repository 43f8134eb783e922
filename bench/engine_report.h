// What bench-engine found: for each row the seconds of each side, their ratio, and the geometric
// mean.
//
// A row's seconds are those of the host: the least of the rounds, since what else the host did can
// only have added to them. The ratio is QEMU's seconds over ours: more is better.
//
// JSON: {"rows": [{"name", "ours_seconds", "qemu_seconds", "native_seconds", "ratio",
// "ours_guest_seconds", "qemu_guest_seconds", "ours_cpu_seconds", "qemu_cpu_seconds", "ours_runs",
// "qemu_runs", "native_runs", "error"}], "geometric_mean", "slowest_row", "memory_overhead_mib",
// "memory_budget_mib", "qemu_memory_overhead_mib", "qemu_version", "engine", "guest_memory_mib",
// "rounds"}. What was not measured is null.
//
// Owner: the main thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "timing.h"

namespace lockstep::bench {

// What our process may need besides the guest's RAM.
inline constexpr uint64_t kMemoryBudgetBytes = uint64_t{200} << 20;

struct RowResult {
  std::string name;
  // One per round; empty: not measured.
  std::vector<Timing> ours;
  std::vector<Timing> qemu;
  std::vector<double> native_seconds;
  std::string error;  // why the row is not complete, or its results are not to be believed

  std::optional<double> ratio() const;  // none with an error
};

// The run with the least host_seconds. Requires: not empty.
const Timing& best(const std::vector<Timing>& runs);

// Of values above 0; nothing of nothing.
std::optional<double> geometric_mean(const std::vector<double>& values);

struct EngineReport {
  std::vector<RowResult> rows;
  std::string engine;
  std::string qemu_version;
  uint64_t guest_memory_bytes = 0;
  unsigned rounds = 0;
  // The most that was seen after a row.
  std::optional<uint64_t> our_memory_bytes;
  std::optional<uint64_t> qemu_memory_bytes;

  std::optional<double> mean_ratio() const;
  // The row with the least ratio.
  const RowResult* slowest() const;
  std::string table() const;
  std::string json() const;
  // kUnavailable when a row has an error: the exit code must say so.
  Status complete() const;
};

}  // namespace lockstep::bench
