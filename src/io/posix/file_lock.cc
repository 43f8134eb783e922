#include "io/posix/file_lock.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>

namespace lockstep::posix {

Result<FileLock> FileLock::acquire(const std::string& path) {
  Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.valid()) return fail_errno("cannot open the lock", path);
  while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno == EWOULDBLOCK) {
      return fail(ErrorCode::kInUse, "cannot take the lock", path, "another command holds it");
    }
    return fail_errno("cannot take the lock", path);
  }
  return FileLock(std::move(fd));
}

}  // namespace lockstep::posix
