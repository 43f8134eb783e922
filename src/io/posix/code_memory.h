// Memory for generated code and the tables that it reads, below 2 GiB so that 32 bits name a place.
//
// Invariant: no mapping is writable and executable at once. Code is written through one mapping and
// run through another, of the same pages at another address.
//
// Owner: whoever holds it; freed when it goes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/error.h"

namespace lockstep::posix {

class CodeMemory {
 public:
  // Sizes in bytes, multiples of the page size; not touched until used.
  static Result<CodeMemory> create(size_t code_size, size_t table_size);
  CodeMemory(CodeMemory&& other) noexcept;
  CodeMemory& operator=(CodeMemory&& other) noexcept;
  ~CodeMemory();

  std::span<std::byte> writable_code() const { return writable_; }
  uint32_t code_address() const { return code_address_; }
  // Zeroed; ordinary data.
  std::span<std::byte> tables() const { return tables_; }
  static uint32_t address_of(const void* place);

 private:
  CodeMemory() = default;

  std::span<std::byte> writable_;
  std::span<std::byte> executable_;
  std::span<std::byte> tables_;
  uint32_t code_address_ = 0;
};

}  // namespace lockstep::posix
