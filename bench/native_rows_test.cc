#include "native_rows.h"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

#include "io/posix/subprocess.h"

namespace lockstep::bench {
namespace {

class NativeRows : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directory(directory_); }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  bool exists(const char* name) const {
    return std::filesystem::exists(directory_ + ("/" + std::string(name)));
  }

  std::string directory_ =
      testing::TempDir() + "native_rows_test." + std::to_string(posix::this_process().value);
};

TEST_F(NativeRows, PreparesAndTimesTheCommandInTheDirectory) {
  const EngineRow row{"row", "sleep 0.5; touch prepared", "test -e prepared && touch ran", "sh"};
  const auto seconds = time_natively(row, directory_);
  ASSERT_TRUE(seconds) << seconds.error().text();
  ASSERT_TRUE(*seconds);
  EXPECT_GT(**seconds, 0);
  EXPECT_LT(**seconds, 0.5);  // without the preparation
  EXPECT_TRUE(exists("ran"));
}

TEST_F(NativeRows, ARowThatTheHostCannotRunHasNoTime) {
  for (const char* program : {"", "no-such-program-anywhere"}) {
    const auto seconds = time_natively({"row", "touch prepared", "touch ran", program}, directory_);
    ASSERT_TRUE(seconds);
    EXPECT_EQ(*seconds, std::nullopt);
  }
  EXPECT_FALSE(exists("prepared"));
  EXPECT_FALSE(exists("ran"));
}

TEST_F(NativeRows, AFailureIsAnError) {
  for (const EngineRow& row : {EngineRow{"row", "echo broken; false", "true", "sh"},
                               EngineRow{"row", "true", "echo broken; exit 3", "sh"}}) {
    const auto seconds = time_natively(row, directory_);
    ASSERT_FALSE(seconds);
    EXPECT_EQ(seconds.error().advice, "broken\n");
  }
}

}  // namespace
}  // namespace lockstep::bench
