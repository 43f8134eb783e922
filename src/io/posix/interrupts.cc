#include "io/posix/interrupts.h"

#include <csignal>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace lockstep::posix {
namespace {

sigset_t ending_signals() {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaddset(&signals, signal);
  return signals;
}

}  // namespace

Result<Interrupts> Interrupts::create() {
  const sigset_t signals = ending_signals();
  Fd fd(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd.valid()) return fail_errno("cannot watch for", "signals");
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  return Interrupts(std::move(fd));
}

Interrupts::~Interrupts() {
  if (!signals_.valid()) return;  // moved from
  const sigset_t signals = ending_signals();
  signalfd_siginfo spent;
  while (::read(signals_.get(), &spent, sizeof spent) > 0) {
  }
  ::sigprocmask(SIG_UNBLOCK, &signals, nullptr);
}

// The signal is not read, so it stays pending for every later look.
bool Interrupts::pending() const {
  pollfd waiting{signals_.get(), POLLIN, 0};
  return ::poll(&waiting, 1, 0) == 1;
}

}  // namespace lockstep::posix
