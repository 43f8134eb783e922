// The console of a running guest, through a Unix socket: wait for what it shows, type at it.
//
// Owner: one thread.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/types.h"
#include "console_marks.h"
#include "io/posix/fd.h"
#include "io/posix/interrupts.h"

namespace lockstep::bench {

class Console {
 public:
  // `interrupts` outlives this: a wait ends when one is pending.
  Console(posix::Fd socket, const posix::Interrupts& interrupts)
      : socket_(std::move(socket)), interrupts_(&interrupts) {}

  struct Sighting {
    HostTime when;       // the bytes that ended `wanted` were received then
    std::string before;  // what was shown before it, and not taken by an earlier wait
  };

  // kUnavailable: it was not shown within `patience`, the console closed, or the user interrupts.
  Result<Sighting> wait_for(std::string_view wanted, std::chrono::seconds patience);
  Status type(std::string_view text);

 private:
  // Takes in what has come by `deadline`.
  Status receive(HostTime deadline, std::string_view wanted);

  posix::Fd socket_;
  const posix::Interrupts* interrupts_;
  ConsoleText text_;
  HostTime last_received_;
};

}  // namespace lockstep::bench
