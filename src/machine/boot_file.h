// What the board loads into RAM at each power-on: the kernel, the initrd.
//
// Known by size and hash. The bytes are not kept in memory, where they would lie unused from one
// power-on to the next, but read again when they are wanted; a source that has changed by then is
// an error, so that every power-on is the same.
//
// Values that share their source. Owner: none; one thread at a time reads.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/error.h"
#include "base/hash.h"

namespace lockstep::machine {

class BootFileSource {
 public:
  virtual ~BootFileSource() = default;
  // The bytes as they go into RAM.
  virtual Result<Bytes> read() = 0;
  // As in errors: the path.
  virtual const std::string& name() const = 0;
};

class BootFile {
 public:
  // Of no bytes.
  BootFile() = default;
  // `contents` is what `source` gave when it was read for the first time.
  BootFile(ByteView contents, std::shared_ptr<BootFileSource> source);

  uint64_t size() const { return size_; }
  Hash128 hash() const { return hash_; }

  // The bytes of the first time. kCorrupt when the source gives others now; other errors are the
  // source's.
  Result<Bytes> read() const;

 private:
  uint64_t size_ = 0;
  Hash128 hash_ = hash128({});
  std::shared_ptr<BootFileSource> source_;
};

}  // namespace lockstep::machine
