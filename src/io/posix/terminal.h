// This process's terminal: raw mode, and a relay between it and a socket.
//
// Owner: the main thread.
#pragma once

#include "base/error.h"
#include "io/posix/fd.h"

namespace lockstep::posix {

// Ctrl-]: leaves the console, as telnet does.
inline constexpr char kConsoleEscape = 0x1d;

bool output_is_terminal();

// Standard input in raw mode while this lives, if it is a terminal. As before afterwards, also when
// SIGTERM, SIGHUP or SIGINT ends the process. At most one at a time.
class RawTerminal {
 public:
  RawTerminal();
  ~RawTerminal();
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;

  // False when standard input is not a terminal.
  bool active() const { return active_; }

 private:
  bool active_ = false;
};

enum class RelayEnd : unsigned char { kEscape, kInputEnded, kPeerClosed };

// Bytes typed go to `peer`, bytes from it to standard output, until Ctrl-] is typed or either side
// ends. A terminal is in raw mode meanwhile. Standard input that is not a terminal is sent as it
// is, and the relay then goes on until `peer` closes.
Result<RelayEnd> relay_terminal(const Fd& peer);

}  // namespace lockstep::posix
