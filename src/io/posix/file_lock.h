// A lock on a file, held until this goes or its process ends, so a crash leaves nothing to clear.
//
// The file itself stays: removing it would let two processes lock two files of one name.
// Owner: whoever holds it.
#pragma once

#include <string>

#include "base/error.h"
#include "io/posix/fd.h"

namespace lockstep::posix {

class FileLock {
 public:
  // Error kInUse when another process holds it. Does not wait.
  static Result<FileLock> acquire(const std::string& path);

 private:
  explicit FileLock(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

}  // namespace lockstep::posix
