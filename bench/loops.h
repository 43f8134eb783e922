// The inner loops of kbench (the int, fp, mem and ptr cases) as RISC-V programs that need no
// operating system, and the same work in C++ for the host.
//
// A program is the sequence that a compiler makes of the C loop at -O2, in 32-bit encodings. It
// runs in S-mode without translation of addresses, leaves its result in a0 and ends in a WFI from
// which nothing wakes it.
//
// Owner: the main thread.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/types.h"

namespace lockstep::bench {

inline constexpr GuestAddress kLoopRam{0x80000000};
inline constexpr uint64_t kLoopRamBytes = uint64_t{160} << 20;

struct Register {
  uint8_t number = 0;
  uint64_t value = 0;
};

// Bytes that stand in RAM before the program runs.
struct LoopData {
  GuestAddress address;
  Bytes bytes;
};

struct Loop {
  std::string name;
  Bytes code;  // at kLoopRam
  std::vector<LoopData> data;
  std::vector<Register> registers;  // at the start
  // Does the same work on the host; what the program must leave in a0.
  std::function<uint64_t()> native;
};

// `scale`: 1 is a tenth to a half of what kbench does, some 100 million steps.
std::vector<Loop> make_loops(unsigned scale);

}  // namespace lockstep::bench
