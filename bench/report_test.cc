#include "report.h"

#include <filesystem>
#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "io/posix/host_files.h"

namespace lockstep::bench {
namespace {

TEST(Report, TableHasARowForEachResult) {
  Report report;
  report.add({.name = "int", .value = 150, .unit = "Msteps/s", .baseline = 100});
  report.add({.name = "fp", .value = 0.25, .unit = "s", .baseline = std::nullopt});
  EXPECT_THAT(report.table(),
              testing::HasSubstr("\nint          150  Msteps/s          100      1.5\n"));
  EXPECT_THAT(report.table(),
              testing::HasSubstr("\nfp          0.25  s                   -        -\n"));
}

TEST(Report, JsonHasNullWhereThereIsNothingToCompareWith) {
  Report report;
  report.add({.name = "int", .value = 150, .unit = "Msteps/s", .baseline = 100});
  report.add({.name = "fp", .value = 0.25, .unit = "s", .baseline = std::nullopt});
  report.add({.name = "zero", .value = 1, .unit = "s", .baseline = 0});
  const auto rows = nlohmann::json::parse(report.json());
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0]["name"], "int");
  EXPECT_EQ(rows[0]["unit"], "Msteps/s");
  EXPECT_EQ(rows[0]["value"], 150.0);
  EXPECT_EQ(rows[0]["baseline"], 100.0);
  EXPECT_EQ(rows[0]["ratio"], 1.5);
  EXPECT_TRUE(rows[1]["baseline"].is_null());
  EXPECT_TRUE(rows[1]["ratio"].is_null());
  EXPECT_EQ(rows[2]["baseline"], 0.0);
  EXPECT_TRUE(rows[2]["ratio"].is_null());
}

TEST(Report, PublishWritesTheJson) {
  Report report;
  report.add({.name = "int", .value = 150, .unit = "Msteps/s", .baseline = 100});
  const std::string path = testing::TempDir() + "report_test.json";
  ASSERT_TRUE(report.publish(path));
  const auto text = posix::read_small_file(path);
  ASSERT_TRUE(text);
  EXPECT_EQ(*text, report.json());
  std::filesystem::remove(path);
  EXPECT_FALSE(report.publish(testing::TempDir() + "no/such/directory/report.json"));
}

TEST(Report, Median) {
  EXPECT_EQ(median({3}), 3);
  EXPECT_EQ(median({9, 1, 2}), 2);
  EXPECT_EQ(median({4, 1, 2, 9}), 3);
}

}  // namespace
}  // namespace lockstep::bench
