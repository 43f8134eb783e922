// Random numbers that are the same on every host and with every standard library.
// Owner: none (a value).
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <random>

#include "base/check.h"

namespace lockstep::oracle {

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}

  uint64_t bits() { return engine_(); }
  // 0 .. bound - 1
  uint64_t below(uint64_t bound) {
    CHECK(bound > 0);
    return engine_() % bound;
  }
  bool percent(unsigned chance) { return below(100) < chance; }
  bool coin() { return (engine_() & 1) != 0; }

  // From an array or vector that outlives the result.
  template <typename Range>
  const auto& pick(const Range& values) {
    return values[below(std::size(values))];
  }
  template <typename T>
  T pick(std::initializer_list<T> values) {
    return values.begin()[below(values.size())];
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace lockstep::oracle
