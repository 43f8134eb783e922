// Writes little-endian numbers one after the other into a place of fixed size: the headers.
//
// Owner: none. The caller knows that the place is large enough.
#pragma once

#include <cstddef>
#include <cstring>
#include <type_traits>

#include "base/bytes.h"

namespace lockstep::log {

class Packer {
 public:
  explicit Packer(std::byte* out) : out_(out) {}

  template <typename T>
    requires std::is_integral_v<T>
  Packer& put(T value) {
    std::memcpy(out_, &value, sizeof(T));
    out_ += sizeof(T);
    return *this;
  }

 private:
  std::byte* out_;
};

}  // namespace lockstep::log
