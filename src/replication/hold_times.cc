#include "replication/hold_times.h"

#include <bit>

#include "base/check.h"

namespace lockstep::replication {

// Below 2^kSubBits a bucket holds one value; from there on, each power of two has 2^kSubBits.
size_t HoldTimes::bucket_of(uint64_t nanoseconds) {
  if (nanoseconds < (uint64_t{1} << kSubBits)) return static_cast<size_t>(nanoseconds);
  const unsigned exponent = static_cast<unsigned>(std::bit_width(nanoseconds)) - 1 - kSubBits;
  return static_cast<size_t>((uint64_t{exponent} << kSubBits) + (nanoseconds >> exponent));
}

uint64_t HoldTimes::end_of(size_t bucket) {
  const uint64_t sub_count = uint64_t{1} << kSubBits;
  if (bucket < sub_count) return bucket;
  const uint64_t exponent = (bucket >> kSubBits) - 1;
  const uint64_t mantissa = (bucket & (sub_count - 1)) + sub_count;
  return (mantissa << exponent) + ((uint64_t{1} << exponent) - 1);
}

void HoldTimes::add(uint64_t nanoseconds) {
  ++counts_[bucket_of(nanoseconds)];
  if (++total_ < kWindow) return;
  total_ = 0;
  for (uint32_t& count : counts_) {
    count /= 2;
    total_ += count;
  }
}

uint64_t HoldTimes::quantile_ns(uint32_t permille) const {
  CHECK(permille <= 1000);
  if (total_ == 0) return 0;
  const uint64_t rank = (total_ * permille + 999) / 1000;
  uint64_t seen = 0;
  for (size_t bucket = 0; bucket < kBuckets; ++bucket) {
    seen += counts_[bucket];
    if (seen > 0 && seen >= rank) return end_of(bucket);
  }
  return end_of(kBuckets - 1);
}

}  // namespace lockstep::replication
