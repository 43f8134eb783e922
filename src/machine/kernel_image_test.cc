#include "machine/kernel_image.h"

#include <cstring>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>
#include <zlib.h>
#include <zstd.h>

namespace lockstep::machine {
namespace {

using testing::HasSubstr;

template <typename T>
void put(Bytes& bytes, size_t offset, T value) {
  std::memcpy(bytes.data() + offset, &value, sizeof value);
}

void put_text(Bytes& bytes, size_t offset, std::string_view text) {
  std::memcpy(bytes.data() + offset, text.data(), text.size());
}

constexpr uint64_t kTextOffset = 0x200000;
constexpr uint64_t kImageSize = 0x9000;

// An Image of 0x2000 bytes in the file, laid out as boot-image-header.rst says.
Bytes make_image() {
  Bytes image(0x2000);
  for (size_t i = 64; i < image.size(); ++i) image[i] = static_cast<std::byte>(i * 7 + i / 256);
  put_text(image, 0, "MZ");
  put<uint64_t>(image, 8, kTextOffset);
  put<uint64_t>(image, 16, kImageSize);
  put<uint32_t>(image, 32, 2);
  put_text(image, 0x30, std::string_view("RISCV\0\0\0", 8));
  put_text(image, 0x38, "RSC\x05");
  put<uint32_t>(image, 0x3c, 0x40);
  // PE header with one section that ends with the file.
  put_text(image, 0x40, std::string_view("PE\0\0", 4));
  put<uint16_t>(image, 0x46, 1);
  put<uint16_t>(image, 0x54, 0);
  put<uint32_t>(image, 0x58 + 16, 0x1000);
  put<uint32_t>(image, 0x58 + 20, 0x1000);
  return image;
}

Bytes gzip(ByteView data) {
  z_stream stream{};
  EXPECT_EQ(::deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  Bytes out(::deflateBound(&stream, data.size()) + 64);
  // SAFETY: Bytef may alias; zlib does not write through next_in.
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(data.data()));
  stream.avail_in = static_cast<uInt>(data.size());
  // SAFETY: as above.
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(::deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  ::deflateEnd(&stream);
  return out;
}

Bytes zstd(ByteView data) {
  Bytes out(ZSTD_compressBound(data.size()));
  const size_t size = ZSTD_compress(out.data(), out.size(), data.data(), data.size(), 3);
  EXPECT_FALSE(ZSTD_isError(size));
  out.resize(size);
  return out;
}

Bytes zboot(const Bytes& payload, std::string_view compression) {
  Bytes file(0x1000 + payload.size() + 100);
  put_text(file, 0, "MZ");
  put_text(file, 4, "zimg");
  put<uint32_t>(file, 8, 0x1000);
  put<uint32_t>(file, 12, static_cast<uint32_t>(payload.size()));
  put_text(file, 24, compression);
  std::memcpy(file.data() + 0x1000, payload.data(), payload.size());
  return file;
}

void expect_whole(const Result<KernelImage>& image) {
  ASSERT_TRUE(image) << image.error().text();
  EXPECT_EQ(image->text_offset, kTextOffset);
  EXPECT_EQ(image->image_size, kImageSize);
  EXPECT_EQ(image->bytes, make_image());
}

void expect_error(const Result<KernelImage>& image, ErrorCode code, const char* text) {
  ASSERT_FALSE(image);
  EXPECT_EQ(image.error().code, code);
  EXPECT_THAT(image.error().text(), HasSubstr(text));
  EXPECT_EQ(image.error().object, "boot/Image");
  EXPECT_FALSE(image.error().advice.empty());
}

Result<KernelImage> parse(const Bytes& file) {
  return parse_kernel_image(file, "boot/Image");
}

TEST(KernelImage, Raw) {
  expect_whole(parse(make_image()));
}
TEST(KernelImage, Gzip) {
  expect_whole(parse(gzip(make_image())));
}
TEST(KernelImage, Zstd) {
  expect_whole(parse(zstd(make_image())));
}
TEST(KernelImage, ZbootGzip) {
  expect_whole(parse(zboot(gzip(make_image()), "gzip")));
}
TEST(KernelImage, ZbootZstd) {
  expect_whole(parse(zboot(zstd(make_image()), "zstd22")));
}

TEST(KernelImage, PaddingAfterTheImageIsNotLoaded) {
  Bytes file = make_image();
  file.resize(kImageSize + 4096);
  const auto image = parse(file);
  ASSERT_TRUE(image);
  EXPECT_EQ(image->bytes.size(), kImageSize);
}

TEST(KernelImage, TruncatedRaw) {
  Bytes file = make_image();
  file.resize(file.size() - 1);
  expect_error(parse(file), ErrorCode::kCorrupt, "it has 8191 bytes of 8192");
}

TEST(KernelImage, EveryTruncationOfACompressedFileIsAnError) {
  for (const Bytes& whole : {gzip(make_image()), zstd(make_image())}) {
    for (size_t size = 0; size < whole.size(); size += 37) {
      EXPECT_FALSE(parse(Bytes(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size))))
          << size << " of " << whole.size();
    }
  }
  Bytes cut = gzip(make_image());
  cut.resize(cut.size() / 2);
  expect_error(parse(cut), ErrorCode::kCorrupt, "gzip data ends too early");
  cut = zstd(make_image());
  cut.resize(cut.size() / 2);
  expect_error(parse(cut), ErrorCode::kCorrupt, "zstd data ends too early");
}

TEST(KernelImage, DamagedGzip) {
  Bytes file = gzip(make_image());
  file[file.size() - 6] ^= std::byte{1};  // in the CRC
  expect_error(parse(file), ErrorCode::kCorrupt, "gzip data does not check");
}

TEST(KernelImage, ZbootPayloadOutsideTheFile) {
  Bytes file = zboot(gzip(make_image()), "gzip");
  put<uint32_t>(file, 12, 0xffffffff);
  expect_error(parse(file), ErrorCode::kCorrupt, "lies outside the file");
  put<uint32_t>(file, 8, 0xffffffff);
  expect_error(parse(file), ErrorCode::kCorrupt, "lies outside the file");
}

TEST(KernelImage, ZbootUnknownCompression) {
  expect_error(parse(zboot(gzip(make_image()), "lzo")), ErrorCode::kIncompatible, "says 'lzo'");
}

TEST(KernelImage, ForeignFilesAreNamed) {
  Bytes file(4096);
  expect_error(parse(file), ErrorCode::kInvalid, "it is not a Linux kernel");
  put_text(file, 0,
           "\x7f"
           "ELF");
  expect_error(parse(file), ErrorCode::kInvalid, "an ELF file");
  file.assign(4096, std::byte{0});
  put_text(file, 0x202, "HdrS");
  expect_error(parse(file), ErrorCode::kIncompatible, "for x86");
  file.assign(4096, std::byte{0});
  put_text(file, 0x38, "ARM\x64");
  expect_error(parse(file), ErrorCode::kIncompatible, "for arm64");
  file.assign(4096, std::byte{0});
  put_text(file, 0,
           std::string_view("\xfd"
                            "7zXZ\0",
                            6));
  expect_error(parse(file), ErrorCode::kIncompatible, "xz -d");
  expect_error(parse(Bytes(10)), ErrorCode::kInvalid, "10 bytes");
  expect_error(parse({}), ErrorCode::kInvalid, "it is empty");
}

TEST(KernelImage, ImplausibleHeaders) {
  Bytes file = make_image();
  put<uint64_t>(file, 16, 0);
  expect_error(parse(file), ErrorCode::kCorrupt, "asks for 0 bytes");
  put<uint64_t>(file, 16, kMaxKernelImageSize + 1);
  expect_error(parse(file), ErrorCode::kCorrupt, "asks for");
  file = make_image();
  put<uint64_t>(file, 8, kMaxTextOffset);
  expect_error(parse(file), ErrorCode::kCorrupt, "asks for");
  file = make_image();
  put<uint64_t>(file, 24, 1);
  expect_error(parse(file), ErrorCode::kIncompatible, "little-endian");
}

TEST(KernelImage, CompressionBombIsRefused) {
  expect_error(parse(gzip(gzip(gzip(make_image())))), ErrorCode::kInvalid, "more than twice");
  Bytes zeros(kMaxKernelImageSize + (size_t{2} << 20));
  expect_error(parse(zstd(zeros)), ErrorCode::kInvalid, "unpacks to more than 256 MiB");
}

}  // namespace
}  // namespace lockstep::machine
