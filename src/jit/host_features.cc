#include "jit/host_features.h"

#include <cstdlib>
#include <string_view>

namespace lockstep::jit {

HostFeatures HostFeatures::probe() {
  HostFeatures features;
  __builtin_cpu_init();
  features.fma = __builtin_cpu_supports("fma") != 0;
  features.bmi2 = __builtin_cpu_supports("bmi2") != 0 && __builtin_cpu_supports("avx") != 0;
  features.bmi1 = __builtin_cpu_supports("bmi") != 0 && __builtin_cpu_supports("avx") != 0;
  features.lzcnt = __builtin_cpu_supports("lzcnt") != 0;
  features.popcnt = __builtin_cpu_supports("popcnt") != 0;
  const char* mask = std::getenv("LOCKSTEP_HOST_FEATURES");
  if (mask == nullptr) return features;
  const std::string_view named(mask);
  const auto keep = [named](bool& feature, std::string_view name) {
    feature = feature && named.find(name) != std::string_view::npos;
  };
  keep(features.fma, "fma");
  keep(features.bmi2, "bmi2");
  keep(features.bmi1, "bmi1");
  keep(features.lzcnt, "lzcnt");
  keep(features.popcnt, "popcnt");
  return features;
}

}  // namespace lockstep::jit
