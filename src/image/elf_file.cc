#include "image/elf_file.h"

#include <algorithm>
#include <cstring>

namespace lockstep::image {
namespace {

std::unexpected<Error> fail_elf(const std::string& name, const char* reason) {
  return fail(ErrorCode::kCorrupt, "not a usable ELF file", name, reason);
}

}  // namespace

Result<ElfFile> ElfFile::parse(ByteView file, const std::string& name) {
  ElfFile elf;
  elf.file_ = file;
  if (file.size() < sizeof(Elf64_Ehdr)) return fail_elf(name, "it is too short");
  std::memcpy(&elf.header_, file.data(), sizeof(Elf64_Ehdr));
  const Elf64_Ehdr& header = elf.header_;
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return fail_elf(name, "no ELF magic");
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB) {
    return fail_elf(name, "it is not 64-bit little-endian");
  }
  const uint64_t table_size = uint64_t{header.e_shnum} * sizeof(Elf64_Shdr);
  if (header.e_shoff > file.size() || table_size > file.size() - header.e_shoff ||
      (header.e_shnum != 0 && header.e_shentsize != sizeof(Elf64_Shdr))) {
    return fail_elf(name, "its section headers are outside the file");
  }
  elf.sections_ = read_array<Elf64_Shdr>(file.subspan(header.e_shoff, table_size));
  for (const Elf64_Shdr& section : elf.sections_) {
    if (section.sh_type == SHT_NOBITS) continue;
    if (section.sh_offset > file.size() || section.sh_size > file.size() - section.sh_offset) {
      return fail_elf(name, "a section is outside the file");
    }
  }
  return elf;
}

ByteView ElfFile::content(size_t index) const {
  const Elf64_Shdr& section = sections_[index];
  if (section.sh_type == SHT_NOBITS) return {};
  return file_.subspan(section.sh_offset, section.sh_size);
}

std::string_view ElfFile::text_at(size_t string_section, uint64_t offset) const {
  if (string_section >= sections_.size()) return {};
  const std::string_view strings = as_text(content(string_section));
  if (offset >= strings.size()) return {};
  return strings.substr(offset, strings.find('\0', offset) - offset);
}

std::string_view ElfFile::section_name(size_t index) const {
  return text_at(header_.e_shstrndx, sections_[index].sh_name);
}

std::optional<size_t> ElfFile::find_section(std::string_view name) const {
  for (size_t i = 0; i < sections_.size(); ++i) {
    if (section_name(i) == name) return i;
  }
  return std::nullopt;
}

std::optional<size_t> ElfFile::find_section_of_type(uint32_t type) const {
  const auto found = std::ranges::find(sections_, type, &Elf64_Shdr::sh_type);
  if (found == sections_.end()) return std::nullopt;
  return static_cast<size_t>(found - sections_.begin());
}

Result<std::vector<std::string>> needed_libraries(ByteView file, const std::string& name) {
  const auto elf = ElfFile::parse(file, name);
  if (!elf) return std::unexpected(elf.error());
  std::vector<std::string> libraries;
  const auto dynamic = elf->find_section_of_type(SHT_DYNAMIC);
  if (!dynamic) return libraries;
  for (const Elf64_Dyn& entry : read_array<Elf64_Dyn>(elf->content(*dynamic))) {
    if (entry.d_tag != DT_NEEDED) continue;
    libraries.emplace_back(elf->text_at(elf->sections()[*dynamic].sh_link, entry.d_un.d_val));
  }
  return libraries;
}

}  // namespace lockstep::image
