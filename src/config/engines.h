// Which engine each replica of a VM runs on.
//
// The file names one for the VM and may name another for a replica; a command may ask for others.
// Engines differ in speed only, so replicas may differ in them.
//
// Owner: none (pure functions).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/layout.h"
#include "config/vm_config.h"

namespace lockstep::config {

std::optional<Engine> parse_engine(std::string_view text);
// kEngineNames as command lines want them.
std::vector<std::string> engine_names();

// What a command asks for.
struct EngineFlags {
  std::optional<Engine> both;  // replaces everything that the file says
  std::optional<Engine> a;
  std::optional<Engine> b;
};

// A flag for one replica wins over the flag for both, and every flag over the file.
void apply_flags(const EngineFlags& flags, VmConfig& config);

Engine engine_of(const VmConfig& config, Node node);

}  // namespace lockstep::config
