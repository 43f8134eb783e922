// The signals that ask a process to end, as a descriptor for its event loop.
//
// Owner: the main thread. Call before other threads start: they inherit the blocked signals.
#pragma once

#include "base/error.h"
#include "io/posix/fd.h"

namespace lockstep::posix {

// Readable once SIGTERM or SIGINT has come; both are blocked from now on.
Result<Fd> termination_signals();

}  // namespace lockstep::posix
