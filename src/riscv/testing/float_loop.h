// Code of the directed floating-point programs: a loop that takes one case over a table of
// operands, and loops of many random instructions between which flags, modes and values stay
// pending.
//
// The code runs in user and in supervisor mode, but for what may trap: that is skipped by a handler
// which is the program's. It uses ra, gp, s0 to s3, s5 to s7, t0 to t2, a0 to a7 and every f
// register.
//
// Owner: none (the code is a function of the arguments). Units: bytes.
#pragma once

#include <cstdint>
#include <random>

#include "base/types.h"
#include "riscv/testing/assembler.h"
#include "riscv/testing/float_cases.h"
#include "riscv/testing/float_operands.h"

namespace lockstep::riscv::testing {

inline constexpr uint8_t kHashRegister = 19;  // s3: folds what was computed; never set

inline constexpr uint64_t kTupleSize = sizeof(OperandTuple);
// A result is the destination, or what a store wrote; then fflags, which were clear before.
inline constexpr uint64_t kFloatResultSize = 16;

enum class FloatSwitch : uint8_t {
  kOn,
  kOff  // supervisor mode: sstatus.FS is Off when the instruction comes
};

struct FloatLoop {
  FloatCase tested;
  FloatSwitch floating_point = FloatSwitch::kOn;
  GuestAddress tuples;
  uint64_t tuple_count = 0;
  GuestAddress results;  // tuple_count of them
};
// `random` chooses registers only.
void emit_float_loop(Assembler& code, const FloatLoop& loop, std::mt19937_64& random);

enum class Traps : uint8_t {
  kNone,
  kSome  // supervisor mode: reserved modes, FS switched off, access faults, ebreak, software
         // interrupts
};

struct FloatSequence {
  Traps traps = Traps::kNone;
  uint64_t items = 0;       // in the loop; an item is one to three instructions
  uint64_t iterations = 0;  // each on other operands and on what the one before left
  // Operands as registers hold them, operands_size bytes of each precision; singles come first.
  GuestAddress singles;
  GuestAddress doubles;
  uint64_t operands_size = 0;
  GuestAddress scratch;  // kSequenceScratchSize bytes, loaded from and stored to
  GuestAddress trace;    // sequence_trace_size() bytes
};
inline constexpr uint64_t kSequenceScratchSize = 4096;
inline constexpr uint64_t kMinimumSequenceOperands = 4096;
// The hash after each iteration, and at the end f0 to f31 and fcsr.
constexpr uint64_t sequence_trace_size(uint64_t iterations) {
  return 8 * (iterations + 33);
}
void emit_float_sequence(Assembler& code, const FloatSequence& sequence, std::mt19937_64& random);

}  // namespace lockstep::riscv::testing
