// Replays a recording and tells what was found. Owner: the main thread.
#pragma once

#include <string>

#include "base/error.h"
#include "config/vm_config.h"

namespace lockstep::vmm {

// `engine`: what replays it; any gives the same. Prints progress to standard error and a report to
// standard output: steps, entries and bytes by kind, digests compared, mismatches. Error kDiverged
// at the first difference, kCorrupt when the recording is damaged; what precedes is replayed and
// reported all the same.
Status replay_recording(const std::string& path, config::Engine engine);

}  // namespace lockstep::vmm
