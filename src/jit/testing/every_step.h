// One guest on the interpreter, step by step, and on translators, to each step by itself: a
// translator must be able to stop there, with every register, flag and byte as the interpreter has
// them, whether what it runs is translated, cached or new.
//
// Owner: the test.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "riscv/testing/test_guest.h"

namespace lockstep::jit::testing {

using SetUp = std::function<void(riscv::testing::TestGuest&)>;

// RAM of these guests: all places of TestGuest lie in it, and tables of several pages.
inline constexpr uint64_t kGuestPages = 96;

// Compares at each of the `steps` first steps; fails the test at the first difference, and names
// its step. A translator that translates at once runs
//   cold    for each step, with nothing cached, from the start to there in one run
//   warm    the same, with all cached that running further needs
//   pieces  with stops at random steps on its way
// `set_up` makes the start. A device that answers must keep its state in RAM or in the hart.
// Gives the translator's guest, at the end.
std::unique_ptr<riscv::testing::TestGuest> run_to_each_step(uint64_t steps, const SetUp& set_up);

// The same only at the end, for what is too long to be looked at everywhere.
std::unique_ptr<riscv::testing::TestGuest> run_to_the_end(uint64_t steps, const SetUp& set_up);

}  // namespace lockstep::jit::testing
