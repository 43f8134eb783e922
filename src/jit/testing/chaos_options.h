// Translators that differ in everything that must not matter: when they translate, how much they
// keep, what the host is said to offer.
//
// Deterministic from the seed. Owner: the test.
#pragma once

#include <cstdint>
#include <random>

#include "jit/translator.h"

namespace lockstep::jit::testing {

inline Options chaos_options(uint64_t seed) {
  std::mt19937_64 random(seed);
  static constexpr uint32_t kThresholds[] = {1, 1, 2, 3, 8, 16, 40};
  Options options;
  options.hot_threshold = kThresholds[random() % std::size(kThresholds)];
  if (random() % 2 == 0) options.code_cache_bytes = kMinCodeCacheBytes;
  // A seed in four has all that the host has, one has nothing.
  const uint64_t masks = random();
  const auto masked = [&](unsigned feature) {
    return seed % 4 == 1 || (seed % 4 >= 2 && (masks >> feature & 1) != 0);
  };
  bool* const features[] = {&options.features.fma, &options.features.bmi2, &options.features.bmi1,
                            &options.features.lzcnt, &options.features.popcnt};
  for (unsigned i = 0; i < std::size(features); ++i) {
    if (masked(i)) *features[i] = false;
  }
  return options;
}

}  // namespace lockstep::jit::testing
