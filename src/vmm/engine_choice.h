// From the configuration's engine to the machine's, and back for the status.
// Owner: none (pure functions).
#pragma once

#include <optional>

#include "api/status.h"
#include "config/layout.h"
#include "config/vm_config.h"
#include "machine/engine_choice.h"

namespace lockstep::vmm {

machine::EngineChoice engine_choice(config::Engine engine);
// Of one replica.
machine::EngineChoice engine_choice(const config::VmConfig& config, config::Node node);

config::Engine engine_of(const machine::EngineReport& report);
// All but the rate, which no single report shows.
api::EngineStatus engine_status(const machine::EngineReport& report);

}  // namespace lockstep::vmm
