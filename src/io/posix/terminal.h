// This process's terminal: raw mode, and a relay between it and a socket.
//
// Owner: the main thread.
#pragma once

#include <functional>

#include "base/error.h"
#include "io/posix/fd.h"
#include "io/posix/interrupts.h"

namespace lockstep::posix {

// Ctrl-]: leaves the console, as telnet does.
inline constexpr char kConsoleEscape = 0x1d;
// How often a relay asks whether to go on.
inline constexpr int kRelayCheckMs = 100;

bool output_is_terminal();

enum class RelayEnd : unsigned char { kEscape, kInputEnded, kPeerClosed, kInterrupted, kStopped };

// Bytes typed go to `peer`, bytes from it to standard output, until Ctrl-] is typed, either side
// ends, an interrupt comes, or `go_on` says no. A terminal is in raw mode meanwhile. Standard input
// that is not a terminal is sent as it is; its end does not end the relay.
Result<RelayEnd> relay_terminal(const Fd& peer, const Interrupts& interrupts,
                                const std::function<bool()>& go_on);

}  // namespace lockstep::posix
