#include "io/posix/append_file.h"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>

namespace lockstep::posix {
namespace {

class AppendFileTest : public ::testing::Test {
 protected:
  AppendFileTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "lockstep-XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
  }
  ~AppendFileTest() override { std::filesystem::remove_all(directory_); }

  std::string path(const char* name) const { return (directory_ / name).string(); }
  std::string content(const char* name) const {
    std::ifstream file(path(name));
    return {std::istreambuf_iterator<char>(file), {}};
  }

  std::filesystem::path directory_;
};

TEST_F(AppendFileTest, AppendsAcrossOpens) {
  for (const char* text : {"one ", "two"}) {
    Result<AppendFile> file = AppendFile::open(path("log"), 100);
    ASSERT_TRUE(file) << file.error().text();
    EXPECT_TRUE(file->append(as_byte_view(text)));
  }
  EXPECT_EQ(content("log"), "one two");
}

TEST_F(AppendFileTest, StartsAnewAtTheLimitAndKeepsOnePredecessor) {
  Result<AppendFile> file = AppendFile::open(path("log"), 8);
  ASSERT_TRUE(file);
  for (const char* text : {"aaaa", "bbbb", "cccc", "dddd", "e"}) {
    ASSERT_TRUE(file->append(as_byte_view(text)));
  }
  EXPECT_EQ(content("log"), "e");
  EXPECT_EQ(content("log.1"), "ccccdddd");
}

TEST_F(AppendFileTest, AnErrorNamesTheFile) {
  const Result<AppendFile> file = AppendFile::open(path("absent/log"), 8);
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code, ErrorCode::kNotFound);
  EXPECT_NE(file.error().text().find("absent/log"), std::string::npos);
}

}  // namespace
}  // namespace lockstep::posix
