#include "config/engines.h"

#include <algorithm>

namespace lockstep::config {

std::optional<Engine> parse_engine(std::string_view text) {
  const auto found = std::ranges::find(kEngineNames, text);
  if (found == kEngineNames.end()) return std::nullopt;
  return static_cast<Engine>(found - kEngineNames.begin());
}

std::vector<std::string> engine_names() {
  return {kEngineNames.begin(), kEngineNames.end()};
}

void apply_flags(const EngineFlags& flags, VmConfig& config) {
  if (flags.both) {
    config.engine = *flags.both;
    config.protection.engine_a.reset();
    config.protection.engine_b.reset();
  }
  if (flags.a) config.protection.engine_a = flags.a;
  if (flags.b) config.protection.engine_b = flags.b;
}

Engine engine_of(const VmConfig& config, Node node) {
  const ProtectionConfig& protection = config.protection;
  return (node == Node::kA ? protection.engine_a : protection.engine_b).value_or(config.engine);
}

}  // namespace lockstep::config
