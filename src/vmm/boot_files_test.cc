#include "vmm/boot_files.h"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <random>

#include "io/posix/process.h"

namespace lockstep::vmm {
namespace {

using testing::HasSubstr;

constexpr size_t kImageBytes = 4096;

// A raw Image: header of Linux Documentation/arch/riscv/boot-image-header.rst, then `fill`.
Bytes kernel_of(std::byte fill) {
  constexpr uint64_t kTextOffset = 0x200000;
  constexpr uint64_t kImageSize = kImageBytes;
  Bytes image(kImageBytes, fill);
  std::memset(image.data(), 0, 64);
  std::memcpy(image.data() + 8, &kTextOffset, sizeof(kTextOffset));
  std::memcpy(image.data() + 16, &kImageSize, sizeof(kImageSize));
  std::memcpy(image.data() + 56, "RSC\x05", 4);
  return image;
}

class BootFiles : public testing::Test {
 protected:
  BootFiles()
      : path_(std::filesystem::temp_directory_path() /
              ("lockstep-boot-files-test-" + std::to_string(std::random_device()()))) {}
  ~BootFiles() override { std::filesystem::remove(path_); }

  // Into the file that is there, as `cp` does.
  void write(const Bytes& bytes) { std::ofstream(path_, std::ios::binary) << as_text(bytes); }
  // In its place, as package managers do.
  void replace(const Bytes& bytes) {
    std::filesystem::remove(path_);
    write(bytes);
  }

  std::filesystem::path path_;
};

TEST_F(BootFiles, AKernelComesUnpackedTwice) {
  const Bytes kernel = kernel_of(std::byte{1});
  Bytes padded = kernel;
  padded.resize(kernel.size() + 100);  // what follows the image is not loaded
  write(padded);
  const Result<KernelFile> opened = open_kernel(path_);
  ASSERT_TRUE(opened.has_value()) << opened.error().text();
  EXPECT_EQ(opened->text_offset, 0x200000u);
  EXPECT_EQ(opened->image_size, kImageBytes);
  EXPECT_EQ(opened->file.size(), kImageBytes);
  EXPECT_EQ(opened->file.hash(), hash128(kernel));
  for (int i = 0; i < 2; ++i) EXPECT_EQ(opened->file.read().value(), kernel);
}

TEST_F(BootFiles, WhatIsPutInTheirPlaceChangesNothing) {
  const Bytes kernel = kernel_of(std::byte{1});
  write(kernel);
  const Result<KernelFile> opened = open_kernel(path_);
  const Result<machine::BootFile> initrd = open_initrd(path_);
  ASSERT_TRUE(opened.has_value() && initrd.has_value());
  replace(kernel_of(std::byte{2}));
  EXPECT_EQ(opened->file.read().value(), kernel);
  EXPECT_EQ(initrd->read().value(), kernel);
}

TEST_F(BootFiles, AWriteIntoOneIsRefused) {
  write(kernel_of(std::byte{1}));
  const Result<KernelFile> opened = open_kernel(path_);
  const Result<machine::BootFile> initrd = open_initrd(path_);
  ASSERT_TRUE(opened.has_value() && initrd.has_value());
  write(kernel_of(std::byte{2}));
  for (const Result<Bytes>& bytes : {opened->file.read(), initrd->read()}) {
    ASSERT_FALSE(bytes.has_value());
    EXPECT_EQ(bytes.error().code, ErrorCode::kCorrupt);
    EXPECT_EQ(bytes.error().object, path_);
    EXPECT_THAT(bytes.error().text(), HasSubstr("was changed since the VM was started"));
    EXPECT_THAT(bytes.error().text(), HasSubstr("put back what it held, or start the VM anew"));
  }
  // As soon as it is put back, all is well.
  write(kernel_of(std::byte{1}));
  EXPECT_TRUE(initrd->read().has_value());

  std::filesystem::resize_file(path_, 10);
  ASSERT_FALSE(initrd->read().has_value());
  EXPECT_THAT(initrd->read().error().text(), HasSubstr("it gave 4096 bytes, now 10"));
  EXPECT_FALSE(opened->file.read().has_value());
}

uint64_t bytes_from_the_kernel() {
  const struct mallinfo2 info = ::mallinfo2();
  return info.arena + info.hblkhd;
}

TEST_F(BootFiles, TakeNoMemoryBetweenReads) {
  constexpr size_t kLargeBytes = size_t{12} << 20;
  constexpr size_t kSlackBytes = size_t{2} << 20;
  posix::return_large_blocks();
  write(Bytes(kLargeBytes * 2, std::byte{1}));
  const uint64_t before = bytes_from_the_kernel();
  const machine::BootFile large = open_initrd(path_).value();
  const auto kept = std::filesystem::path(path_.string() + ".kept");
  std::filesystem::rename(path_, kept);
  write(Bytes(kLargeBytes, std::byte{1}));
  const machine::BootFile smaller = open_initrd(path_).value();
  for (int i = 0; i < 2; ++i) {
    ASSERT_EQ(large.read().value().size(), kLargeBytes * 2);
    ASSERT_EQ(smaller.read().value().size(), kLargeBytes);
    EXPECT_LT(bytes_from_the_kernel(), before + kSlackBytes);
  }
  std::filesystem::remove(kept);
}

TEST_F(BootFiles, MissingAndEmptyOnesAreNamed) {
  for (const Error& error : {open_kernel(path_).error(), open_initrd(path_).error()}) {
    EXPECT_EQ(error.code, ErrorCode::kNotFound);
    EXPECT_EQ(error.object, path_);
  }
  write({});
  EXPECT_EQ(open_initrd(path_).error().what, "the initrd is empty:");
  EXPECT_EQ(open_kernel(path_).error().what, "not a RISC-V kernel image");
  const Result<machine::BootFile> none = open_initrd("");
  ASSERT_TRUE(none.has_value());
  EXPECT_EQ(none->size(), 0u);
  EXPECT_EQ(none->hash(), hash128({}));
  EXPECT_TRUE(none->read().value().empty());
}

}  // namespace
}  // namespace lockstep::vmm
