// A jump from one superblock to a place in the same page. It leads to the superblock that is there,
// else to a stub of its own that leaves translated code. Owner: none (values).
#pragma once

#include <cstdint>

namespace lockstep::jit {

struct Link {
  uint32_t site = 0;    // address of the jump's 32-bit displacement
  uint32_t stub = 0;    // address of the stub
  uint16_t target = 0;  // byte offset in the page
};

}  // namespace lockstep::jit
