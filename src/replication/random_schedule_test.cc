// Random schedules of a whole pair, and the planted bugs that they must catch.
//
// LOCKSTEP_SCHEDULE_SEED=<seed> runs one seed and prints its trace; LOCKSTEP_SCHEDULE_COUNT=<n>
// runs more than the default.

#include <cstdlib>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>

#include "replication/schedule_world.h"

namespace lockstep::replication::schedule {
namespace {

constexpr uint64_t kDefaultSeeds = 3'000;
constexpr uint64_t kSeedsPerPlantedBug = 4'000;

uint64_t number_from_environment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

std::string report(uint64_t seed, PlantedBug bug, const std::string& violation) {
  World world(seed, bug, true);
  world.run();
  std::string text = fmt::format(
      "seed {}: {}\nrepeat: LOCKSTEP_SCHEDULE_SEED={} build/release/bin/replication_test "
      "--gtest_filter=RandomSchedule.HoldsTheRules\n",
      seed, violation, seed);
  for (const std::string& line : world.trace()) text += line + "\n";
  return text;
}

TEST(RandomSchedule, HoldsTheRules) {
  const uint64_t only = number_from_environment("LOCKSTEP_SCHEDULE_SEED", 0);
  if (only != 0) {
    World world(only, PlantedBug::kNone, true);
    const std::string violation = world.run();
    fmt::print("{}", report(only, PlantedBug::kNone, violation));
    EXPECT_EQ(violation, "");
    return;
  }
  const uint64_t count = number_from_environment("LOCKSTEP_SCHEDULE_COUNT", kDefaultSeeds);
  for (uint64_t seed = 1; seed <= count; ++seed) {
    const std::string violation = World(seed, PlantedBug::kNone).run();
    ASSERT_EQ(violation, "") << report(seed, PlantedBug::kNone, violation);
  }
}

// Schedules that never get anywhere would pass every check.
TEST(RandomSchedule, ComesByEverything) {
  World::Coverage all;
  uint64_t went_live = 0;
  for (uint64_t seed = 1; seed <= 500; ++seed) {
    World world(seed, PlantedBug::kNone);
    world.run();
    const World::Coverage& one = world.coverage();
    all.was_protected |= one.was_protected;
    all.solo_after_loss |= one.solo_after_loss;
    all.waited_for_arbiter |= one.waited_for_arbiter;
    all.powered_off |= one.powered_off;
    all.failover_ordered |= one.failover_ordered;
    all.execution_stopped |= one.execution_stopped;
    all.lost_the_race |= one.lost_the_race;
    went_live += one.went_live ? 1 : 0;
  }
  EXPECT_TRUE(all.was_protected);
  EXPECT_TRUE(all.solo_after_loss);
  EXPECT_TRUE(all.waited_for_arbiter);
  EXPECT_TRUE(all.powered_off);
  EXPECT_TRUE(all.failover_ordered);
  EXPECT_TRUE(all.execution_stopped);
  EXPECT_TRUE(all.lost_the_race);
  EXPECT_GT(went_live, 100u);
}

struct Planted {
  PlantedBug bug;
  const char* name;
  const char* symptom;  // what the checker must say, so that it is this bug that was caught
};

class PlantedBugs : public testing::TestWithParam<Planted> {};

TEST_P(PlantedBugs, AreCaught) {
  for (uint64_t seed = 1; seed <= kSeedsPerPlantedBug; ++seed) {
    const std::string violation = World(seed, GetParam().bug).run();
    if (violation.empty()) continue;
    RecordProperty("seed", std::to_string(seed));
    RecordProperty("violation", violation);
    EXPECT_THAT(violation, testing::HasSubstr(GetParam().symptom)) << "seed " << seed;
    return;
  }
  FAIL() << GetParam().name << " was not caught by " << kSeedsPerPlantedBug << " schedules";
}

INSTANTIATE_TEST_SUITE_P(
    All, PlantedBugs,
    testing::Values(
        Planted{PlantedBug::kSoloWithoutArbiter, "SoloWithoutArbiter", "output rule"},
        Planted{PlantedBug::kGoLiveWithoutArbiter, "GoLiveWithoutArbiter", "R1"},
        Planted{PlantedBug::kLoserGoesOn, "LoserGoesOn", "R1"},
        Planted{PlantedBug::kUnreachableCountsAsWon, "UnreachableCountsAsWon", "output rule"},
        Planted{PlantedBug::kFailedProtectionOpensGate, "FailedProtectionOpensGate", "output rule"},
        Planted{PlantedBug::kReleaseAfterAbsence, "ReleaseAfterAbsence", "R5"},
        Planted{PlantedBug::kReleaseOnAppend, "ReleaseOnAppend", "output rule"},
        Planted{PlantedBug::kReleaseAtHorizon, "ReleaseAtHorizon", "output rule"},
        Planted{PlantedBug::kGoLiveBeforeDrained, "GoLiveBeforeDrained", "contradict"},
        Planted{PlantedBug::kDropHeldAtGoLive, "DropHeldAtGoLive", "never left"},
        Planted{PlantedBug::kForgetBeyondReport, "ForgetBeyondReport", "never left"},
        Planted{PlantedBug::kPowerOffLooksLikeFailure, "PowerOffLooksLikeFailure",
                "after the power-off"},
        Planted{PlantedBug::kPowerOffBeforeAcknowledgement, "PowerOffBeforeAcknowledgement",
                "after the power-off"}),
    [](const testing::TestParamInfo<Planted>& planted) { return std::string(planted.param.name); });

}  // namespace
}  // namespace lockstep::replication::schedule
