#include "io/posix/process.h"

#include <csignal>
#include <malloc.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/check.h"
#include "base/diagnostics.h"

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

void ignore_broken_pipes() {
  CHECK(std::signal(SIGPIPE, SIG_IGN) != SIG_ERR);
}

int own_process_id() {
  return ::getpid();
}

void return_large_blocks() {
  // Either call ends the adapting.
  CHECK(::mallopt(M_MMAP_THRESHOLD, kReturnedBlockBytes) == 1);
  CHECK(::mallopt(M_TRIM_THRESHOLD, kReturnedBlockBytes) == 1);
}

bool run_thread_promptly() {
  sched_param parameter{};
  parameter.sched_priority = ::sched_get_priority_min(SCHED_RR);
  return ::sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &parameter) == 0;
}

void raise_descriptor_limit() {
  rlimit limit{};
  CHECK(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    diagnose(Severity::kWarning, "cannot raise the limit of open descriptors to {}",
             limit.rlim_max);
  }
}

}  // namespace lockstep::posix
