// Guest time: a piecewise-linear function of steps (design §3).
//
//   ticks(step) = anchor_ticks + ((step - anchor_step) * rate_q32) >> 32
//
// Reading it costs no log entry; only a new anchor does. Guest time never goes backwards: an anchor
// that would take it back is a bug of whoever made it.
//
// Units: ticks of 100 ns (the timebase-frequency of the device tree is 10 MHz).
// Owner: the vCPU thread. Source: RISC-V privileged specification, Sstc and Zicntr.
#pragma once

#include <cstdint>

#include "base/check.h"
#include "base/state_visitor.h"
#include "base/types.h"

namespace lockstep::riscv {

inline constexpr uint64_t kTicksPerSecond = 10'000'000;
inline constexpr uint64_t kNanosecondsPerTick = 1'000'000'000 / kTicksPerSecond;
// 32 fractional bits of ticks per step. One tick per step (a 10 MIPS guest) is 1 << 32.
inline constexpr uint64_t kMinRateQ32 = 1;
inline constexpr uint64_t kMaxRateQ32 = uint64_t{1} << 38;

class GuestTime {
 public:
  GuestTicks at(Step step) const {
    __extension__ using Wide = unsigned __int128;
    const Wide passed = static_cast<Wide>(step - anchor_step_) * rate_q32_;
    return anchor_ticks_ + static_cast<uint64_t>(passed >> 32);
  }

  // The first step at or after the anchor at which at(step) >= ticks; saturates.
  Step first_step_at(GuestTicks ticks) const {
    __extension__ using Wide = unsigned __int128;
    if (ticks <= anchor_ticks_) return anchor_step_;
    const Wide wanted = static_cast<Wide>(ticks - anchor_ticks_) << 32;
    const Wide steps = (wanted + rate_q32_ - 1) / rate_q32_;
    if (steps > ~uint64_t{0} - anchor_step_.value) return Step(~uint64_t{0});
    return anchor_step_ + static_cast<uint64_t>(steps);
  }

  // at(step) >= ticks, without a division, and also where at() would not fit 64 bits.
  bool has_reached(GuestTicks ticks, Step step) const {
    __extension__ using Wide = unsigned __int128;
    if (ticks <= anchor_ticks_) return true;
    const Wide passed = static_cast<Wide>(step - anchor_step_) * rate_q32_;
    return (passed >> 32) >= ticks - anchor_ticks_;
  }

  void set_anchor(Step step, GuestTicks ticks, uint64_t rate_q32) {
    CHECK(step >= anchor_step_ && ticks >= at(step));
    CHECK(rate_q32 >= kMinRateQ32 && rate_q32 <= kMaxRateQ32);
    anchor_step_ = step;
    anchor_ticks_ = ticks;
    rate_q32_ = rate_q32;
  }

  uint64_t rate_q32() const { return rate_q32_; }

  void visit_state(StateVisitor& visitor) {
    visitor.field("anchor_step", anchor_step_);
    visitor.field("anchor_ticks", anchor_ticks_);
    visitor.field("rate_q32", rate_q32_);
  }

 private:
  Step anchor_step_;
  GuestTicks anchor_ticks_;
  uint64_t rate_q32_ = (uint64_t{1} << 32) / 20;  // 200 million steps a second
};

}  // namespace lockstep::riscv
