#include "vmm/timekeeper.h"

#include <algorithm>

#include "riscv/guest_time.h"

namespace lockstep::vmm {
namespace {

constexpr double kQ32 = 4294967296.0;
constexpr double kForget = 0.9;            // per measurement of at least kMeasureNs
constexpr double kMeasureNs = 20'000'000;  // the memory of the speed, host time
// A longer run says that the host stood still or the process was stopped, not how fast it steps.
constexpr double kLongestRunNs = kMeasureNs;
constexpr double kMaxBend = 0.5;  // of the slope, either way
constexpr double kNsPerTick = riscv::kNanosecondsPerTick;

}  // namespace

void Timekeeper::start(HostTime now, GuestTicks ticks, uint64_t rate_q32) {
  origin_ = now;
  origin_ticks_ = ticks.value;
  last_anchor_ = now;
  rate_q32_ = rate_q32;
  steps_ = 0;
  ns_ = 0;
}

void Timekeeper::ran(uint64_t steps, uint64_t ns) {
  if (ns_ > kMeasureNs) {
    steps_ *= kForget;
    ns_ *= kForget;
  }
  steps_ += static_cast<double>(steps);
  ns_ += std::min(static_cast<double>(ns), kLongestRunNs);
}

uint64_t Timekeeper::speed_q32() const {
  if (steps_ < 1 || ns_ < 1) return rate_q32_;
  const double speed = ns_ / kNsPerTick / steps_ * kQ32;
  return static_cast<uint64_t>(std::min(speed, static_cast<double>(riscv::kMaxRateQ32)));
}

GuestTicks Timekeeper::wanted(HostTime now) const {
  return GuestTicks(origin_ticks_ + (now - origin_) / riscv::kNanosecondsPerTick);
}

HostTime Timekeeper::host_time_of(GuestTicks ticks) const {
  if (ticks.value <= origin_ticks_) return origin_;
  const uint64_t passed = ticks.value - origin_ticks_;
  constexpr uint64_t kFar = uint64_t{1} << 56;  // beyond any wait, below any overflow
  if (passed > kFar / riscv::kNanosecondsPerTick) return origin_ + kFar;
  return origin_ + passed * riscv::kNanosecondsPerTick;
}

std::optional<Timekeeper::Anchor> Timekeeper::anchor_when_due(HostTime now, GuestTicks guest) {
  if (now - last_anchor_ < kAnchorIntervalNs) return std::nullopt;
  last_anchor_ = now;
  const GuestTicks target = wanted(now);
  const bool far_behind = target > guest && target - guest > kJumpNs / riscv::kNanosecondsPerTick;
  const GuestTicks ticks = far_behind ? target : guest;
  const double error = static_cast<double>(target.value) - static_cast<double>(ticks.value);
  const double bend = std::clamp(error * kNsPerTick / kSlewNs, -kMaxBend, kMaxBend);
  const double rate = static_cast<double>(speed_q32()) * (1.0 + bend);
  rate_q32_ = std::clamp(static_cast<uint64_t>(rate), riscv::kMinRateQ32, riscv::kMaxRateQ32);
  return Anchor{ticks, rate_q32_};
}

Timekeeper::Anchor Timekeeper::warp(HostTime now, GuestTicks guest) {
  last_anchor_ = now;
  rate_q32_ = std::clamp(speed_q32(), riscv::kMinRateQ32, riscv::kMaxRateQ32);
  return {std::max(wanted(now), guest), rate_q32_};
}

}  // namespace lockstep::vmm
