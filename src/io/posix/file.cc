#include "io/posix/file.h"

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

#include "base/check.h"

namespace lockstep::posix {
namespace {

constexpr mode_t kUserOnly = 0600;

Fd open_file(const std::string& path, int flags) {
  int fd = -1;
  do {
    fd = ::open(path.c_str(), flags | O_CLOEXEC, kUserOnly);
  } while (fd < 0 && errno == EINTR);
  return Fd(fd);
}

}  // namespace

Result<std::unique_ptr<FileWriter>> FileWriter::create(std::string path, IfExists if_exists) {
  const int if_exists_flag = if_exists == IfExists::kReplace ? O_TRUNC : O_EXCL;
  Fd fd = open_file(path, O_WRONLY | O_CREAT | if_exists_flag);
  if (!fd.valid()) return fail_errno("cannot create the file", std::move(path));
  return std::unique_ptr<FileWriter>(new FileWriter(std::move(fd), std::move(path)));
}

Result<std::unique_ptr<FileWriter>> FileWriter::append(std::string path) {
  Fd fd = open_file(path, O_WRONLY | O_APPEND);
  if (!fd.valid()) return fail_errno("cannot open the file to append to it", std::move(path));
  return std::unique_ptr<FileWriter>(new FileWriter(std::move(fd), std::move(path)));
}

Status FileWriter::write(ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd_.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      return fail_errno("cannot write the file", path_, "make room on its disk, or use another");
    }
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return {};
}

Status FileWriter::sync() {
  while (::fdatasync(fd_.get()) != 0) {
    if (errno == EINTR) continue;
    // Pipes and devices have nothing to sync.
    if (errno == EINVAL || errno == EROFS) return {};
    return fail_errno("cannot bring the file to its disk", path_,
                      "what was written last may be lost; check the disk");
  }
  return {};
}

Result<std::unique_ptr<FileReader>> FileReader::open(std::string path) {
  Fd fd = open_file(path, O_RDONLY);
  if (!fd.valid()) return fail_errno("cannot open the file", std::move(path));
  return std::unique_ptr<FileReader>(new FileReader(std::move(fd), std::move(path)));
}

Result<size_t> FileReader::read(std::span<std::byte> out) {
  CHECK(!out.empty());
  for (;;) {
    const ssize_t count = ::read(fd_.get(), out.data(), out.size());
    if (count >= 0) return static_cast<size_t>(count);
    if (errno != EINTR) return fail_errno("cannot read the file", path_);
  }
}

}  // namespace lockstep::posix
