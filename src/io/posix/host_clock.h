// The host's clocks and its entropy. Nothing of it enters a machine but through a log entry.
// Thread-safe.
#pragma once

#include <cstdint>
#include <span>

#include "base/types.h"

namespace lockstep::posix {

HostTime monotonic_now();
uint64_t wall_clock_ns();  // since 1970-01-01T00:00:00Z
void fill_with_entropy(std::span<std::byte> out);

}  // namespace lockstep::posix
