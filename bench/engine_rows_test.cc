#include "engine_rows.h"

#include <gmock/gmock.h>
#include <set>

namespace lockstep::bench {
namespace {

std::vector<std::string_view> names(const std::vector<EngineRow>& rows) {
  std::vector<std::string_view> result;
  for (const EngineRow& row : rows) result.push_back(row.name);
  return result;
}

TEST(EngineRows, HaveNamesOfTheirOwnAndSomethingToDo) {
  std::set<std::string_view> seen;
  for (const EngineRow& row : all_rows()) {
    EXPECT_TRUE(seen.insert(row.name).second) << row.name;
    EXPECT_EQ(row.command.empty(), row.name == kBootRow) << row.name;
    EXPECT_FALSE(row.command.contains('\n')) << row.name;
    EXPECT_FALSE(row.prepare.contains('\n')) << row.name;
  }
}

TEST(EngineRows, AreSelectedByNameAndKeepTheirOrder) {
  const auto all = select_rows("");
  ASSERT_TRUE(all);
  EXPECT_EQ(all->size(), all_rows().size());
  const auto some = select_rows("fp,gcc,fp");
  ASSERT_TRUE(some);
  EXPECT_THAT(names(*some), testing::ElementsAre("gcc", "fp"));
}

TEST(EngineRows, AnUnknownNameIsRefusedAndTheNamesAreGiven) {
  for (const char* list : {"in", "int,", ",int", "int,,fp", "int fp"}) {
    const auto rows = select_rows(list);
    ASSERT_FALSE(rows) << list;
    EXPECT_EQ(rows.error().code, ErrorCode::kInvalid);
    EXPECT_THAT(rows.error().advice, testing::HasSubstr("int, fp, mem"));
  }
}

}  // namespace
}  // namespace lockstep::bench
