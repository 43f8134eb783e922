// The sections of a 64-bit little-endian ELF file, bounds-checked.
//
// Source: the System V ABI, chapters 4 and 5 (gabi). Owner: whoever holds it; borrows the file.
#pragma once

#include <elf.h>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

namespace lockstep::image {

class ElfFile {
 public:
  // Every section's content lies inside the file. `name` stands for the file in errors.
  static Result<ElfFile> parse(ByteView file, const std::string& name);

  const Elf64_Ehdr& header() const { return header_; }
  const std::vector<Elf64_Shdr>& sections() const { return sections_; }
  std::string_view section_name(size_t index) const;
  // Empty for SHT_NOBITS.
  ByteView content(size_t index) const;
  std::optional<size_t> find_section(std::string_view name) const;
  std::optional<size_t> find_section_of_type(uint32_t type) const;
  // The text up to the next NUL; empty when the offset is outside.
  std::string_view text_at(size_t string_section, uint64_t offset) const;

 private:
  ByteView file_;
  Elf64_Ehdr header_{};
  std::vector<Elf64_Shdr> sections_;
};

// Content as an array of T; a rest smaller than one is left out.
template <typename T>
std::vector<T> read_array(ByteView content) {
  std::vector<T> out(content.size() / sizeof(T));
  if (!out.empty()) std::memcpy(out.data(), content.data(), out.size() * sizeof(T));
  return out;
}

// The libraries that a program or library loads (DT_NEEDED), in their order.
Result<std::vector<std::string>> needed_libraries(ByteView file, const std::string& name);

}  // namespace lockstep::image
