#include "io/posix/poll_set.h"

#include <array>
#include <cerrno>
#include <sys/epoll.h>

#include "base/check.h"

namespace lockstep::posix {
namespace {

constexpr size_t kEventsPerCall = 64;

constexpr std::array<std::pair<uint32_t, uint32_t>, 5> kEventNames = {{
    {PollSet::kIn, EPOLLIN},
    {PollSet::kOut, EPOLLOUT},
    {PollSet::kPriority, EPOLLPRI},
    {PollSet::kError, EPOLLERR},
    {PollSet::kHangUp, EPOLLHUP},
}};

uint32_t to_epoll(uint32_t events) {
  uint32_t result = 0;
  for (const auto& [ours, epolls] : kEventNames) result |= (events & ours) != 0 ? epolls : 0;
  return result;
}

uint32_t from_epoll(uint32_t events) {
  uint32_t result = 0;
  for (const auto& [ours, epolls] : kEventNames) result |= (events & epolls) != 0 ? ours : 0;
  return result;
}

}  // namespace

PollSet::PollSet() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  CHECK(epoll_.valid());
}

void PollSet::begin() {
  ++round_;
  listed_.clear();
}

size_t PollSet::add(int fd, uint32_t events) {
  CHECK(fd >= 0);
  const auto place = static_cast<size_t>(fd);
  if (place >= known_.size()) known_.resize(place + 1);
  Known& known = known_[place];
  known.listed = round_;
  known.index = listed_.size();
  listed_.push_back({fd, 0});
  if (known.events != events) tell_kernel(fd, known, events);
  return known.index;
}

void PollSet::end() {
  std::erase_if(registered_, [this](int fd) {
    Known& known = known_[static_cast<size_t>(fd)];
    if (known.events != 0 && known.listed != round_) tell_kernel(fd, known, 0);
    return known.events == 0;
  });
}

void PollSet::forget(int fd) {
  CHECK(fd >= 0);
  if (static_cast<size_t>(fd) >= known_.size()) return;
  Known& known = known_[static_cast<size_t>(fd)];
  // Fails when the file is closed already: then the kernel has dropped it itself.
  if (known.events != 0) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  known.events = 0;
  known.listed = 0;
}

void PollSet::tell_kernel(int fd, Known& known, uint32_t events) {
  epoll_event event{};
  event.events = to_epoll(events);
  event.data.fd = fd;
  if (events == 0) {
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  } else if (known.events == 0) {
    const bool again = ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0;
    if (again) CHECK(errno == EEXIST && ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) == 0);
    registered_.push_back(fd);
  } else if (::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) != 0) {
    // The number was closed and opened again without forget().
    CHECK(errno == ENOENT && ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0);
  }
  known.events = events;
}

void PollSet::collect() {
  for (Listed& listed : listed_) listed.ready = 0;
  std::array<epoll_event, kEventsPerCall> events{};
  // Level-triggered, so what one call has no space for is there at the next round.
  const int count = ::epoll_wait(epoll_.get(), events.data(), events.size(), 0);
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<size_t>(i)];
    const Known& known = known_[static_cast<size_t>(event.data.fd)];
    if (known.listed == round_) listed_[known.index].ready = from_epoll(event.events);
  }
}

}  // namespace lockstep::posix
