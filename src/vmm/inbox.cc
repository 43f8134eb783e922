#include "vmm/inbox.h"

#include <chrono>
#include <utility>

namespace lockstep::vmm {

void Inbox::post(log::Payload input) {
  {
    const std::lock_guard lock(mutex_);
    inputs_.push_back(std::move(input));
    something_.store(true, std::memory_order_release);
  }
  changed_.notify_all();
}

Orders Inbox::take(std::vector<log::Payload>& inputs) {
  inputs.clear();
  const std::lock_guard lock(mutex_);
  inputs.swap(inputs_);
  something_.store(false, std::memory_order_release);
  return orders_;
}

void Inbox::wait_until(HostTime deadline) {
  // steady_clock is CLOCK_MONOTONIC, the clock of HostTime.
  const std::chrono::steady_clock::time_point until{
      std::chrono::nanoseconds(static_cast<int64_t>(deadline.value))};
  std::unique_lock lock(mutex_);
  changed_.wait_until(lock, until, [this] { return something(); });
}

void Inbox::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return something(); });
}

}  // namespace lockstep::vmm
