// Zeroed memory from the kernel, returned when this goes. Owner: whoever holds it.
#pragma once

#include <cstddef>
#include <span>

#include "base/error.h"

namespace lockstep::posix {

class AnonymousMemory {
 public:
  // `size`: bytes, a multiple of the page size. Not touched until used; no swap is reserved.
  static Result<AnonymousMemory> create(size_t size);
  AnonymousMemory(AnonymousMemory&& other) noexcept;
  AnonymousMemory& operator=(AnonymousMemory&& other) noexcept;
  ~AnonymousMemory();

  std::span<std::byte> bytes() const { return bytes_; }
  // All zero again, pages given back.
  void clear();

 private:
  explicit AnonymousMemory(std::span<std::byte> bytes) : bytes_(bytes) {}
  std::span<std::byte> bytes_;
};

}  // namespace lockstep::posix
