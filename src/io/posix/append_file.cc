#include "io/posix/append_file.h"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace lockstep::posix {

Result<AppendFile> AppendFile::open(std::string path, uint64_t limit) {
  AppendFile file;
  file.path_ = std::move(path);
  file.limit_ = limit;
  if (Status opened = file.reopen(); !opened) return std::unexpected(std::move(opened.error()));
  return file;
}

Status AppendFile::reopen() {
  Fd fd(::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR));
  struct stat status{};
  if (!fd.valid() || ::fstat(fd.get(), &status) != 0) {
    return fail_errno("cannot open the log file", path_, "check its directory and its permissions");
  }
  fd_ = std::move(fd);
  size_ = static_cast<uint64_t>(status.st_size);
  return {};
}

Status AppendFile::append(ByteView bytes) {
  if (size_ > 0 && size_ + bytes.size() > limit_) {
    const std::string previous = path_ + ".1";
    if (::rename(path_.c_str(), previous.c_str()) != 0 && errno != ENOENT) {
      return fail_errno("cannot rename the full log file", path_);
    }
    if (Status opened = reopen(); !opened) return opened;
  }
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd_.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fail_errno("cannot write to the log file", path_);
    size_ += static_cast<uint64_t>(written);
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return {};
}

}  // namespace lockstep::posix
