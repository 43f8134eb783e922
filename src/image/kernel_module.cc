#include "image/kernel_module.h"

#include <algorithm>
#include <cstring>
#include <system_error>

#include "image/elf_file.h"
#include "image/files.h"
#include "image/tools.h"

namespace lockstep::image {
namespace {

constexpr size_t kSectionAlignment = 8;

// Which symbols of a module stay, and their new numbers.
class SymbolSelection {
 public:
  SymbolSelection(const ElfFile& elf, size_t symbol_section)
      : elf_(elf),
        string_section_(elf.sections()[symbol_section].sh_link),
        symbols_(read_array<Elf64_Sym>(elf.content(symbol_section))),
        keep_(symbols_.size()) {
    for (size_t i = 0; i < symbols_.size(); ++i) keep_[i] = i == 0 || has_a_meaning(symbols_[i]);
  }

  // False when the index is no symbol.
  bool keep(uint64_t index) {
    if (index >= keep_.size()) return false;
    keep_[index] = true;
    return true;
  }

  // Local symbols stay in front of the others, as the ABI wants.
  void number() {
    new_index_.assign(symbols_.size(), 0);
    strings_.push_back(std::byte{0});
    for (size_t i = 0; i < symbols_.size(); ++i) {
      if (!keep_[i]) continue;
      Elf64_Sym symbol = symbols_[i];
      const std::string_view name = elf_.text_at(string_section_, symbol.st_name);
      symbol.st_name = name.empty() ? 0 : static_cast<Elf64_Word>(strings_.size());
      if (!name.empty()) {
        const ByteView text = as_byte_view(name);
        strings_.insert(strings_.end(), text.begin(), text.end());
        strings_.push_back(std::byte{0});
      }
      new_index_[i] = static_cast<uint32_t>(kept_.size());
      if (ELF64_ST_BIND(symbol.st_info) == STB_LOCAL) ++local_count_;
      kept_.push_back(symbol);
    }
  }

  uint32_t new_index(uint64_t index) const { return new_index_[index]; }
  uint32_t local_count() const { return local_count_; }
  const Bytes& strings() const { return strings_; }
  Bytes content() const {
    Bytes bytes(kept_.size() * sizeof(Elf64_Sym));
    std::memcpy(bytes.data(), kept_.data(), bytes.size());
    return bytes;
  }

 private:
  bool has_a_meaning(const Elf64_Sym& symbol) const {
    if (ELF64_ST_BIND(symbol.st_info) != STB_LOCAL) return true;
    const unsigned type = ELF64_ST_TYPE(symbol.st_info);
    if (type != STT_FUNC && type != STT_OBJECT) return false;
    return !elf_.text_at(string_section_, symbol.st_name).starts_with(".L");
  }

