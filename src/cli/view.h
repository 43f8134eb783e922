// What a VM looks like from the outside: asked of its processes, and shown to people.
//
// Owner: the main thread; the renderers are pure.
#pragma once

#include <string>
#include <vector>

#include "api/status.h"
#include "base/error.h"
#include "config/layout.h"

namespace lockstep::cli {

// The VMs that have a snapshot in the state directory, sorted. Empty without the directory.
std::vector<std::string> known_vms(const std::string& state_directory);
// Error kNotFound names the VMs that there are.
Result<config::VmLayout> find_vm(const std::string& state_directory, const std::string& vm);

// Asks every process; one that is gone or silent is part of the answer, not an error.
api::VmStatus look_at(const config::VmLayout& layout);

// For people: several lines, ending in a newline.
std::string render_status(const api::VmStatus& vm);
// One line for each VM.
std::string render_list(const std::vector<api::VmStatus>& vms);

}  // namespace lockstep::cli
