#include "replication/failure_detector.h"

#include <algorithm>

#include "base/check.h"

namespace lockstep::replication {

namespace {
constexpr uint64_t kNsPerMs = 1'000'000;
}

FailureDetector::FailureDetector(uint64_t heartbeat_ms, uint64_t suspect_after_ms,
                                 uint64_t patience_permille)
    : heartbeat_ns_(heartbeat_ms * kNsPerMs),
      suspect_after_ns_(suspect_after_ms * kNsPerMs),
      patience_permille_(patience_permille) {
  CHECK(heartbeat_ms > 0 && suspect_after_ms > heartbeat_ms);
}

void FailureDetector::start(HostTime now) {
  last_heard_ = now;
  window_start_ = now;
  worst_gap_ns_ = 0;
  previous_worst_gap_ns_ = kUnknownStretch * suspect_after_ns_ / kJitterFactor;
}

void FailureDetector::heard(HostTime now) {
  // A gap of one's own making says nothing of the channel.
  const bool own_gap = judge_from_ > last_heard_;
  if (!own_gap && now > last_heard_) worst_gap_ns_ = std::max(worst_gap_ns_, now - last_heard_);
  last_heard_ = std::max(last_heard_, now);
  if (now > window_start_ && now - window_start_ >= kWindowBeats * heartbeat_ns_) {
    previous_worst_gap_ns_ = worst_gap_ns_;
    worst_gap_ns_ = 0;
    window_start_ = now;
  }
}

bool FailureDetector::awake(HostTime now) {
  const bool absent = ever_awake_ && now > last_awake_ && now - last_awake_ >= absence_ns();
  ever_awake_ = true;
  last_awake_ = std::max(last_awake_, now);
  if (absent) judge_from_ = now + heartbeat_ns_;
  return absent;
}

bool FailureDetector::suspects(HostTime now) const {
  return now >= judge_from_ && silence_ns(now) >= timeout_ns();
}

uint64_t FailureDetector::silence_ns(HostTime now) const {
  return now > last_heard_ ? now - last_heard_ : 0;
}

uint64_t FailureDetector::timeout_ns() const {
  const uint64_t jitter = kJitterFactor * std::max(worst_gap_ns_, previous_worst_gap_ns_);
  const uint64_t base = std::clamp(jitter, suspect_after_ns_, kMaxStretch * suspect_after_ns_);
  return base * patience_permille_ / 1000;
}

}  // namespace lockstep::replication
