// What a process sets up for itself once, before it does anything else.
//
// Owner: the main thread, before other threads start: they inherit the blocked signals.
#pragma once

#include "base/error.h"
#include "io/posix/fd.h"

namespace lockstep::posix {

// Readable once SIGTERM or SIGINT has come; both are blocked from now on.
Result<Fd> termination_signals();

// A peer that has closed is an error of the call that writes to it, never a signal; libraries that
// write to sockets of their own rely on it.
void ignore_broken_pipes();

// Raises the number of descriptors this process may have open to the most it may ask for.
void raise_descriptor_limit();

}  // namespace lockstep::posix
