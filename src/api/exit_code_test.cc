#include "api/exit_code.h"

#include <fmt/format.h>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <iterator>

namespace lockstep::api {
namespace {

TEST(ExitCode, NumbersAreStable) {
  EXPECT_EQ(kExitSuccess, 0);
  EXPECT_EQ(exit_code(ErrorCode::kInvalid), 2);
  EXPECT_EQ(exit_code(ErrorCode::kNotFound), 3);
  EXPECT_EQ(exit_code(ErrorCode::kInUse), 4);
  EXPECT_EQ(exit_code(ErrorCode::kCorrupt), 5);
  EXPECT_EQ(exit_code(ErrorCode::kIncompatible), 6);
  EXPECT_EQ(exit_code(ErrorCode::kUnavailable), 7);
  EXPECT_EQ(exit_code(ErrorCode::kNoSpace), 8);
  EXPECT_EQ(exit_code(ErrorCode::kDiverged), 9);
  EXPECT_EQ(exit_code(ErrorCode::kSystem), 10);
}

TEST(ExitCode, EachIsDocumented) {
  std::ifstream file(LOCKSTEP_SOURCE_DIRECTORY "/docs/errors.md");
  const std::string document{std::istreambuf_iterator<char>(file), {}};
  for (int i = 0; i <= static_cast<int>(ErrorCode::kSystem); ++i) {
    const auto code = static_cast<ErrorCode>(i);
    EXPECT_THAT(document,
                testing::HasSubstr(fmt::format("| {} | `{}` |", exit_code(code), to_string(code))));
  }
}

}  // namespace
}  // namespace lockstep::api
