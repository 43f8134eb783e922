#include "io/posix/held_file.h"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <random>

namespace lockstep::posix {
namespace {

constexpr size_t kEnough = 100;

class HeldFileTest : public testing::Test {
 protected:
  HeldFileTest()
      : path_(std::filesystem::temp_directory_path() /
              ("lockstep-held-file-test-" + std::to_string(std::random_device()()))) {
    write(path_, "as it was");
  }
  ~HeldFileTest() override { std::filesystem::remove(path_); }

  static void write(const std::filesystem::path& path, const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
  }
  static std::string text_of(const HeldFile& file) {
    const Result<Bytes> bytes = file.read(kEnough);
    EXPECT_TRUE(bytes.has_value()) << bytes.error().text();
    return std::string(as_text(*bytes));
  }

  std::filesystem::path path_;
};

TEST_F(HeldFileTest, StaysTheFileThatWasOpened) {
  const Result<HeldFile> file = HeldFile::open(path_, "the kernel");
  ASSERT_TRUE(file.has_value()) << file.error().text();
  EXPECT_EQ(text_of(*file), "as it was");
  const std::filesystem::path other = path_.string() + ".new";
  write(other, "another");
  std::filesystem::rename(other, path_);
  EXPECT_EQ(text_of(*file), "as it was");
  std::filesystem::remove(path_);
  EXPECT_EQ(text_of(*file), "as it was");
}

TEST_F(HeldFileTest, IsReadAsItIsNow) {
  const Result<HeldFile> file = HeldFile::open(path_, "the kernel");
  ASSERT_TRUE(file.has_value()) << file.error().text();
  write(path_, "written into, and longer");
  EXPECT_EQ(text_of(*file), "written into, and longer");
  std::filesystem::resize_file(path_, 7);
  EXPECT_EQ(text_of(*file), "written");
}

TEST_F(HeldFileTest, NamesWhatCannotBeUsed) {
  const Result<HeldFile> file = HeldFile::open(path_, "the kernel");
  ASSERT_TRUE(file.has_value()) << file.error().text();
  const Result<Bytes> long_one = file->read(8);
  ASSERT_FALSE(long_one.has_value());
  EXPECT_EQ(long_one.error().code, ErrorCode::kInvalid);
  EXPECT_EQ(long_one.error().object, path_);

  const Result<HeldFile> directory = HeldFile::open("/", "the kernel");
  ASSERT_FALSE(directory.has_value());
  EXPECT_EQ(directory.error().what, "the kernel is not a regular file:");
  std::filesystem::remove(path_);
  const Result<HeldFile> missing = HeldFile::open(path_, "the kernel");
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(missing.error().what, "cannot open the kernel");
  EXPECT_EQ(missing.error().object, path_);
}

}  // namespace
}  // namespace lockstep::posix
