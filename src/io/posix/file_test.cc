#include "io/posix/file.h"

#include <array>
#include <filesystem>
#include <gtest/gtest.h>
#include <random>

namespace lockstep::posix {
namespace {

class PosixFile : public testing::Test {
 protected:
  PosixFile()
      : path_(std::filesystem::temp_directory_path() /
              ("lockstep-file-test-" + std::to_string(std::random_device()()))) {}
  ~PosixFile() override { std::filesystem::remove(path_); }

  std::string contents() {
    auto reader = FileReader::open(path_);
    EXPECT_TRUE(reader.has_value());
    std::string all;
    std::array<std::byte, 3> piece{};
    for (;;) {
      const Result<size_t> count = (*reader)->read(piece);
      EXPECT_TRUE(count.has_value());
      if (*count == 0) return all;
      all += as_text(ByteView(piece).first(*count));
    }
  }

  std::filesystem::path path_;
};

TEST_F(PosixFile, WhatIsWrittenIsRead) {
  auto writer = FileWriter::create(path_, IfExists::kFail);
  ASSERT_TRUE(writer.has_value()) << writer.error().text();
  EXPECT_TRUE((*writer)->write(as_byte_view("first ")).has_value());
  EXPECT_TRUE((*writer)->write(as_byte_view("second")).has_value());
  EXPECT_TRUE((*writer)->sync().has_value());
  EXPECT_EQ(contents(), "first second");
}

TEST_F(PosixFile, AppendGoesBehindWhatIsThere) {
  ASSERT_TRUE((*FileWriter::create(path_, IfExists::kFail))->write(as_byte_view("one ")));
  auto writer = FileWriter::append(path_);
  ASSERT_TRUE(writer.has_value());
  EXPECT_TRUE((*writer)->write(as_byte_view("two")).has_value());
  EXPECT_EQ(contents(), "one two");
}

TEST_F(PosixFile, AnExistingFileIsKeptUnlessReplacedByName) {
  ASSERT_TRUE((*FileWriter::create(path_, IfExists::kFail))->write(as_byte_view("precious")));
  const auto refused = FileWriter::create(path_, IfExists::kFail);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kInUse);
  EXPECT_EQ(contents(), "precious");
  EXPECT_TRUE(FileWriter::create(path_, IfExists::kReplace).has_value());
  EXPECT_EQ(contents(), "");
}

TEST_F(PosixFile, AMissingFileIsNamed) {
  const auto reader = FileReader::open(path_);
  ASSERT_FALSE(reader.has_value());
  EXPECT_EQ(reader.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(reader.error().object, path_);
  EXPECT_FALSE(FileWriter::append(path_).has_value());
}

TEST(PosixFileErrors, AFullDiskIsAnError) {
  auto writer = FileWriter::append("/dev/full");
  if (!writer.has_value()) GTEST_SKIP() << writer.error().text();
  const Status written = (*writer)->write(as_byte_view("x"));
  ASSERT_FALSE(written.has_value());
  EXPECT_EQ(written.error().code, ErrorCode::kNoSpace);
}

TEST(PosixFileErrors, AFolderCannotBeRead) {
  auto reader = FileReader::open(std::filesystem::temp_directory_path());
  ASSERT_TRUE(reader.has_value());
  std::array<std::byte, 8> out{};
  EXPECT_FALSE((*reader)->read(out).has_value());
}

}  // namespace
}  // namespace lockstep::posix
