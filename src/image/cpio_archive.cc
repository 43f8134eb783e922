#include "image/cpio_archive.h"

#include <fmt/format.h>
#include <string>
#include <utility>

#include "base/check.h"

namespace lockstep::image {
namespace {

constexpr uint32_t kDirectoryMode = 0040755;
constexpr uint32_t kProgramMode = 0100755;
constexpr uint32_t kFileMode = 0100644;
constexpr size_t kAlignment = 4;
constexpr std::string_view kTrailer = "TRAILER!!!";

void pad(Bytes& bytes) {
  while (bytes.size() % kAlignment != 0) bytes.push_back(std::byte{0});
}

void append(Bytes& bytes, ByteView data) {
  bytes.insert(bytes.end(), data.begin(), data.end());
}

}  // namespace

void CpioArchive::add_directory(std::string_view path) {
  add(path, kDirectoryMode, {});
}
void CpioArchive::add_program(std::string_view path, ByteView content) {
  add(path, kProgramMode, content);
}
void CpioArchive::add_file(std::string_view path, ByteView content) {
  add(path, kFileMode, content);
}

void CpioArchive::add(std::string_view path, uint32_t mode, ByteView content) {
  CHECK(content.size() <= UINT32_MAX);
  const bool trailer = path == kTrailer;
  const uint32_t inode = trailer ? 0 : next_inode_++;
  const uint32_t links = (mode & 0170000) == 0040000 ? 2 : 1;
  // magic, inode, mode, uid, gid, links, mtime, file size, device major and minor, rdev major and
  // minor, name size with its NUL, checksum.
  const std::string header = fmt::format(
      "070701{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}", inode,
      trailer ? 0 : mode, 0, 0, links, 0, content.size(), 0, 0, 0, 0, path.size() + 1, 0);
  append(bytes_, as_byte_view(header));
  append(bytes_, as_byte_view(path));
  bytes_.push_back(std::byte{0});
  pad(bytes_);
  append(bytes_, content);
  pad(bytes_);
}

Bytes CpioArchive::finish() {
  add(kTrailer, 0, {});
  return std::move(bytes_);
}

}  // namespace lockstep::image
