// Host memory of a process that holds a guest's RAM, without that RAM.
//
// The RAM is one mapping of exactly its size. Memory counts as the kernel shares it out (Pss), so a
// page that several processes map counts in part.
//
// Source: proc(5), /proc/PID/smaps. Owner: none (pure functions).
#pragma once

#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "io/posix/subprocess.h"

namespace lockstep::bench {

struct ProcessMemory {
  uint64_t guest_ram_bytes = 0;  // resident, of the mapping that is the guest's RAM
  uint64_t other_bytes = 0;      // everything else
};

// kNotFound when no mapping, or more than one, is of the size of the RAM.
Result<ProcessMemory> parse_smaps(std::string_view smaps, uint64_t ram_bytes);
Result<ProcessMemory> process_memory(posix::ProcessId process, uint64_t ram_bytes);

}  // namespace lockstep::bench
