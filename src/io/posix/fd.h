// A file descriptor with one owner. Owner: whoever holds it; moves, never copies.
#pragma once

#include <utility>

#include "base/error.h"

namespace lockstep::posix {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) reset(std::exchange(other.fd_, -1));
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1);

 private:
  int fd_ = -1;
};

// An Error for the last failed system call: `what` and `object` as in Error, the reason from errno.
std::unexpected<Error> fail_errno(std::string what, std::string object, std::string advice = {});

}  // namespace lockstep::posix
