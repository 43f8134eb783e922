// Failure detector: when silence of the peer is long enough to ask the arbiter.
//
// Everything that arrives counts as a sign of life. A wrong suspicion is safe (the arbiter
// decides), only costly; a late one is an outage.
//
// Rule
//   timeout = patience × clamp(kJitterFactor × worst gap lately, suspect_after,
//                              kMaxStretch × suspect_after)
// where "lately" is the current and the previous window of kWindowBeats beats: a channel that was
// seen to stutter is given more time, within a named bound, and so is one of which nothing is known
// yet: in its first window, when both sides have just started. The primary's patience is
// kPrimaryPatiencePermille, so that a cut link favours the side that is already live.
//
// A process that was itself stopped knows nothing of its peer: after a gap between its own calls
// of awake() of at least absence_ns() it first lets one beat pass, in which its pending input is
// read, and judges then.
//
// Pure state: no clock. Owner: the core. Units: nanoseconds, host time. Source: design §6.
#pragma once

#include <cstdint>

#include "base/types.h"

namespace lockstep::replication {

class FailureDetector {
 public:
  static constexpr uint64_t kJitterFactor = 2;
  static constexpr uint64_t kMaxStretch = 4;
  static constexpr uint64_t kUnknownStretch = 2;  // in the first window
  static constexpr uint64_t kWindowBeats = 100;
  static constexpr uint64_t kPrimaryPatiencePermille = 800;
  static constexpr uint64_t kBackupPatiencePermille = 1000;

  FailureDetector(uint64_t heartbeat_ms, uint64_t suspect_after_ms, uint64_t patience_permille);

  // The peer was just heard for the first time.
  void start(HostTime now);
  void heard(HostTime now);
  // Before anything else is done at `now`. True: this process was absent since the last call.
  bool awake(HostTime now);

  bool suspects(HostTime now) const;
  uint64_t silence_ns(HostTime now) const;
  uint64_t timeout_ns() const;
  // A gap between own calls from which on this process counts as having been absent.
  uint64_t absence_ns() const { return suspect_after_ns_ * patience_permille_ / 1000; }

 private:
  const uint64_t heartbeat_ns_;
  const uint64_t suspect_after_ns_;
  const uint64_t patience_permille_;
  HostTime last_heard_;
  HostTime last_awake_;
  HostTime window_start_;
  HostTime judge_from_;  // no verdict before
  uint64_t worst_gap_ns_ = 0;
  uint64_t previous_worst_gap_ns_ = 0;
  bool ever_awake_ = false;
};

}  // namespace lockstep::replication
