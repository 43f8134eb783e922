// Which replica's disks are the newest, and bringing the other's up to date before a start.
//
// Each replica owns its images (design §8). Whoever won the newest epoch has the newest ones: the
// other side followed it at best. Requires: the VM's lock is held and no replica runs.
#pragma once

#include <functional>
#include <string>

#include "base/error.h"
#include "base/types.h"
#include "config/layout.h"
#include "config/vm_config.h"

namespace lockstep::cli {

struct Newest {
  config::Node node = config::Node::kA;
  Epoch epoch;  // the newest that anyone won; 0: none yet
};

// Asks the configured arbiter. Error kCorrupt when the owner's images are known to be incomplete.
Result<Newest> newest_replica(const config::VmConfig& config, const config::VmLayout& layout);

// Copies every writable image of `from` over that of the other node: each at once, when it is
// complete. An interrupted refresh leaves a marker and is done again by the next start, since the
// arbiter still names `from`. `on_progress` is told each image.
Status refresh_other_disks(const config::VmConfig& config, const config::VmLayout& layout,
                           config::Node from,
                           const std::function<void(const std::string& text)>& on_progress);

}  // namespace lockstep::cli
