// Output gate: holds the guest's output until the backup holds its causes.
//
// An output of the instruction at step S leaves only when the backup has acknowledged a frame of
// the log whose horizon is beyond S, so a backup that goes live can always reproduce what the
// outside world has already seen. An open gate (a solo VM) lets everything pass.
//
// On a backup the same gate holds what its own replay produced, until the primary reports that it
// has left, or until the backup goes live and opens the gate: then everything that is not known to
// have left leaves, so nothing is lost (who is outside drops repetitions by their offsets).
//
// Invariants
//   1. released <= acknowledged <= appended (positions of the log).
//   2. All three only grow.
//   3. Outputs leave in the order in which they arrived; their steps never decrease.
//   4. An output arrives before the frame whose horizon passes it (the caller's duty, checked).
//
// Bounds: full() says that more than max_held_bytes wait; the caller stops the vCPU. What the vCPU
// still produces until it has stopped is taken.
//
// Pure state: no I/O, no clock. Owner: the core. Units: bytes, steps, nanoseconds.
// Source: design §5. Checked by schedule_checker.h.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "base/types.h"
#include "replication/hold_times.h"
#include "replication/options.h"
#include "replication/output.h"

namespace lockstep::replication {

class OutputGate {
 public:
  // What an output without data counts for, so that empty ones are bounded, too.
  static constexpr uint64_t kOutputOverheadBytes = 64;

  OutputGate(uint64_t max_held_bytes, PlantedBug planted_bug);

  // The log has got one more frame, `position` = the one before + 1.
  void append(LogPosition position, Step horizon, uint64_t bytes);
  // The backup holds every frame up to `position`: acknowledged() <= position <= appended().
  void acknowledge(LogPosition position);
  void hold(Output output, HostTime now);
  // A backup: the primary has released every output of a step < `before`.
  void released_elsewhere(Step before);
  void drop_held();

  void open();     // solo: nobody has to acknowledge any more
  void close();    // a backup may go live from here on
  void suspend();  // closed, and acknowledgements do not count until resume() or open()
  void resume();

  // The outputs that may leave now, in order. They count as released.
  std::vector<Output> take_released(HostTime now);

  bool is_open() const { return open_; }
  LogPosition appended() const { return appended_; }
  LogPosition acknowledged() const { return acknowledged_; }
  LogPosition released() const { return released_; }
  Step appended_horizon() const { return appended_horizon_; }
  // Every output of a step before this one has left.
  Step released_before() const { return released_before_; }
  uint64_t unacknowledged_bytes() const { return unacknowledged_bytes_; }
  uint64_t held_bytes() const { return held_bytes_; }
  bool full() const { return held_bytes_ > max_held_bytes_; }
  bool below_half() const { return held_bytes_ <= max_held_bytes_ / 2; }
  const HoldTimes& hold_times() const { return hold_times_; }

  // A backup that has become live: frames up to `position` are behind it, the next one follows.
  void continue_log_after(LogPosition position, Step horizon);

 private:
  struct Frame {
    LogPosition position;
    Step horizon;
    uint64_t bytes = 0;
  };
  struct Held {
    Output output;
    HostTime since;
  };

  bool may_leave(const Output& output) const;
  bool known_released(Step step) const;
  void check_invariants() const;

  const uint64_t max_held_bytes_;
  const PlantedBug planted_bug_;
  bool open_ = false;
  bool suspended_ = false;
  LogPosition appended_;
  LogPosition acknowledged_;
  LogPosition released_;
  Step appended_horizon_;
  Step acknowledged_horizon_;
  Step released_before_;
  Step newest_output_;
  std::deque<Frame> unacknowledged_;  // bounded by max_unacknowledged_bytes (the core's)
  std::deque<Held> held_;
  uint64_t unacknowledged_bytes_ = 0;
  uint64_t held_bytes_ = 0;
  HoldTimes hold_times_;
};

}  // namespace lockstep::replication
