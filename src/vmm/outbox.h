// What the vCPU thread has for the loop's thread: events of the protocol core, in the order of the
// machine's life.
//
// Thread-safe: one thread posts, one takes. `wake` is called on the posting thread when the box was
// empty before.
#pragma once

#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include "base/types.h"
#include "replication/events.h"

namespace lockstep::vmm {

// An event, and where the machine stood after it.
struct Notice {
  replication::Event event;
  Step step;
  GuestTicks ticks;
  uint64_t inputs_applied = 0;
};

class Outbox {
 public:
  explicit Outbox(std::function<void()> wake) : wake_(std::move(wake)) {}

  void post(std::vector<Notice> notices) {
    bool was_empty = false;
    {
      const std::lock_guard lock(mutex_);
      was_empty = notices_.empty();
      for (Notice& notice : notices) notices_.push_back(std::move(notice));
    }
    if (was_empty) wake_();
  }

  std::vector<Notice> take() {
    std::vector<Notice> taken;
    const std::lock_guard lock(mutex_);
    taken.swap(notices_);
    return taken;
  }

 private:
  const std::function<void()> wake_;
  std::mutex mutex_;
  std::vector<Notice> notices_;
};

}  // namespace lockstep::vmm
