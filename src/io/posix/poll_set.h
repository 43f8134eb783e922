// A list of descriptors that is made anew before each wait, as poll() takes it, kept in an epoll of
// its own: a descriptor whose interest stays the same costs no system call. For libraries that own
// their descriptors and only say, each time, which they want watched.
//
//   begin(); add()…; end();   … fd() becomes readable …   collect(); revents()…
//
// Owner: one thread. Invariant: revents(i) belongs to the i-th add() since begin().
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "io/posix/fd.h"

namespace lockstep::posix {

class PollSet {
 public:
  enum Event : uint32_t { kIn = 1, kOut = 2, kPriority = 4, kError = 8, kHangUp = 16 };

  PollSet();

  // Readable when one of the descriptors is ready.
  int fd() const { return epoll_.get(); }

  void begin();
  size_t add(int fd, uint32_t events);
  void end();

  // The number `fd` names a new file from now on, or none: what is known of it is void.
  void forget(int fd);

  // Looks which are ready; does not wait.
  void collect();
  uint32_t revents(size_t index) const { return index < listed_.size() ? listed_[index].ready : 0; }

 private:
  struct Listed {
    int fd;
    uint32_t ready;
  };
  struct Known {
    uint32_t events = 0;  // what the kernel has; 0: nothing
    uint64_t listed = 0;  // the round in which it was last added
    size_t index = 0;     // in listed_
  };

  void tell_kernel(int fd, Known& known, uint32_t events);

  Fd epoll_;
  uint64_t round_ = 0;
  std::vector<Listed> listed_;
  std::vector<int> registered_;  // those with Known.events != 0
  std::vector<Known> known_;     // by descriptor
};

}  // namespace lockstep::posix
