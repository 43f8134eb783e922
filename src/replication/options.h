// What a core is told about its VM, its node and its limits, once, at construction.
//
// Units are in the names. Owner: none (values).
#pragma once

#include <cstdint>
#include <string>

#include "base/hash.h"

namespace lockstep::replication {

// Bugs that a test switches on to see that the schedule checker catches them: one per rule of
// design §6 (R1 to R5), and the classic ways to break the Output Rule. A product never sets one.
enum class PlantedBug : uint8_t {
  kNone,
  kSoloWithoutArbiter,         // R1: the primary opens its gate without having won
  kGoLiveWithoutArbiter,       // R1: the backup goes live without having won
  kLoserGoesOn,                // R2: who loses goes on all the same
  kUnreachableCountsAsWon,     // R3: no answer is taken for a yes
  kFailedProtectionOpensGate,  // R4: a backup lost before its first word is not asked about
  kReleaseAfterAbsence,        // R5: a process that was stopped trusts acknowledgements of before
  kReleaseOnAppend,            // the gate does not wait for the backup
  kReleaseAtHorizon,           // the gate is off by one step
  kGoLiveBeforeDrained,        // the backup leaves a part of the log unexecuted
  kDropHeldAtGoLive,           // the backup forgets what nobody has released
  kForgetBeyondReport,         // the backup forgets one step more than the primary released
  kPowerOffLooksLikeFailure,   // the backup does not see the power-off in the log
  kPowerOffBeforeAcknowledgement  // the primary ends before the backup knows
};

struct Options {
  std::string vm;
  std::string node;
  Hash128 machine_fingerprint;  // what makes two machines the same: board, memory, images
  std::string build_version;

  uint64_t start_wait_ms = 10'000;  // how long a primary waits for its backup before it starts
  uint64_t heartbeat_ms = 10;       // also the longest time between two Tick events
  uint64_t suspect_after_ms = 100;  // of silence
  uint64_t solo_absence_ms =
      5'000;  // a solo VM that did not run for so long asks the arbiter again

  uint64_t guest_ticks_per_ms = 10'000;
  uint64_t target_lag_ms = 200;  // beyond it the primary is slowed
  uint64_t max_unacknowledged_bytes = uint64_t{64} << 20;
  uint64_t max_backup_buffer_bytes = uint64_t{256} << 20;  // held by the backup, not yet executed
  uint64_t max_held_bytes = uint64_t{32} << 20;            // outputs in the gate

  PlantedBug planted_bug = PlantedBug::kNone;
};

}  // namespace lockstep::replication
