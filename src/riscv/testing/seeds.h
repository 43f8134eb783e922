// Which seeds a random test runs: a few by default, or LOCKSTEP_SEEDS=FIRST:COUNT from the
// environment for a longer look.
//
// Owner: the test.
#pragma once

#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace lockstep::riscv::testing {

struct SeedRange {
  uint64_t first = 0;
  uint64_t count = 0;
};

inline SeedRange seed_range(uint64_t default_count) {
  SeedRange range{0, default_count};
  const char* given = std::getenv("LOCKSTEP_SEEDS");
  if (given == nullptr) return range;
  const std::string_view text(given);
  const char* end = text.data() + text.size();
  const char* colon = std::from_chars(text.data(), end, range.first).ptr;
  if (colon != end && *colon == ':') std::from_chars(colon + 1, end, range.count);
  return range;
}

}  // namespace lockstep::riscv::testing
