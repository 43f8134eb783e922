// Random guests that do what breaks caches: user and supervisor code under page tables that stores
// into its own code and tables, jumps into the middle of instructions, traps, waits and reads the
// clock. A handler of fixed code restarts it after every exception from a random choice of
// prepared registers, so that it never ends.
//
// Deterministic from the seed. Owner: the test.
#pragma once

#include <cstdint>
#include <random>

#include "base/bytes.h"
#include "base/types.h"
#include "riscv/instruction.h"

namespace lockstep::riscv::testing {

// Whether the board's devices (PLIC, UART, real-time clock) are there, to be reached by the guest.
enum class ProgramDevices : uint8_t { kNone, kBoard };

inline constexpr uint64_t kRandomProgramSize = 32 * 4096;
// Pages of the image: two of leaf tables, eight of code, eight of data.
inline constexpr uint64_t kRandomProgramTables = 12;
inline constexpr uint64_t kRandomProgramCode = 16;
inline constexpr uint64_t kRandomProgramData = 24;

// An image to be put at `load`, which is a multiple of 2 MiB within the first GiB of RAM at
// 0x80000000, and to be entered at its start in S-mode without translation.
Bytes random_program(uint64_t seed, GuestAddress load, ProgramDevices devices);

}  // namespace lockstep::riscv::testing
