// The code of hot_program(): loops, leaf functions and the places where they patch themselves.
//
// Registers, the same in all of the code; what the restart of hot_program.cc gives them:
//   ra, t0          links                          s0, s1, sp   data; s1 is near the end of a page
//   gp              the device, or data            tp           where the code starts
//   s2              the table of leaves            s3           how far the code's alias is
//   s4, s5          two instructions, and what to xor them with for two others
//   s6, s7, s8      a PTE's place, its value, what to xor it with for another
//   s9, t6          satp, what to xor it with      t5           bits of sstatus
//   s10, s11        counters of the inner and the outer loop
//   all others      values
//
// Deterministic from the generator of random numbers. Owner: the test.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "base/bytes.h"

namespace lockstep::riscv::testing {

// Those that riscv/testing/assembler.h has no names for.
inline constexpr uint8_t kGp = 3;
inline constexpr uint8_t kTp = 4;
inline constexpr uint8_t kS3 = 19;
inline constexpr uint8_t kS4 = 20;
inline constexpr uint8_t kS5 = 21;
inline constexpr uint8_t kS6 = 22;
inline constexpr uint8_t kS7 = 23;
inline constexpr uint8_t kS8 = 24;
inline constexpr uint8_t kS9 = 25;
inline constexpr uint8_t kInner = 26;
inline constexpr uint8_t kOuter = 27;

inline constexpr uint64_t kHotCodePages = 8;  // the second half for S-mode
inline constexpr uint64_t kHotLeaves = 32;    // in the table: offsets from the code's start
// Behind that table: numbers that are special to floating point.
inline constexpr uint64_t kHotFloats = 8 * kHotLeaves;
inline constexpr uint64_t kHotFloatCount = 128;

struct HotCode {
  Bytes code;
  // The same, but for some instructions that compute something else.
  Bytes twin;
  std::vector<uint64_t> user_routines;  // offsets at which to enter
  std::vector<uint64_t> supervisor_routines;
  std::vector<uint64_t> leaves;  // kHotLeaves of them
};

using HotRandom = std::mt19937_64;

HotCode make_hot_code(HotRandom& random);
// Two instructions that compute, to be stored over others.
uint64_t make_patch(HotRandom& random);

}  // namespace lockstep::riscv::testing
