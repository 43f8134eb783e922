// Port: a disk image, as what carries out a guest's requests.
//
// Calls block; the caller gives each disk a thread. Offsets and lengths are in bytes, multiples of
// 512 and within size(). What write() returned for is read back by any later read(); flush() makes
// it survive a crash of the host.
//
// Owner: one thread at a time.
#pragma once

#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "base/error.h"

namespace lockstep::io {

class Disk {
 public:
  virtual ~Disk() = default;
  virtual uint64_t size() const = 0;
  virtual Status read(uint64_t offset, std::span<std::byte> out) = 0;
  virtual Status write(uint64_t offset, ByteView data) = 0;
  virtual Status flush() = 0;
  // The range reads as zeroes afterwards, and its space is given back where that is possible.
  virtual Status discard(uint64_t offset, uint64_t length) = 0;
};

}  // namespace lockstep::io
