#include "io/posix/image_file.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace lockstep::posix {
namespace {

constexpr uint64_t kSectorSize = 512;

}  // namespace

Result<std::unique_ptr<ImageFile>> ImageFile::open(const std::string& path, Mode mode) {
  const bool writable = mode == Mode::kReadWrite;
  Fd fd(::open(path.c_str(), (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC));
  if (!fd.valid()) {
    return fail_errno("cannot open the disk image", path, "check the path in [[disk]]");
  }
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return fail_errno("cannot look at the disk image", path);
  if (!S_ISREG(status.st_mode)) {
    return fail(ErrorCode::kInvalid, "the disk image is not a regular file:", path,
                "name a raw image");
  }
  const auto size = static_cast<uint64_t>(status.st_size);
  if (size == 0 || size % kSectorSize != 0) {
    return fail(ErrorCode::kInvalid,
                "the size of the disk image is not a multiple of 512 bytes:", path,
                "it is empty or was cut off; make it again");
  }
  if (::flock(fd.get(), (writable ? LOCK_EX : LOCK_SH) | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) {
      return fail(ErrorCode::kInUse, "another VM uses the disk image", path,
                  "stop that VM, or give this one an image of its own");
    }
    return fail_errno("cannot lock the disk image", path);
  }
  return std::unique_ptr<ImageFile>(new ImageFile(std::move(fd), path, size));
}

Status ImageFile::read(uint64_t offset, std::span<std::byte> out) {
  while (!out.empty()) {
    const ssize_t count = ::pread(fd_.get(), out.data(), out.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno("cannot read the disk image", path_);
    if (count == 0) {
      return fail(ErrorCode::kCorrupt, "the disk image has become shorter:", path_,
                  "leave the images of a running VM alone");
    }
    out = out.subspan(static_cast<size_t>(count));
    offset += static_cast<uint64_t>(count);
  }
  return {};
}

Status ImageFile::write(uint64_t offset, ByteView data) {
  while (!data.empty()) {
    const ssize_t count = ::pwrite(fd_.get(), data.data(), data.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno("cannot write the disk image", path_);
    data = data.subspan(static_cast<size_t>(count));
    offset += static_cast<uint64_t>(count);
  }
  return {};
}

Status ImageFile::flush() {
  if (::fdatasync(fd_.get()) != 0) return fail_errno("cannot flush the disk image", path_);
  return {};
}

Status ImageFile::discard(uint64_t offset, uint64_t length) {
  if (::fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                  static_cast<off_t>(length)) == 0) {
    return {};
  }
  if (errno != EOPNOTSUPP) return fail_errno("cannot discard a part of the disk image", path_);
  static constexpr std::array<std::byte, 64 * 1024> kZeroes{};
  while (length > 0) {
    const uint64_t part = std::min<uint64_t>(length, kZeroes.size());
    if (Status status = write(offset, ByteView(kZeroes).first(part)); !status) return status;
    offset += part;
    length -= part;
  }
  return {};
}

}  // namespace lockstep::posix