  const ElfFile& elf_;
  size_t string_section_;
  std::vector<Elf64_Sym> symbols_;
  std::vector<bool> keep_;
  std::vector<uint32_t> new_index_;
  std::vector<Elf64_Sym> kept_;
  uint32_t local_count_ = 0;
  Bytes strings_;
};

// Sections that number symbols in ways that slimming does not follow.
bool is_understood(const ElfFile& elf, size_t symbol_section) {
  const auto& sections = elf.sections();
  const size_t strings = sections[symbol_section].sh_link;
  if (elf.header().e_type != ET_REL || strings >= sections.size()) return false;
  if (strings == elf.header().e_shstrndx) return false;
  return std::ranges::none_of(sections, [](const Elf64_Shdr& section) {
    return section.sh_type == SHT_REL || section.sh_type == SHT_GROUP ||
           section.sh_type == SHT_SYMTAB_SHNDX;
  });
}

// Lays out new sections one after the other behind the header.
Bytes assemble(const ElfFile& elf, std::vector<Elf64_Shdr> sections,
               const std::vector<Bytes>& contents) {
  Bytes out(sizeof(Elf64_Ehdr));
  const auto align = [&](uint64_t alignment) {
    const uint64_t unit = std::max<uint64_t>(alignment, kSectionAlignment);
    out.resize((out.size() + unit - 1) / unit * unit);
  };
  for (size_t i = 1; i < sections.size(); ++i) {
    align(std::min<uint64_t>(sections[i].sh_addralign, 4096));
    sections[i].sh_offset = out.size();
    if (sections[i].sh_type == SHT_NOBITS) continue;
    sections[i].sh_size = contents[i].size();
    out.insert(out.end(), contents[i].begin(), contents[i].end());
  }
  align(kSectionAlignment);
  Elf64_Ehdr header = elf.header();
  header.e_shoff = out.size();
  std::memcpy(out.data(), &header, sizeof header);
  const ByteView table = std::as_bytes(std::span(sections));
  out.insert(out.end(), table.begin(), table.end());
  return out;
}

}  // namespace

std::string module_name(std::string_view file_or_module) {
  std::string name(file_or_module.substr(0, file_or_module.find(".ko")));
  std::ranges::replace(name, '-', '_');
  return name;
}

Result<std::vector<std::string>> module_dependencies(ByteView module, const std::string& name) {
  const auto elf = ElfFile::parse(module, name);
  if (!elf) return std::unexpected(elf.error());
  const auto section = elf->find_section(".modinfo");
  if (!section) return fail(ErrorCode::kCorrupt, "no .modinfo in the kernel module", name);
  // "key=value" texts, each ended by a NUL.
  constexpr std::string_view kKey = "depends=";
  std::string_view rest = as_text(elf->content(*section));
  std::vector<std::string> modules;
  while (!rest.empty()) {
    std::string_view entry = rest.substr(0, rest.find('\0'));
    rest.remove_prefix(std::min(entry.size() + 1, rest.size()));
    if (!entry.starts_with(kKey)) continue;
    entry.remove_prefix(kKey.size());
    while (!entry.empty()) {
      const std::string_view one = entry.substr(0, entry.find(','));
      if (!one.empty()) modules.push_back(module_name(one));
      entry.remove_prefix(std::min(one.size() + 1, entry.size()));
    }
  }
  return modules;
}

Result<Bytes> slim_module(ByteView module, const std::string& name) {
  const auto elf = ElfFile::parse(module, name);
  if (!elf) return std::unexpected(elf.error());
  const Bytes unchanged(module.begin(), module.end());
  const auto symbol_section = elf->find_section_of_type(SHT_SYMTAB);
  if (!symbol_section || !is_understood(*elf, *symbol_section)) return unchanged;

  std::vector<Elf64_Shdr> sections = elf->sections();
  SymbolSelection symbols(*elf, *symbol_section);
  std::vector<Bytes> contents(sections.size());
  for (size_t i = 0; i < sections.size(); ++i) {
    const ByteView content = elf->content(i);
    // The section stays, empty, so that no section changes its number.
    const bool dropped = elf->section_name(i).starts_with(".BTF");
    if (!dropped) contents[i].assign(content.begin(), content.end());
    if (sections[i].sh_type != SHT_RELA) continue;
    for (const Elf64_Rela& relocation : read_array<Elf64_Rela>(content)) {
      if (!symbols.keep(ELF64_R_SYM(relocation.r_info))) return unchanged;
    }
  }
  symbols.number();
  for (size_t i = 0; i < sections.size(); ++i) {
    if (sections[i].sh_type != SHT_RELA) continue;
    auto relocations = read_array<Elf64_Rela>(contents[i]);
    for (Elf64_Rela& relocation : relocations) {
      relocation.r_info = ELF64_R_INFO(uint64_t{symbols.new_index(ELF64_R_SYM(relocation.r_info))},
                                       ELF64_R_TYPE(relocation.r_info));
    }
    if (!relocations.empty()) {
      std::memcpy(contents[i].data(), relocations.data(), relocations.size() * sizeof(Elf64_Rela));
    }
  }
  contents[*symbol_section] = symbols.content();
  contents[sections[*symbol_section].sh_link] = symbols.strings();
  sections[*symbol_section].sh_info = symbols.local_count();
  return assemble(*elf, std::move(sections), contents);
}

Result<ModuleIndex> ModuleIndex::scan(const std::filesystem::path& directory) {
  ModuleIndex index;
  index.directory_ = directory;
  std::error_code error;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(directory / "kernel", error)) {
    const std::string file = entry.path().filename();
    if (file.contains(".ko")) index.files_[module_name(file)] = entry.path();
  }
  if (index.files_.empty()) {
    return fail(ErrorCode::kNotFound, "no kernel modules in", directory.string());
  }
  const auto built_in = read_text(directory / "modules.builtin");
  if (!built_in) return std::unexpected(built_in.error());
  std::string_view rest = *built_in;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    index.built_in_.insert(module_name(line.substr(line.rfind('/') + 1)));
  }
  return index;
}

Result<std::filesystem::path> ModuleIndex::file(const std::string& module) {
  const auto found = files_.find(module);
  if (found == files_.end()) {
    return fail(ErrorCode::kNotFound, "the kernel package has no module", module,
                "this build expects Debian's riscv64 kernel");
  }
  std::filesystem::path& path = found->second;
  const std::string extension = path.extension();
  Status status;
  if (extension == ".xz") status = run_tool({"xz", "--decompress", path.string()});
  if (extension == ".zst") status = run_tool({"zstd", "-q", "--decompress", "--rm", path.string()});
  if (!status) return std::unexpected(status.error());
  if (extension != ".ko") path.replace_extension();
  return path;
}

Result<std::vector<LoadedModule>> modules_in_load_order(ModuleIndex& index,
                                                        const std::vector<std::string>& wanted) {
  std::vector<LoadedModule> order;
  std::set<std::string> visited;
  // Depth first: a module is appended once everything that it depends on is.
  const auto visit = [&](const auto& self, const std::string& module) -> Status {
    if (index.built_in(module) || !visited.insert(module).second) return {};
    const auto path = index.file(module);
    if (!path) return std::unexpected(path.error());
    const auto content = read_file(*path);
    if (!content) return std::unexpected(content.error());
    const auto dependencies = module_dependencies(*content, path->string());
    if (!dependencies) return std::unexpected(dependencies.error());
    for (const std::string& dependency : *dependencies) {
      if (auto status = self(self, dependency); !status) return status;
    }
    auto slim = slim_module(*content, path->string());
    if (!slim) return std::unexpected(slim.error());
    order.push_back({module, std::move(*slim)});
    return {};
  };
  for (const std::string& module : wanted) {
    if (auto status = visit(visit, module_name(module)); !status) {
      return std::unexpected(status.error());
    }
  }
  return order;
}

}  // namespace lockstep::image
