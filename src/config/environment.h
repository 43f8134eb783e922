// Does this host have what a configuration asks for? Asked before anything is started, so that a
// start fails whole, early, and with every reason.
//
// The answers may be out of date at once; whoever opens the files and ports later reports again.
// Thread-safe: nothing here is shared.
#pragma once

#include <vector>

#include "base/error.h"
#include "config/layout.h"
#include "config/vm_config.h"

namespace lockstep::config {

// Empty when all is well. Checks that the kernel, the initrd and the disks can be opened, that each
// disk is a whole number of sectors and not empty, that the forwarded ports are free, and that the
// arbiter's directory can be written (it is made when absent).
std::vector<Error> check_environment(const VmConfig& config, const VmLayout& layout);

}  // namespace lockstep::config
