// The translator against the interpreter on random guests, and what only a translator can get
// wrong. More seeds: LOCKSTEP_SEEDS=100:500 jit_test --gtest_filter='Translator*'.
#include "jit/translator.h"

#include <gtest/gtest.h>
#include <random>

#include "base/hash.h"
#include "base/state_visitors.h"
#include "riscv/testing/random_program.h"
#include "riscv/testing/seeds.h"
#include "riscv/testing/test_guest.h"

namespace lockstep::jit {
namespace {

using namespace lockstep::riscv;
using namespace lockstep::riscv::testing;

constexpr uint64_t kSeeds = 12;
constexpr uint64_t kPieces = 300;
constexpr uint64_t kLongestPiece = 400;

std::unique_ptr<TestGuest> guest_of(uint64_t seed, const EngineFactory& factory) {
  auto guest = std::make_unique<TestGuest>(TestGuest::kPages, factory);
  guest->memory.write(kRamBase, random_program(seed, kRamBase, ProgramDevices::kNone));
  guest->hart.scounteren = 7;
  guest->hart.time.set_anchor(Step(0), GuestTicks(0), (uint64_t{1} << 32) / (1 + seed % 3));
  return guest;
}

void run_to(TestGuest& guest, Step target) {
  while (guest.hart.step < target) {
    guest.engine->run_until(target);
    if (!guest.hart.waiting) continue;
    const GuestTicks now = guest.hart.time.at(guest.hart.step);
    guest.hart.time.set_anchor(guest.hart.step, std::max(now, guest.hart.stimecmp),
                               guest.hart.time.rate_q32());
    guest.hart.sie |= kTimerInterrupt;
    if (guest.hart.stimecmp.value == ~uint64_t{0}) guest.hart.stimecmp = now;
    guest.hart.wake_if_pending();
  }
}

TEST(Translator, EqualsTheInterpreterOnRandomGuests) {
  Options options;
  options.hot_threshold = 1;
  options.code_cache_bytes = kMinCodeCacheBytes;
  const SeedRange seeds = seed_range(kSeeds);
  for (uint64_t seed = seeds.first; seed < seeds.first + seeds.count; ++seed) {
    auto plain = guest_of(seed, make_interpreter);
    auto translated = guest_of(seed, translator_factory(options));
    std::mt19937_64 random(seed);
    for (uint64_t i = 0; i < kPieces; ++i) {
      const uint64_t longest = i % 8 == 0 ? 4 : kLongestPiece;
      const Step target = plain->hart.step + 1 + random() % longest;
      run_to(*plain, target);
      run_to(*translated, target);
      if (hash64(plain->state()) == hash64(translated->state())) continue;
      StateLister left;
      StateLister right;
      plain->hart.visit_state(left);
      translated->hart.visit_state(right);
      FAIL() << "seed " << seed << ", piece " << i << ", step " << target.value << ": "
             << first_difference(left, right).value_or("RAM");
    }
  }
}

TEST(Translator, TranslatesInRunsOfAnyLength) {
  constexpr uint64_t kTurns = 10'000;
  TestGuest guest(TestGuest::kPages, translator_factory());
  Assembler code(TestGuest::kCode);
  code.li(kA0, TestBus::kDevice.value);
  code.li(kA1, kTurns);
  const uint64_t loop = code.here();
  code.addi(kA1, kA1, -1);
  code.branch(Opcode::kBne, kA1, kZero, loop);
  code.store(Opcode::kSw, kZero, kA0);
  code.spin();
  guest.put(code);
  guest.bus.on_write = [&](uint64_t, uint64_t) { guest.engine->request_stop(); };
  guest.engine->run_until(Step(~uint64_t{0}));
  EXPECT_EQ(guest.hart.pc, code.here() - 4);
  EXPECT_EQ(guest.hart.x[kA1], 0u);
  EXPECT_GT(guest.hart.step.value, 2 * kTurns);
  EXPECT_LT(guest.engine->statistics().interpreted_steps, kTurns / 10);
}

}  // namespace
}  // namespace lockstep::jit
