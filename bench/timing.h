// How long one run took, by three clocks. Owner: none (values).
#pragma once

namespace lockstep::bench {

struct Timing {
  double host_seconds = 0;   // as somebody beside the guest sees it
  double guest_seconds = 0;  // by the guest's clock
  double cpu_seconds = 0;    // processor time of the engine's process meanwhile
};

}  // namespace lockstep::bench
