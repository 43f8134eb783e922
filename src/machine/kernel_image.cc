#include "machine/kernel_image.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <fmt/format.h>
#include <memory>
#include <optional>
#include <string_view>
#include <zlib.h>
#include <zstd.h>

namespace lockstep::machine {
namespace {

// boot-image-header.rst: the header's fields, and where the two magic numbers stand.
constexpr size_t kHeaderSize = 64;
constexpr size_t kTextOffsetAt = 8;
constexpr size_t kImageSizeAt = 16;
constexpr size_t kFlagsAt = 24;
constexpr size_t kMagic2At = 0x38;
constexpr std::string_view kMagic2{"RSC\x05", 4};
constexpr uint64_t kFlagBigEndian = 1;

// zboot-header.S.
constexpr size_t kZbootMagicAt = 4;
constexpr std::string_view kZbootMagic = "zimg";
constexpr size_t kZbootPayloadOffsetAt = 8;
constexpr size_t kZbootPayloadSizeAt = 12;
constexpr size_t kZbootCompressionAt = 24;
constexpr size_t kZbootCompressionSize = 32;

constexpr std::string_view kGzipMagic{"\x1f\x8b", 2};
constexpr std::string_view kZstdMagic{"\x28\xb5\x2f\xfd", 4};
constexpr std::string_view kXzMagic{
    "\xfd"
    "7zXZ\0",
    6};

// Image, in gzip or zstd, in zboot.
constexpr int kMaxWrappings = 2;

constexpr const char* kAdvice =
    "give a RISC-V Linux Image, Image.gz or zboot image, such as Debian's /boot/vmlinux-*-riscv64";

bool has_magic(ByteView data, size_t offset, std::string_view magic) {
  return data.size() >= offset + magic.size() &&
         std::memcmp(data.data() + offset, magic.data(), magic.size()) == 0;
}

template <typename T>
T number_at(ByteView data, size_t offset) {
  return ByteReader(data.subspan(offset)).fixed<T>();
}

std::unexpected<Error> fail_damaged(const std::string& name, const std::string& reason) {
  return fail(ErrorCode::kCorrupt, "damaged kernel file", name,
              reason + "; copy or download the file again");
}

std::unexpected<Error> fail_too_large(const std::string& name) {
  return fail(
      ErrorCode::kInvalid, "kernel image too large", name,
      fmt::format("it unpacks to more than {} MiB; {}", kMaxKernelImageSize >> 20, kAdvice));
}

// Output that grows in pieces, up to the bound.
constexpr size_t kInflatePiece = size_t{1} << 20;

struct InflateEnd {
  void operator()(z_stream* stream) const { ::inflateEnd(stream); }
};

Result<Bytes> gunzip(ByteView data, const std::string& name) {
  constexpr int kGzipWindowBits = 15 + 16;  // 32 KiB window, gzip header (zlib.h, inflateInit2)
  z_stream stream{};
  if (::inflateInit2(&stream, kGzipWindowBits) != Z_OK) {
    return fail(ErrorCode::kSystem, "cannot start zlib for", name);
  }
  const std::unique_ptr<z_stream, InflateEnd> guard(&stream);
  // SAFETY: Bytef is unsigned char, which may alias; zlib does not write through next_in.
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(data.data()));
  stream.avail_in = static_cast<uInt>(data.size());
  Bytes out;
  int result = Z_OK;
  while (result != Z_STREAM_END) {
    const size_t done = out.size();
    if (done > kMaxKernelImageSize) return fail_too_large(name);
    out.resize(done + kInflatePiece);
    // SAFETY: as above.
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + done);
    stream.avail_out = kInflatePiece;
    result = ::inflate(&stream, Z_NO_FLUSH);
    out.resize(out.size() - stream.avail_out);
    if (result == Z_BUF_ERROR || (result == Z_OK && stream.avail_in == 0 && stream.avail_out > 0)) {
      return fail_damaged(name, "its gzip data ends too early");
    }
    if (result != Z_OK && result != Z_STREAM_END) {
      return fail_damaged(name, fmt::format("its gzip data does not check ({})",
                                            stream.msg != nullptr ? stream.msg : "zlib"));
    }
  }
  return out;
}

