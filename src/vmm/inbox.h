// What other threads have for the vCPU thread: inputs of the machine, and orders.
//
// Threads only post; the vCPU thread takes, and applies inputs at a logged step.
//
// Thread-safe. Bounds: inputs of the network and console are bounded by the gateway's window, disk
// completions by what the devices let be in flight, orders by their senders.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <vector>

#include "base/types.h"
#include "log/entry.h"

namespace lockstep::vmm {

struct Orders {
  bool live = false;         // a backup: the replay is over, go on by itself
  bool stand_still = false;  // until it is false again
  uint64_t stops = 0;        // how often stand_still was given
  bool logging = true;       // false: nobody reads the log (solo)
  bool end = false;          // return
  uint32_t throttle_permille = 0;
};

class Inbox {
 public:
  void post(log::Payload input);

  // Changes the orders under the lock and wakes the vCPU thread.
  template <typename Change>
  void order(Change change) {
    {
      const std::lock_guard lock(mutex_);
      change(orders_);
      something_.store(true, std::memory_order_release);
    }
    changed_.notify_all();
  }

  // Cheap: something was posted or ordered since the last take().
  bool something() const { return something_.load(std::memory_order_acquire); }
  // All inputs, in the order in which they were posted, and the orders as they stand.
  Orders take(std::vector<log::Payload>& inputs);
  // Waits until something() or `deadline` (host monotonic time).
  void wait_until(HostTime deadline);
  void wait();
  // Waits until the orders are as wanted, or are to end. Inputs stay.
  template <typename Wanted>
  Orders wait_for(Wanted wanted) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return orders_.end || wanted(orders_); });
    return orders_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<log::Payload> inputs_;
  Orders orders_;
  std::atomic<bool> something_ = false;
};

}  // namespace lockstep::vmm
