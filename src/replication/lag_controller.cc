#include "replication/lag_controller.h"

#include <algorithm>
#include <utility>

namespace lockstep::replication {

bool LagController::update(HostTime now, uint64_t lag_ticks) {
  if (now < next_) return false;
  next_ = now + kPeriodMs * 1'000'000;
  const uint32_t before = throttle_permille_;
  if (lag_ticks > target_lag_ticks_) {
    throttle_permille_ = std::min(throttle_permille_ + kStepPermille, kMaxPermille);
  } else if (lag_ticks < target_lag_ticks_ / 2) {
    throttle_permille_ -= std::min(throttle_permille_, kStepPermille);
  }
  return throttle_permille_ != before;
}

bool LagController::reset() {
  return std::exchange(throttle_permille_, 0) != 0;
}

}  // namespace lockstep::replication