struct FreeZstdStream {
  void operator()(ZSTD_DStream* stream) const { ZSTD_freeDStream(stream); }
};

Result<Bytes> unzstd(ByteView data, const std::string& name) {
  const std::unique_ptr<ZSTD_DStream, FreeZstdStream> stream(ZSTD_createDStream());
  if (!stream) return fail(ErrorCode::kSystem, "cannot start zstd for", name);
  // The kernel's build compresses with a window as large as the image (zstd -22 --ultra).
  ZSTD_DCtx_setParameter(stream.get(), ZSTD_d_windowLogMax, 28);
  ZSTD_inBuffer input{data.data(), data.size(), 0};
  Bytes out;
  size_t result = 1;
  while (result != 0) {
    const size_t done = out.size();
    if (done > kMaxKernelImageSize) return fail_too_large(name);
    out.resize(done + kInflatePiece);
    ZSTD_outBuffer output{out.data() + done, kInflatePiece, 0};
    result = ZSTD_decompressStream(stream.get(), &output, &input);
    if (ZSTD_isError(result) != 0) {
      return fail_damaged(
          name, fmt::format("its zstd data does not check ({})", ZSTD_getErrorName(result)));
    }
    out.resize(done + output.pos);
    if (result != 0 && input.pos == input.size && output.pos < kInflatePiece) {
      return fail_damaged(name, "its zstd data ends too early");
    }
  }
  return out;
}

Result<Bytes> open_zboot(ByteView file, const std::string& name) {
  if (file.size() < kHeaderSize) return fail_damaged(name, "its zboot header is cut off");
  const uint64_t offset = number_at<uint32_t>(file, kZbootPayloadOffsetAt);
  const uint64_t size = number_at<uint32_t>(file, kZbootPayloadSizeAt);
  if (offset > file.size() || size > file.size() - offset) {
    return fail_damaged(name, fmt::format("its zboot payload of {} bytes at {} lies outside the "
                                          "file of {} bytes",
                                          size, offset, file.size()));
  }
  const std::string_view field = as_text(file.subspan(kZbootCompressionAt, kZbootCompressionSize));
  const std::string_view compression = field.substr(0, field.find('\0'));
  const ByteView payload = file.subspan(offset, size);
  if (compression == "gzip") return gunzip(payload, name);
  if (compression.starts_with("zstd")) return unzstd(payload, name);
  return fail(
      ErrorCode::kIncompatible, "unknown compression in the zboot image", name,
      fmt::format("it says '{}', gzip and zstd are understood; unpack it first", compression));
}

// Names what a file is that is not a kernel for this machine.
std::unexpected<Error> fail_foreign(ByteView file, const std::string& name) {
  constexpr std::string_view kElfMagic{
      "\x7f"
      "ELF",
      4};
  std::string what = "it is not a Linux kernel";
  ErrorCode code = ErrorCode::kInvalid;
  if (file.empty()) {
    what = "it is empty";
  } else if (has_magic(file, 0, kElfMagic)) {
    what = "it is an ELF file, not a boot image (objcopy -O binary makes one of a vmlinux)";
  } else if (has_magic(file, 0x202, "HdrS")) {
    what = "it is a kernel for x86";
    code = ErrorCode::kIncompatible;
  } else if (has_magic(file, kMagic2At, "ARM\x64")) {
    what = "it is a kernel for arm64";
    code = ErrorCode::kIncompatible;
  } else if (has_magic(file, 0, kXzMagic)) {
    what = "it is compressed with xz; unpack it first (xz -d)";
    code = ErrorCode::kIncompatible;
  } else if (file.size() < kHeaderSize) {
    what = fmt::format("its {} bytes are fewer than a kernel's header", file.size());
  }
  return fail(code, "not a RISC-V kernel image", name, what + "; " + kAdvice);
}

