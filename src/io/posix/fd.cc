#include "io/posix/fd.h"

#include <cerrno>
#include <system_error>
#include <unistd.h>

namespace lockstep::posix {

void Fd::reset(int fd) {
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

std::unexpected<Error> fail_errno(std::string what, std::string object, std::string advice) {
  const int reason = errno;
  ErrorCode code = ErrorCode::kSystem;
  if (reason == ENOENT) code = ErrorCode::kNotFound;
  if (reason == ENOSPC || reason == EDQUOT) code = ErrorCode::kNoSpace;
  if (reason == EADDRINUSE || reason == EBUSY || reason == EEXIST) code = ErrorCode::kInUse;
  std::string text = std::generic_category().message(reason);
  if (!advice.empty()) text += "; " + advice;
  return fail(code, std::move(what), std::move(object), std::move(text));
}

}  // namespace lockstep::posix
