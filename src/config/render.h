// Writing the configuration: as TOML, and its reference for readers. Both from the schema.
//
// Owner: none (pure functions).
#pragma once

#include <string>

#include "config/vm_config.h"

namespace lockstep::config {

// Every value, defaults too. parse_config reads it back to an equal VmConfig.
std::string to_toml(const VmConfig& config);

// The text of docs/configuration.md.
std::string configuration_reference();

}  // namespace lockstep::config
