// Lag controller: slows the primary by a few percent while the backup is behind.
//
// A slow loop: once per kPeriodMs the throttle moves by one kStepPermille, up while the lag is
// beyond the target, down while it is below half of it, and stays in between. At most
// kMaxPermille: beyond that only bounded buffers help. Units: guest ticks, ms, permille of speed.
// Owner: the core. Source: design §4.
#pragma once

#include <cstdint>

#include "base/types.h"

namespace lockstep::replication {

class LagController {
 public:
  static constexpr uint64_t kPeriodMs = 50;
  static constexpr uint32_t kStepPermille = 5;
  static constexpr uint32_t kMaxPermille = 50;

  explicit LagController(uint64_t target_lag_ticks) : target_lag_ticks_(target_lag_ticks) {}

  // True when the throttle has changed. Call at every tick.
  bool update(HostTime now, uint64_t lag_ticks);
  // True when it was not 0 already.
  bool reset();
  uint32_t throttle_permille() const { return throttle_permille_; }

 private:
  const uint64_t target_lag_ticks_;
  uint32_t throttle_permille_ = 0;
  HostTime next_;
};

}  // namespace lockstep::replication
