// Keeps guest time close to the host's clock by choosing anchors (design §3).
//
// Guest time is a line over steps; this chooses its slope from the speed at which steps were lately
// made, bent a little so that an error is gone within kSlewNs. Time that is far behind jumps
// forward; time that is ahead waits by running slower. It never goes back.
//
// Pure: host times are passed in. Owner: the vCPU thread of a live replica.
#pragma once

#include <cstdint>
#include <optional>

#include "base/types.h"

namespace lockstep::vmm {

class Timekeeper {
 public:
  static constexpr uint64_t kAnchorIntervalNs = 5'000'000;
  static constexpr uint64_t kSlewNs = 50'000'000;
  static constexpr uint64_t kJumpNs = 200'000'000;

  struct Anchor {
    GuestTicks ticks;
    uint64_t rate_q32 = 0;
  };

  // From here on `ticks` is what the host's clock shows at `now`. `rate_q32`: the slope in force.
  void start(HostTime now, GuestTicks ticks, uint64_t rate_q32);

  // The machine made `steps` steps in `ns` of host time.
  void ran(uint64_t steps, uint64_t ns);

  // A new anchor when one is due. `guest`: guest time at the machine's step.
  std::optional<Anchor> anchor_when_due(HostTime now, GuestTicks guest);

  // The end of an idle wait.
  Anchor warp(HostTime now, GuestTicks guest);

  // When the host's clock will show `ticks`.
  HostTime host_time_of(GuestTicks ticks) const;
  GuestTicks wanted(HostTime now) const;

 private:
  uint64_t speed_q32() const;  // ticks per step at the measured speed

  HostTime origin_;  // where the host's clock shows guest time 0; may lie before its start
  uint64_t origin_ticks_ = 0;
  HostTime last_anchor_;
  uint64_t rate_q32_ = 0;
  // Exponentially forgetting sums.
  double steps_ = 0;
  double ns_ = 0;
};

}  // namespace lockstep::vmm
