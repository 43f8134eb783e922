// Random guests under different runs: whatever is flushed, and wherever a run is cut, the state at
// each step is the same. For more seeds: LOCKSTEP_SEEDS=100:500 riscv_test --gtest_filter='Chaos*'.
#include <gtest/gtest.h>
#include <random>

#include "base/hash.h"
#include "riscv/testing/random_program.h"
#include "riscv/testing/seeds.h"
#include "riscv/testing/test_guest.h"

namespace lockstep::riscv {
namespace {

using namespace lockstep::riscv::testing;

constexpr uint64_t kSeeds = 12;
constexpr uint64_t kPieces = 300;
constexpr uint64_t kLongestPiece = 400;
constexpr uint64_t kOneTickPerStep = uint64_t{1} << 32;

std::unique_ptr<TestGuest> guest_of(uint64_t seed) {
  auto guest = std::make_unique<TestGuest>();
  guest->memory.write(kRamBase, random_program(seed, kRamBase, ProgramDevices::kNone));
  guest->hart.scounteren = 7;
  guest->hart.time.set_anchor(Step(0), GuestTicks(0), kOneTickPerStep / (1 + seed % 3));
  return guest;
}

// To `target`; a guest that waits is woken by a jump of its time, as a warp does.
void run_to(TestGuest& guest, Step target, const std::function<uint64_t()>& piece,
            const std::function<bool()>& flush) {
  while (guest.hart.step < target) {
    if (flush()) guest.engine->flush();
    guest.engine->run_until(std::min(target, guest.hart.step + piece()));
    if (!guest.hart.waiting) continue;
    const GuestTicks now = guest.hart.time.at(guest.hart.step);
    guest.hart.time.set_anchor(guest.hart.step, std::max(now, guest.hart.stimecmp),
                               guest.hart.time.rate_q32());
    guest.hart.sie |= kTimerInterrupt;
    if (guest.hart.stimecmp.value == ~uint64_t{0}) guest.hart.stimecmp = now;
    guest.hart.wake_if_pending();
  }
}

TEST(Chaos, FlushesAndCutsAreInvisible) {
  uint64_t traps = 0;
  uint64_t table_writes = 0;
  const SeedRange seeds = seed_range(kSeeds);
  for (uint64_t seed = seeds.first; seed < seeds.first + seeds.count; ++seed) {
    auto plain = guest_of(seed);
    auto chaos = guest_of(seed);
    std::mt19937_64 random(seed);
    for (uint64_t i = 0; i < kPieces; ++i) {
      const Step target = plain->hart.step + 1 + random() % kLongestPiece;
      run_to(*plain, target, [] { return kLongestPiece; }, [] { return false; });
      run_to(*chaos, target, [&] { return 1 + random() % 30; }, [&] { return random() % 3 == 0; });
      ASSERT_EQ(hash64(plain->state()), hash64(chaos->state()))
          << "seed " << seed << ", step " << target.value;
    }
    traps += plain->hart.traps;
    table_writes += plain->engine->statistics().mmu.page_table_writes;
  }
  // That the guests do what they are for.
  EXPECT_GT(traps, seeds.count * kPieces);
  EXPECT_GT(table_writes, seeds.count * kPieces);
}

}  // namespace
}  // namespace lockstep::riscv
