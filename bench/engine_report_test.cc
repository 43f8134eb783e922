#include "engine_report.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace lockstep::bench {
namespace {

using testing::DoubleNear;
using testing::HasSubstr;
using testing::Not;
using testing::Optional;

EngineReport example() {
  EngineReport report{.rows = {},
                      .engine = "jit",
                      .qemu_version = "QEMU emulator version 9",
                      .guest_memory_bytes = uint64_t{1} << 30,
                      .rounds = 2,
                      .our_memory_bytes = uint64_t{100} << 20,
                      .qemu_memory_bytes = uint64_t{250} << 20};
  report.rows = {
      {.name = "int",
       .ours = {{3, 30, 2}, {1, 10, 0.5}},
       .qemu = {{4, 40, 4}, {5, 50, 5}},
       .native_seconds = {0.25, 0.125},
       .error = ""},
      {.name = "fp", .ours = {{2, 2, 2}}, .qemu = {{2, 2, 2}}, .native_seconds = {}, .error = ""},
      {.name = "only-ours", .ours = {{2, 2, 2}}, .qemu = {}, .native_seconds = {}, .error = ""}};
  return report;
}

TEST(EngineReport, TheBestOfTheRoundsByTheHostsClockCounts) {
  const EngineReport report = example();
  EXPECT_EQ(best(report.rows[0].ours).guest_seconds, 10);
  EXPECT_THAT(report.rows[0].ratio(), Optional(4.0));
  EXPECT_EQ(report.rows[2].ratio(), std::nullopt);
}

TEST(EngineReport, MeanAndSlowestAreOfTheRowsThatHaveARatio) {
  const EngineReport report = example();
  EXPECT_THAT(report.mean_ratio(), Optional(DoubleNear(2.0, 1e-12)));
  ASSERT_NE(report.slowest(), nullptr);
  EXPECT_EQ(report.slowest()->name, "fp");
  EXPECT_EQ(geometric_mean({}), std::nullopt);
  EXPECT_THAT(geometric_mean({1, 10, 100}), Optional(DoubleNear(10, 1e-12)));
}

TEST(EngineReport, ARowWithAnErrorHasNoRatioAndTheReportIsNotComplete) {
  EngineReport report = example();
  EXPECT_TRUE(report.complete());
  report.rows[1].error = "different results";
  EXPECT_THAT(report.mean_ratio(), Optional(DoubleNear(4.0, 1e-12)));
  EXPECT_THAT(report.table(), HasSubstr("different results"));
  ASSERT_FALSE(report.complete());
  EXPECT_EQ(report.complete().error().object, "fp");
}

TEST(EngineReport, TheTableEndsWithTheGeometricMean) {
  EngineReport report = example();
  const std::string table = report.table();
  EXPECT_TRUE(
      table.ends_with("slowest row: fp, 1.00 times QEMU\ngeometric mean: 2.00 times QEMU\n"))
      << table;
  EXPECT_THAT(table, HasSubstr("memory above the guest's RAM: 100 MiB, budget 200 MiB\n"));
  report.our_memory_bytes = kMemoryBudgetBytes + 1;
  EXPECT_THAT(report.table(), HasSubstr("EXCEEDED"));
  EXPECT_THAT(EngineReport{}.table(), Not(HasSubstr("geometric mean")));
}

TEST(EngineReport, JsonHasEveryRow) {
  const auto json = nlohmann::json::parse(example().json());
  EXPECT_EQ(json["rows"].size(), 3U);
  const auto& row = json["rows"][0];
  EXPECT_EQ(row["name"], "int");
  EXPECT_EQ(row["ours_seconds"], 1.0);
  EXPECT_EQ(row["qemu_seconds"], 4.0);
  EXPECT_EQ(row["native_seconds"], 0.125);
  EXPECT_EQ(row["ratio"], 4.0);
  EXPECT_EQ(row["ours_guest_seconds"], 10.0);
  EXPECT_EQ(row["qemu_cpu_seconds"], 4.0);
  EXPECT_EQ(row["ours_runs"], nlohmann::json({3.0, 1.0}));
  EXPECT_TRUE(row["error"].is_null());
  EXPECT_TRUE(json["rows"][1]["native_seconds"].is_null());
  EXPECT_TRUE(json["rows"][2]["qemu_seconds"].is_null());
  EXPECT_TRUE(json["rows"][2]["ratio"].is_null());
  EXPECT_NEAR(json["geometric_mean"].get<double>(), 2.0, 1e-12);
  EXPECT_EQ(json["slowest_row"], "fp");
  EXPECT_EQ(json["memory_overhead_mib"], 100.0);
  EXPECT_EQ(json["memory_budget_mib"], 200.0);
  EXPECT_EQ(json["rounds"], 2);
}

}  // namespace
}  // namespace lockstep::bench
