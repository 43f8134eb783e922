// How long outputs waited in the gate: quantiles of the recent past, in constant space.
//
// Buckets grow by an eighth of a power of two, so a quantile is exact to 12.5 %. When kWindow
// samples are in, all counts are halved: old times fade. Units: nanoseconds. Owner: the gate.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace lockstep::replication {

class HoldTimes {
 public:
  void add(uint64_t nanoseconds);
  // The upper end of the bucket that holds the quantile; 0 without samples. `permille` <= 1000.
  uint64_t quantile_ns(uint32_t permille) const;

 private:
  static constexpr unsigned kSubBits = 3;
  static constexpr size_t kBuckets = (64 - kSubBits + 1) << kSubBits;
  static constexpr uint64_t kWindow = 1 << 16;

  static size_t bucket_of(uint64_t nanoseconds);
  static uint64_t end_of(size_t bucket);

  std::array<uint32_t, kBuckets> counts_{};
  uint64_t total_ = 0;
};

}  // namespace lockstep::replication
