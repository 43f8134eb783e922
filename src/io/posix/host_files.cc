#include "io/posix/host_files.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "io/posix/fd.h"

namespace lockstep::posix {
namespace {

constexpr size_t kCopyChunk = size_t{1} << 20;
constexpr mode_t kPrivateFile = 0600;
constexpr mode_t kPrivateDirectory = 0700;

Result<uint64_t> file_size(const std::string& path, int flags, std::string_view what) {
  const Fd fd(::open(path.c_str(), flags | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return fail_errno(std::string(what), path);
  struct stat facts{};
  if (::fstat(fd.get(), &facts) != 0) return fail_errno(std::string(what), path);
  if (S_ISREG(facts.st_mode)) return static_cast<uint64_t>(facts.st_size);
  if (!S_ISBLK(facts.st_mode)) {
    return fail(ErrorCode::kInvalid, std::string(what), path, "it is not a file");
  }
  const off_t end = ::lseek(fd.get(), 0, SEEK_END);
  if (end < 0) return fail_errno(std::string(what), path);
  return static_cast<uint64_t>(end);
}

Status write_all(const Fd& fd, std::string_view text, const std::string& path) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd.get(), text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fail_errno("cannot write", path);
    text.remove_prefix(static_cast<size_t>(written));
  }
  return {};
}

// The directory entry survives a crash only when the directory itself has been synchronised.
Status sync_directory_of(const std::string& path) {
  const std::filesystem::path parent = std::filesystem::absolute(path).parent_path();
  const Fd directory(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid() || ::fsync(directory.get()) != 0) {
    return fail_errno("cannot synchronise the directory", parent.string());
  }
  return {};
}

// Synchronises `fd`, then puts `partial` in the place of `path`.
Status publish(const Fd& fd, const std::string& partial, const std::string& path) {
  if (::fsync(fd.get()) != 0) return fail_errno("cannot synchronise", partial);
  if (::rename(partial.c_str(), path.c_str()) != 0) return fail_errno("cannot replace", path);
  return sync_directory_of(path);
}

Fd create_partial(const std::string& partial) {
  return Fd(::open(partial.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, kPrivateFile));
}

struct Extent {
  off_t begin = 0;
  off_t end = 0;
};

Status copy_extent(const Fd& from, const Fd& to, Extent extent, const std::string& path) {
  // Not thread-local: every thread would get one, and the C library touches all of it.
  Bytes buffer(std::min(kCopyChunk, static_cast<size_t>(extent.end - extent.begin)));
  for (off_t offset = extent.begin; offset < extent.end;) {
    const size_t wanted = std::min(buffer.size(), static_cast<size_t>(extent.end - offset));
    const ssize_t got = ::pread(from.get(), buffer.data(), wanted, offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("cannot read", path);
    if (got == 0) return fail(ErrorCode::kCorrupt, "became shorter while it was copied:", path);
    for (ssize_t done = 0; done < got;) {
      const ssize_t written =
          ::pwrite(to.get(), buffer.data() + done, static_cast<size_t>(got - done), offset + done);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return fail_errno("cannot write the copy of", path);
      done += written;
    }
    offset += got;
  }
  return {};
}

Status copy_extents(const Fd& from, const Fd& to, const std::string& path) {
  const off_t size = ::lseek(from.get(), 0, SEEK_END);
  if (size < 0) return fail_errno("cannot size", path);
  if (::ftruncate(to.get(), size) != 0) return fail_errno("cannot size the copy of", path);
  for (off_t offset = 0; offset < size;) {
    Extent extent{::lseek(from.get(), offset, SEEK_DATA), size};
    if (extent.begin < 0 && errno == ENXIO) return {};  // only a hole is left
    if (extent.begin < 0 && errno == EINVAL) {          // a block device: it has no holes
      return copy_extent(from, to, Extent{0, size}, path);
    }
    if (extent.begin < 0) return fail_errno("cannot find the data of", path);
    extent.end = ::lseek(from.get(), extent.begin, SEEK_HOLE);
    if (extent.end < 0) return fail_errno("cannot find the holes of", path);
    if (Status copied = copy_extent(from, to, extent, path); !copied) return copied;
    offset = extent.end;
  }
  return {};
}

}  // namespace

Result<uint64_t> readable_file_size(const std::string& path, std::string_view what) {
  return file_size(path, O_RDONLY, what);
}

Result<uint64_t> writable_file_size(const std::string& path, std::string_view what) {
  return file_size(path, O_RDWR, what);
}

Status make_directory(const std::string& path) {
  std::filesystem::path made;
  for (const std::filesystem::path& part : std::filesystem::path(path)) {
    made /= part;
    if (::mkdir(made.c_str(), kPrivateDirectory) == 0 || errno == EEXIST) continue;
    std::error_code ignored;
    if (std::filesystem::is_directory(made, ignored)) continue;  // "/" on a read-only system
    return fail_errno("cannot make the directory", made.string());
  }
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return {};
  return fail(ErrorCode::kInvalid, "cannot make the directory", path, "a file has this name");
}

Status check_writable_directory(const std::string& path) {
  std::string probe = path + "/.lockstep-probe-XXXXXX";
  const Fd fd(::mkostemp(probe.data(), O_CLOEXEC));
  if (!fd.valid()) return fail_errno("cannot write in the directory", path);
  ::unlink(probe.c_str());
  return {};
}

Result<std::string> read_small_file(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return fail_errno("cannot read", path);
  std::string text;
  std::array<char, 65536> buffer;
  while (true) {
    const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("cannot read", path);
    if (got == 0) return text;
    text.append(buffer.data(), static_cast<size_t>(got));
    if (text.size() > kMaxSmallFile) {
      return fail(ErrorCode::kInvalid, "cannot read", path,
                  fmt::format("it is larger than {} bytes", kMaxSmallFile));
    }
  }
}

Status write_file_atomically(const std::string& path, std::string_view text) {
  const std::string partial = path + std::string(kPartialSuffix);
  const Fd fd = create_partial(partial);
  if (!fd.valid()) return fail_errno("cannot write", partial);
  Status done = write_all(fd, text, partial);
  if (done) done = publish(fd, partial, path);
  if (!done) ::unlink(partial.c_str());
  return done;
}

Status copy_file_sparse(const std::string& from, const std::string& to) {
  const Fd source(::open(from.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat facts{};
  if (!source.valid() || ::fstat(source.get(), &facts) != 0) return fail_errno("cannot read", from);
  const std::string partial = to + std::string(kPartialSuffix);
  const Fd copy = create_partial(partial);
  if (!copy.valid()) return fail_errno("cannot write", partial);
  Status done = {};
  if (::ioctl(copy.get(), FICLONE, source.get()) != 0) {
    done = copy_extents(source, copy, from);
  }
  if (done) done = publish(copy, partial, to);
  if (!done) ::unlink(partial.c_str());
  return done;
}

}  // namespace lockstep::posix
