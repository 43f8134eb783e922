#include "io/posix/held_file.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace lockstep::posix {
namespace {

constexpr const char* kAdvice = "check its path in the configuration";

}  // namespace

Result<HeldFile> HeldFile::open(std::string path, std::string what) {
  // Should it be a pipe, the open does not wait for a writer.
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return fail_errno("cannot open " + what, std::move(path), kAdvice);
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return fail_errno("cannot look at " + what, std::move(path));
  if (!S_ISREG(status.st_mode)) {
    return fail(ErrorCode::kInvalid, what + " is not a regular file:", std::move(path), kAdvice);
  }
  return HeldFile(std::move(fd), std::move(path), std::move(what));
}

Result<Bytes> HeldFile::read(size_t max_bytes) const {
  struct stat status{};
  if (::fstat(fd_.get(), &status) != 0) return fail_errno("cannot look at " + what_, path_);
  const auto size = static_cast<uint64_t>(status.st_size);
  if (size > max_bytes) {
    return fail(ErrorCode::kInvalid,
                what_ + " is larger than " + std::to_string(max_bytes) + " bytes:", path_, kAdvice);
  }
  Bytes bytes(size);
  size_t have = 0;
  while (have < bytes.size()) {
    const ssize_t count =
        ::pread(fd_.get(), bytes.data() + have, bytes.size() - have, static_cast<off_t>(have));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno("cannot read " + what_, path_);
    if (count == 0) break;  // it has become shorter meanwhile
    have += static_cast<size_t>(count);
  }
  bytes.resize(have);
  return bytes;
}

}  // namespace lockstep::posix
