// Drives a machine from a log: runs it to the step of each entry, applies the entry there, compares
// each digest, and stops at the first difference.
//
// Invariants
//   1. The machine runs to the step of an entry that was given, or to a limit below one: never past
//      the last horizon.
//   2. After a divergence or an error nothing is run or applied.
//
// Owner: the vCPU thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/types.h"
#include "log/entry.h"
#include "machine/machine.h"
#include "replay/divergence.h"
#include "replay/source.h"
#include "replay/target.h"

namespace lockstep::replay {

struct ReplayCounts {
  uint64_t steps = 0;
  std::array<uint64_t, log::kEntryKinds> entries{};  // applied, compared or reached, by kind
  uint64_t mismatches = 0;                           // 0 or 1: the first one ends the replay

  uint64_t of(log::EntryKind kind) const { return entries[static_cast<size_t>(kind)]; }
  uint64_t total() const;
};

enum class ReplayStop : uint8_t {
  kEnd,      // all entries are applied, the machine stands at the last horizon
  kStopped,  // the source was stopped
  kLimit,    // the machine stands at the limit
};

class Replayer {
 public:
  // Both outlive this. The machine is in the state that the log starts from.
  Replayer(EntrySource& source, ReplayTarget& target);

  // To the end of the log. kDiverged, from then on, when the machine does not follow it:
  // divergence() says how. Other errors are the source's or the target's, and stay, too.
  Result<ReplayStop> run() { return advance(std::nullopt); }
  // The same, but not past `limit`: stops before the entries at that step.
  Result<ReplayStop> run_until(Step limit) { return advance(limit); }

  const ReplayCounts& counts() const { return counts_; }
  const std::optional<Divergence>& divergence() const { return divergence_; }

 private:
  Result<ReplayStop> advance(std::optional<Step> limit);
  Status fetch();
  Status run_to(Step step);
  Status take();
  std::unexpected<Error> diverge(DivergenceKind kind, std::string reason = {});

  EntrySource& source_;
  ReplayTarget& target_;
  log::Entry entry_;  // the next to take, while has_entry_
  bool has_entry_ = false;
  SourceState source_state_ = SourceState::kEntry;
  uint64_t fetched_ = 0;
  Step last_good_step_;
  ReplayCounts counts_;
  std::optional<Divergence> divergence_;
  std::optional<Error> error_;
};

}  // namespace lockstep::replay
