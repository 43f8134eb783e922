// Hashes: XXH3 for state and chains (not against an adversary: the channel's TLS is), CRC-32C for
// frames. Owner: none (pure functions).
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace lockstep {

struct Hash128 {
  uint64_t low = 0;
  uint64_t high = 0;
  constexpr bool operator==(const Hash128&) const = default;
};

// XXH3-64 with a seed.
uint64_t hash64(ByteView data, uint64_t seed = 0);
Hash128 hash128(ByteView data, uint64_t seed = 0);

// CRC-32C (Castagnoli, reflected, RFC 3720 §B.4), continuing from `crc` (0 to start).
uint32_t crc32c(ByteView data, uint32_t crc = 0);

}  // namespace lockstep
