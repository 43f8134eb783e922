#include "io/posix/host_clock.h"

#include <sys/random.h>
#include <time.h>

#include "base/check.h"

namespace lockstep::posix {
namespace {

uint64_t read_clock(clockid_t clock) {
  timespec time{};
  CHECK(::clock_gettime(clock, &time) == 0);
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
}

}  // namespace

HostTime monotonic_now() {
  return HostTime(read_clock(CLOCK_MONOTONIC));
}

uint64_t wall_clock_ns() {
  return read_clock(CLOCK_REALTIME);
}

void fill_with_entropy(std::span<std::byte> out) {
  while (!out.empty()) {
    const ssize_t count = ::getrandom(out.data(), out.size(), 0);
    CHECK(count > 0);
    out = out.subspan(static_cast<size_t>(count));
  }
}

}  // namespace lockstep::posix
