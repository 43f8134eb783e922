// A log file that is only appended to, and never grows past a limit: at the limit it becomes
// PATH.1, in place of the one before, and a new file is begun.
//
// Owner: one thread. Units: bytes.
#pragma once

#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "base/error.h"
#include "io/posix/fd.h"

namespace lockstep::posix {

class AppendFile {
 public:
  // Made with mode 0600 if it is not there.
  static Result<AppendFile> open(std::string path, uint64_t limit);

  // On an error some of the bytes may have been written.
  Status append(ByteView bytes);
  const std::string& path() const { return path_; }

 private:
  AppendFile() = default;
  Status reopen();

  std::string path_;
  uint64_t limit_ = 0;
  uint64_t size_ = 0;
  Fd fd_;
};

}  // namespace lockstep::posix
