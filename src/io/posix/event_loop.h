// A loop around epoll: descriptors that become ready, timers, and calls posted from other threads.
//
// Owner: the thread that calls run(). Only post() and stop() may be called from other threads.
// Callbacks run on the owner, one at a time; a callback may add and remove watches, its own too.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/types.h"

namespace lockstep::posix {

class EventLoop {
 public:
  enum Readiness : uint32_t { kReadable = 1, kWritable = 2 };
  using WatchCallback = std::function<void(uint32_t readiness)>;
  using Callback = std::function<void()>;
  using TimerId = uint64_t;

  EventLoop();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // One watch per descriptor. An error or hang-up counts as readable. The descriptor stays open
  // until unwatch().
  void watch(int fd, uint32_t interest, WatchCallback callback);
  void set_interest(int fd, uint32_t interest);
  void unwatch(int fd);

  // Runs `callback` once, at or after `when` (host monotonic time).
  TimerId at(HostTime when, Callback callback);
  void cancel(TimerId timer);

  // Runs `callback` on every round of the loop, after the ready descriptors and the due timers,
  // just before it waits again: the place for what a round has gathered to leave in one piece. One
  // per loop; an empty one removes it.
  void before_wait(Callback callback);

  void post(Callback callback);  // any thread
  void stop();                   // any thread: run() returns
  void run();

  static HostTime now();  // CLOCK_MONOTONIC

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lockstep::posix
