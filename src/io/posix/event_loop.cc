#include "io/posix/event_loop.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <map>
#include <mutex>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/check.h"
#include "io/posix/fd.h"
#include "io/posix/host_clock.h"

namespace lockstep::posix {

struct EventLoop::Impl {
  Fd epoll{::epoll_create1(EPOLL_CLOEXEC)};
  Fd wake{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  // Shared, so that a callback that removes its own watch does not destroy itself while it runs.
  std::unordered_map<int, std::shared_ptr<WatchCallback>> watches;
  std::map<std::pair<HostTime, TimerId>, Callback> timers;
  std::unordered_map<TimerId, HostTime> timer_due;
  TimerId next_timer = 1;
  Callback before_wait;
  std::atomic<bool> stopped = false;
  std::mutex mutex;
  std::vector<Callback> posted;  // guarded by mutex

  void wake_up() const {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(wake.get(), &one, sizeof one);
  }

  void run_posted() {
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t got = ::read(wake.get(), &count, sizeof count);
    std::vector<Callback> ready;
    {
      const std::lock_guard lock(mutex);
      ready.swap(posted);
    }
    for (Callback& callback : ready) callback();
  }

  void run_due_timers() {
    const HostTime now = EventLoop::now();
    while (!timers.empty() && timers.begin()->first.first <= now) {
      auto node = timers.extract(timers.begin());
      timer_due.erase(node.key().second);
      node.mapped()();
    }
  }

  timespec time_to_next_timer() const {
    const HostTime now = EventLoop::now();
    const HostTime due = timers.begin()->first.first;
    const uint64_t left = due > now ? due - now : 0;
    return {static_cast<time_t>(left / 1'000'000'000), static_cast<long>(left % 1'000'000'000)};
  }
};

EventLoop::EventLoop() : impl_(std::make_unique<Impl>()) {
  CHECK(impl_->epoll.valid() && impl_->wake.valid());
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = impl_->wake.get();
  CHECK(::epoll_ctl(impl_->epoll.get(), EPOLL_CTL_ADD, impl_->wake.get(), &event) == 0);
}

EventLoop::~EventLoop() = default;

namespace {

uint32_t epoll_events(uint32_t interest) {
  uint32_t events = 0;
  if ((interest & EventLoop::kReadable) != 0) events |= EPOLLIN;
  if ((interest & EventLoop::kWritable) != 0) events |= EPOLLOUT;
  return events;
}

}  // namespace

void EventLoop::watch(int fd, uint32_t interest, WatchCallback callback) {
  epoll_event event{};
  event.events = epoll_events(interest);
  event.data.fd = fd;
  CHECK(impl_->watches.emplace(fd, std::make_shared<WatchCallback>(std::move(callback))).second);
  CHECK(::epoll_ctl(impl_->epoll.get(), EPOLL_CTL_ADD, fd, &event) == 0);
}

void EventLoop::set_interest(int fd, uint32_t interest) {
  epoll_event event{};
  event.events = epoll_events(interest);
  event.data.fd = fd;
  CHECK(::epoll_ctl(impl_->epoll.get(), EPOLL_CTL_MOD, fd, &event) == 0);
}

void EventLoop::unwatch(int fd) {
  CHECK(impl_->watches.erase(fd) == 1);
  ::epoll_ctl(impl_->epoll.get(), EPOLL_CTL_DEL, fd, nullptr);
}

EventLoop::TimerId EventLoop::at(HostTime when, Callback callback) {
  const TimerId id = impl_->next_timer++;
  impl_->timers.emplace(std::pair{when, id}, std::move(callback));
  impl_->timer_due.emplace(id, when);
  return id;
}

void EventLoop::cancel(TimerId timer) {
  const auto due = impl_->timer_due.find(timer);
  if (due == impl_->timer_due.end()) return;
  impl_->timers.erase({due->second, timer});
  impl_->timer_due.erase(due);
}

void EventLoop::before_wait(Callback callback) {
  impl_->before_wait = std::move(callback);
}

void EventLoop::post(Callback callback) {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->posted.push_back(std::move(callback));
  }
  impl_->wake_up();
}

void EventLoop::stop() {
  impl_->stopped = true;
  impl_->wake_up();
}

void EventLoop::run() {
  std::array<epoll_event, 32> events{};
  while (!impl_->stopped) {
    if (impl_->before_wait) impl_->before_wait();
    timespec timeout{};
    const bool timed = !impl_->timers.empty();
    if (timed) timeout = impl_->time_to_next_timer();
    const int count = ::epoll_pwait2(impl_->epoll.get(), events.data(), events.size(),
                                     timed ? &timeout : nullptr, nullptr);
    CHECK(count >= 0 || errno == EINTR);
    for (int i = 0; i < std::max(count, 0); ++i) {
      const epoll_event& event = events[static_cast<size_t>(i)];
      if (event.data.fd == impl_->wake.get()) {
        impl_->run_posted();
        continue;
      }
      const auto watch = impl_->watches.find(event.data.fd);
      if (watch == impl_->watches.end()) continue;  // removed by an earlier callback
      uint32_t readiness = 0;
      if ((event.events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0) readiness |= kReadable;
      if ((event.events & EPOLLOUT) != 0) readiness |= kWritable;
      const std::shared_ptr<WatchCallback> callback = watch->second;
      (*callback)(readiness);
    }
    impl_->run_due_timers();
  }
}

HostTime EventLoop::now() {
  return monotonic_now();
}

}  // namespace lockstep::posix
