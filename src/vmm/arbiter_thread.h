// Asks an arbiter on a thread of its own, since its calls may block (a hung file server, say).
//
// Owner: the loop's thread; answers come back on it.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "io/arbiter.h"
#include "io/posix/event_loop.h"

namespace lockstep::vmm {

class ArbiterThread {
 public:
  using Answer = std::function<void(io::AcquireResult)>;

  // `answer` is called on the loop, once per acquire(), in their order.
  ArbiterThread(posix::EventLoop& loop, std::unique_ptr<io::Arbiter> arbiter, std::string vm,
                std::string node, Answer answer);
  // Waits for a call under way.
  ~ArbiterThread();

  void acquire(Epoch from);

 private:
  void run();

  posix::EventLoop& loop_;
  std::unique_ptr<io::Arbiter> arbiter_;
  const std::string vm_;
  const std::string node_;
  const Answer answer_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Epoch> questions_;  // at most one: the core waits for each answer
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace lockstep::vmm
