// A file that stays open, to be read whole again and again: it stays the same file when another is
// put in its place or when it is removed. Who writes into it changes what is read.
//
// Thread-safe: nothing changes after open().
#pragma once

#include <string>

#include "base/bytes.h"
#include "base/error.h"
#include "io/posix/fd.h"

namespace lockstep::posix {

class HeldFile {
 public:
  // A regular file. `what` begins errors, as in "the kernel".
  static Result<HeldFile> open(std::string path, std::string what);

  // All of it, as it is now. kInvalid when these are more than `max_bytes`.
  Result<Bytes> read(size_t max_bytes) const;
  const std::string& path() const { return path_; }

 private:
  HeldFile(Fd fd, std::string path, std::string what)
      : fd_(std::move(fd)), path_(std::move(path)), what_(std::move(what)) {}

  Fd fd_;
  std::string path_;
  std::string what_;
};

}  // namespace lockstep::posix
