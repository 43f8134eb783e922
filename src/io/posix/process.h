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

int own_process_id();

// From now on a block of kReturnedBlockBytes or more that this process frees goes back to the
// kernel at once, and so does the end of a heap of which that much is free. Else the C library
// adapts to the largest block that was ever freed and keeps tens of megabytes.
inline constexpr int kReturnedBlockBytes = 4 << 20;
void return_large_blocks();

// Asks the kernel to run the calling thread as soon as it has something to do, whatever else the
// host computes (SCHED_RR at its lowest priority). For a thread that does little at a time. Threads
// that it starts later do not inherit it. False where the user may not (RLIMIT_RTPRIO).
bool run_thread_promptly();

// Raises the number of descriptors this process may have open to the most it may ask for.
void raise_descriptor_limit();

}  // namespace lockstep::posix
