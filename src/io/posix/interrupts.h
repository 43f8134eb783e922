// The signals by which a user asks a command to end (SIGINT, SIGTERM, SIGHUP), as something to look
// at between two steps instead of a sudden end: a command that has started processes must stop
// them.
//
// Blocked while this lives; one that came is spent when this goes, since the command has seen to
// it. One at a time. Owner: the main thread, before other threads start.
#pragma once

#include "base/error.h"
#include "io/posix/fd.h"

namespace lockstep::posix {

class Interrupts {
 public:
  static Result<Interrupts> create();
  Interrupts(Interrupts&& other) noexcept = default;
  Interrupts& operator=(Interrupts&&) = delete;
  ~Interrupts();

  // True once such a signal has come, and from then on.
  bool pending() const;
  // Readable when pending.
  int fd() const { return signals_.get(); }

 private:
  explicit Interrupts(Fd signals) : signals_(std::move(signals)) {}
  Fd signals_;
};

}  // namespace lockstep::posix
