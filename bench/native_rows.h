// The rows of bench-engine on this host itself: what no engine can be faster than.
//
// Owner: the main thread.
#pragma once

#include <optional>
#include <string>

#include "base/error.h"
#include "engine_rows.h"

namespace lockstep::bench {

// What kArchiveRow reads, from the guest's image (debugfs(8)) to `directory`.
Status copy_archive_source(const std::string& image, const std::string& directory);

// Seconds of the row's command in `directory`, which holds the workloads. Nothing: it says nothing
// on a host, or a program that it needs is not there. kSystem when it fails.
Result<std::optional<double>> time_natively(const EngineRow& row, const std::string& directory);

}  // namespace lockstep::bench
