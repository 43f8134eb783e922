// Unix sockets by path, of any length: sockaddr_un holds 107 bytes, a state directory may be
// deeper.
//
// A longer path is reached through its open directory, as /proc/self/fd/N/name.
// Owner: whoever holds it; usable() is valid while it lives.
#pragma once

#include <string>

#include "base/error.h"
#include "io/posix/fd.h"

namespace lockstep::posix {

class UnixSocketPath {
 public:
  // Error when the directory does not exist, or when the name alone is too long.
  static Result<UnixSocketPath> open(const std::string& path);

  // What bind and connect take.
  const std::string& usable() const { return usable_; }

 private:
  UnixSocketPath(Fd directory, std::string usable)
      : directory_(std::move(directory)), usable_(std::move(usable)) {}
  Fd directory_;  // invalid for a short path
  std::string usable_;
};

// A connected stream socket. Error kUnavailable when nobody listens, kNotFound without the file.
Result<Fd> connect_unix_socket(const std::string& path);

// Removes the socket file of a process that has gone. Error kInUse when somebody listens.
Status remove_stale_socket(const std::string& path);

// Connects and reads until the other end closes, at most `timeout_ms` and `limit` bytes.
Result<std::string> read_unix_socket(const std::string& path, int timeout_ms, size_t limit);

}  // namespace lockstep::posix
