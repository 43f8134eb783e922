#include "io/posix/signals.h"

#include <csignal>
#include <sys/signalfd.h>

namespace lockstep::posix {

Result<Fd> termination_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  if (::pthread_sigmask(SIG_BLOCK, &set, nullptr) != 0) {
    return fail_errno("cannot block", "SIGTERM and SIGINT");
  }
  Fd fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd.valid()) return fail_errno("cannot watch", "SIGTERM and SIGINT");
  return fd;
}

}  // namespace lockstep::posix
