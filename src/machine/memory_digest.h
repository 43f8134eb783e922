// A digest of all of RAM, kept up to date from the pages that were written.
//
// Each page that is not all zero contributes a hash of its number and contents; the digest is their
// sum. So it is a function of the contents alone: it does not matter which pages were reported
// written, as long as all that changed were, and two replicas whose engines guard different pages
// agree.
//
// Owner: the vCPU thread.
#pragma once

#include <cstdint>
#include <vector>

#include "base/types.h"
#include "riscv/physical_memory.h"

namespace lockstep::machine {

class MemoryDigest {
 public:
  explicit MemoryDigest(uint64_t page_count) : contributions_(page_count) {}

  // Takes in the pages written since the last call; `memory` loses its dirty marks.
  void update(riscv::PhysicalMemory& memory);
  uint64_t value() const { return sum_; }

 private:
  std::vector<uint64_t> contributions_;
  uint64_t sum_ = 0;
};

}  // namespace lockstep::machine
