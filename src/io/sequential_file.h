// Files that are written or read from front to back: the port under logs and snapshots.
//
// Every call either does all that it says or gives an error; a short write is never reported as
// success. After an error of a writer the end of the file may hold a part of the bytes.
//
// Owner: one thread at a time. Adapter: io/posix/file.h.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "base/bytes.h"
#include "base/error.h"

namespace lockstep::io {

class SequentialWriter {
 public:
  virtual ~SequentialWriter() = default;
  virtual Status write(ByteView bytes) = 0;
  // What was written survives a crash of the host.
  virtual Status sync() = 0;
  // As in errors: the path.
  virtual const std::string& name() const = 0;
};

class SequentialReader {
 public:
  virtual ~SequentialReader() = default;
  // The count of bytes read, 1 to out.size(); 0 at the end of the file. `out` is not empty.
  virtual Result<size_t> read(std::span<std::byte> out) = 0;
  virtual const std::string& name() const = 0;
};

}  // namespace lockstep::io
