// The physical address space outside RAM, as the hart sees it. Owner: the vCPU thread.
#pragma once

#include <cstdint>

#include "base/types.h"

namespace lockstep::riscv {

class Bus {
 public:
  virtual ~Bus() = default;
  // `size`: 1, 2, 4 or 8; `address` is a multiple of it. False: nothing is there (access fault).
  virtual bool read(GuestAddress address, unsigned size, uint64_t& value) = 0;
  virtual bool write(GuestAddress address, unsigned size, uint64_t value) = 0;
};

}  // namespace lockstep::riscv