Result<KernelImage> read_header(Bytes bytes, const std::string& name) {
  KernelImage image;
  image.text_offset = number_at<uint64_t>(bytes, kTextOffsetAt);
  image.image_size = number_at<uint64_t>(bytes, kImageSizeAt);
  if ((number_at<uint64_t>(bytes, kFlagsAt) & kFlagBigEndian) != 0) {
    return fail(ErrorCode::kIncompatible, "big-endian kernel", name,
                "the machine is little-endian; " + std::string(kAdvice));
  }
  if (image.image_size == 0 || image.image_size > kMaxKernelImageSize ||
      image.text_offset >= kMaxTextOffset) {
    return fail_damaged(name, fmt::format("its header asks for {} bytes at offset {}",
                                          image.image_size, image.text_offset));
  }
  // The file holds all of the image but the bss, so it is never the longer one; padding after the
  // image (a signature, a rounded size) is not loaded.
  if (bytes.size() > image.image_size) bytes.resize(image.image_size);
  image.bytes = std::move(bytes);
  return image;
}

// PE/COFF: where SizeOfRawData ends. A raw Image is also an EFI program, and its last section's end
// tells how long the file has to be; nothing else in it does.
std::optional<uint64_t> expected_file_size(ByteView image) {
  constexpr size_t kPeOffsetAt = 0x3c;
  constexpr size_t kSectionHeaderSize = 40;
  constexpr size_t kMaxSections = 16;
  if (!has_magic(image, 0, "MZ")) return std::nullopt;
  const uint64_t pe = number_at<uint32_t>(image, kPeOffsetAt);
  if (pe > image.size() || image.size() - pe < 24 || !has_magic(image, pe, {"PE\0\0", 4})) {
    return std::nullopt;
  }
  const size_t sections = number_at<uint16_t>(image, pe + 6);
  const uint64_t table = pe + 24 + number_at<uint16_t>(image, pe + 20);
  if (sections > kMaxSections || table + sections * kSectionHeaderSize > image.size()) {
    return std::nullopt;
  }
  uint64_t end = 0;
  for (size_t i = 0; i < sections; ++i) {
    const uint64_t header = table + i * kSectionHeaderSize;
    const uint64_t size = number_at<uint32_t>(image, header + 16);
    const uint64_t start = number_at<uint32_t>(image, header + 20);
    end = std::max(end, start + size);
  }
  return end;
}

Result<KernelImage> parse(Bytes file, const std::string& name, int wrappings_left) {
  if (has_magic(file, kMagic2At, kMagic2) && file.size() >= kHeaderSize) {
    const auto expected = expected_file_size(file);
    if (expected && *expected > file.size()) {
      return fail_damaged(
          name, fmt::format("it has {} bytes of {}: it is cut off", file.size(), *expected));
    }
    return read_header(std::move(file), name);
  }
  Result<Bytes> inner{std::unexpect};
  if (has_magic(file, 0, "MZ") && has_magic(file, kZbootMagicAt, kZbootMagic)) {
    inner = open_zboot(file, name);
  } else if (has_magic(file, 0, kGzipMagic)) {
    inner = gunzip(file, name);
  } else if (has_magic(file, 0, kZstdMagic)) {
    inner = unzstd(file, name);
  } else {
    return fail_foreign(file, name);
  }
  if (!inner) return std::unexpected(std::move(inner.error()));
  if (wrappings_left == 0) {
    return fail(ErrorCode::kInvalid, "kernel compressed more than twice", name, kAdvice);
  }
  return parse(std::move(*inner), name, wrappings_left - 1);
}

}  // namespace

Result<KernelImage> parse_kernel_image(Bytes file, const std::string& name) {
  return parse(std::move(file), name, kMaxWrappings);
}

}  // namespace lockstep::machine
