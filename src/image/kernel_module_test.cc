#include "image/kernel_module.h"

#include <cstdlib>
#include <cstring>
#include <elf.h>
#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "image/elf_file.h"
#include "image/files.h"
#include "image/tools.h"

namespace lockstep::image {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Writes relocatable ELF files by hand.
class ModuleBuilder {
 public:
  struct Section {
    std::string name;
    uint32_t type = SHT_PROGBITS;
    Bytes content = {};
    uint32_t link = 0;
    uint32_t info = 0;
  };

  ModuleBuilder() { sections_.push_back({"", SHT_NULL}); }

  size_t add(Section section) {
    sections_.push_back(std::move(section));
    return sections_.size() - 1;
  }
  void add_symbol(const std::string& name, unsigned binding, unsigned type, uint64_t value) {
    Elf64_Sym symbol{};
    symbol.st_name = static_cast<Elf64_Word>(strings_.size());
    symbol.st_info = static_cast<unsigned char>(ELF64_ST_INFO(binding, type));
    symbol.st_shndx = 1;
    symbol.st_value = value;
    strings_ += name + '\0';
    symbols_.push_back(symbol);
  }
  template <typename T>
  static Bytes bytes_of(const std::vector<T>& values) {
    const ByteView view = std::as_bytes(std::span(values));
    return {view.begin(), view.end()};
  }
  static Bytes text(std::string_view value) {
    const ByteView view = as_byte_view(value);
    return {view.begin(), view.end()};
  }

  Bytes build() {
    const auto string_index = static_cast<uint32_t>(sections_.size() + 1);
    add({".symtab", SHT_SYMTAB, bytes_of(symbols_), string_index, 0});
    add({".strtab", SHT_STRTAB, text(strings_)});
    std::string names;
    std::vector<Elf64_Shdr> headers;
    add({".shstrtab", SHT_STRTAB});
    Bytes out(sizeof(Elf64_Ehdr));
    for (const Section& section : sections_) {
      Elf64_Shdr header{};
      header.sh_name = static_cast<Elf64_Word>(names.size());
      header.sh_type = section.type;
      header.sh_link = section.link;
      header.sh_info = section.info;
      header.sh_addralign = 8;
      names += section.name + '\0';
      headers.push_back(header);
    }
    sections_.back().content = text(names);
    for (size_t i = 0; i < sections_.size(); ++i) {
      out.resize((out.size() + 7) / 8 * 8);
      headers[i].sh_offset = out.size();
      headers[i].sh_size = sections_[i].content.size();
      out.insert(out.end(), sections_[i].content.begin(), sections_[i].content.end());
    }
    Elf64_Ehdr header{};
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_type = ET_REL;
    header.e_machine = EM_RISCV;
    header.e_shentsize = sizeof(Elf64_Shdr);
    header.e_shnum = static_cast<Elf64_Half>(headers.size());
    header.e_shstrndx = static_cast<Elf64_Half>(headers.size() - 1);
    out.resize((out.size() + 7) / 8 * 8);
    header.e_shoff = out.size();
    std::memcpy(out.data(), &header, sizeof header);
    const ByteView table = std::as_bytes(std::span(headers));
    out.insert(out.end(), table.begin(), table.end());
    return out;
  }

 private:
  std::vector<Section> sections_;
  std::string strings_ = std::string(1, '\0');
  std::vector<Elf64_Sym> symbols_{Elf64_Sym{}};
};

Elf64_Rela relocation(uint64_t offset, uint64_t symbol) {
  return {offset, ELF64_R_INFO(symbol, R_RISCV_64), 5};
}

// Symbols: 1 an unused label, 2 a label that a relocation uses, 3 a function, 4 a mapping symbol,
// 5 a global without definition.
Bytes make_module(std::string_view modinfo) {
  ModuleBuilder builder;
  builder.add({".text", SHT_PROGBITS, Bytes(64, std::byte{0x13})});
  builder.add_symbol(".L1", STB_LOCAL, STT_NOTYPE, 4);
  builder.add_symbol(".L2", STB_LOCAL, STT_NOTYPE, 8);
  builder.add_symbol("a_function", STB_LOCAL, STT_FUNC, 16);
  builder.add_symbol("$x", STB_LOCAL, STT_NOTYPE, 0);
  builder.add_symbol("printk", STB_GLOBAL, STT_NOTYPE, 0);
  builder.add({".rela.text", SHT_RELA,
               ModuleBuilder::bytes_of<Elf64_Rela>({relocation(0, 2), relocation(8, 5)}), 5, 1});
  builder.add({".modinfo", SHT_PROGBITS, ModuleBuilder::text(modinfo)});
  builder.add({".BTF", SHT_PROGBITS, Bytes(1000)});
  return builder.build();
}

const std::string kModinfo("license=GPL\0depends=mbcache,virtio-ring\0alias=x\0", 47);

TEST(KernelModule, NamesHaveUnderscoresAndNoSuffix) {
  EXPECT_EQ(module_name("virtio-rng.ko.xz"), "virtio_rng");
  EXPECT_EQ(module_name("ext4"), "ext4");
}

TEST(KernelModule, ReadsDependencies) {
  EXPECT_THAT(module_dependencies(make_module(kModinfo), "m").value(),
              ElementsAre("mbcache", "virtio_ring"));
  EXPECT_THAT(module_dependencies(make_module(std::string("depends=\0", 9)), "m").value(),
              IsEmpty());
  EXPECT_THAT(module_dependencies(make_module("depends=unended"), "m").value(),
              ElementsAre("unended"));
}

TEST(KernelModule, SlimKeepsWhatRelocationsAndPeopleUse) {
  const Bytes module = make_module(kModinfo);
  const auto slim = slim_module(module, "m");
  ASSERT_TRUE(slim);
  EXPECT_LT(slim->size() + 900, module.size());
  const auto elf = ElfFile::parse(*slim, "slim");
  ASSERT_TRUE(elf) << elf.error().text();

  const size_t table = elf->find_section(".symtab").value();
  const auto& header = elf->sections()[table];
  std::vector<std::string> names;
  for (const Elf64_Sym& symbol : read_array<Elf64_Sym>(elf->content(table))) {
    names.emplace_back(elf->text_at(header.sh_link, symbol.st_name));
  }
  EXPECT_THAT(names, ElementsAre("", ".L2", "a_function", "printk"));
  EXPECT_EQ(header.sh_info, 3U);  // the first symbol that is not local

  const auto relocations =
      read_array<Elf64_Rela>(elf->content(elf->find_section(".rela.text").value()));
  ASSERT_EQ(relocations.size(), 2U);
  EXPECT_EQ(ELF64_R_SYM(relocations[0].r_info), 1U);
  EXPECT_EQ(ELF64_R_SYM(relocations[1].r_info), 3U);
  EXPECT_EQ(ELF64_R_TYPE(relocations[1].r_info), static_cast<uint64_t>(R_RISCV_64));
  EXPECT_EQ(relocations[1].r_addend, 5);

  EXPECT_EQ(elf->content(elf->find_section(".text").value()).size(), 64U);
  EXPECT_EQ(elf->content(elf->find_section(".BTF").value()).size(), 0U);
  EXPECT_THAT(module_dependencies(*slim, "m").value(), ElementsAre("mbcache", "virtio_ring"));
  // Nothing more to take away.
  EXPECT_EQ(slim_module(*slim, "m").value(), *slim);
}

TEST(KernelModule, ARelocationOfNoSymbolLeavesTheModuleAsItIs) {
  ModuleBuilder builder;
  builder.add({".text", SHT_PROGBITS, Bytes(64)});
  builder.add_symbol(".L1", STB_LOCAL, STT_NOTYPE, 4);
  builder.add(
      {".rela.text", SHT_RELA, ModuleBuilder::bytes_of<Elf64_Rela>({relocation(0, 99)}), 3, 1});
  const Bytes module = builder.build();
  EXPECT_EQ(slim_module(module, "m").value(), module);
}

TEST(KernelModule, EveryTruncationIsAnErrorAndNoneReadsOutside) {
  const Bytes module = make_module(kModinfo);
  for (size_t size = 0; size < module.size(); ++size) {
    // A copy of its own, so that the sanitizer sees a read past the end.
    const Bytes cut(module.begin(), module.begin() + static_cast<ptrdiff_t>(size));
    EXPECT_FALSE(slim_module(cut, "m")) << size;
    EXPECT_FALSE(module_dependencies(cut, "m")) << size;
  }
}

TEST(KernelModule, FlippedBytesAreSurvived) {
  const Bytes module = make_module(kModinfo);
  for (size_t i = 0; i < module.size(); ++i) {
    Bytes damaged = module;
    damaged[i] ^= std::byte{0xff};
    const auto slim = slim_module(damaged, "m");
    EXPECT_TRUE(slim || slim.error().code == ErrorCode::kCorrupt);
    const auto needed = needed_libraries(damaged, "m");
    EXPECT_TRUE(needed || needed.error().code == ErrorCode::kCorrupt);
  }
}

TEST(NeededLibraries, OfThisTestProgram) {
  const auto program = read_file(std::filesystem::read_symlink("/proc/self/exe"));
  ASSERT_TRUE(program);
  EXPECT_THAT(needed_libraries(*program, "self").value(), testing::Contains("libc.so.6"));
}

class ModuleTreeTest : public testing::Test {
 protected:
  ModuleTreeTest() {
    std::string pattern = std::filesystem::temp_directory_path() / "lockstep-modules-XXXXXX";
    scratch_ = ::mkdtemp(pattern.data());
    add("a-top", "b_middle,c_builtin");
    add("b_middle", "d-bottom");
    add("d-bottom", "");
    add("e_other", "d-bottom");
    EXPECT_TRUE(write_text(scratch_ / "modules.builtin", "kernel/lib/c-builtin.ko\n"));
  }
  ~ModuleTreeTest() override { std::filesystem::remove_all(scratch_); }
  void add(const std::string& name, const std::string& depends) {
    const auto directory = scratch_ / "kernel" / name;
    EXPECT_TRUE(make_directories(directory));
    EXPECT_TRUE(write_file(directory / (name + ".ko"),
                           make_module("depends=" + depends + std::string(1, '\0'))));
  }
  std::vector<std::string> order(const std::vector<std::string>& wanted) {
    auto index = ModuleIndex::scan(scratch_);
    EXPECT_TRUE(index);
    const auto modules = modules_in_load_order(*index, wanted);
    EXPECT_TRUE(modules) << modules.error().text();
    std::vector<std::string> names;
    for (const LoadedModule& module : *modules) names.push_back(module.name);
    return names;
  }
  std::filesystem::path scratch_;
};

TEST_F(ModuleTreeTest, DependenciesComeFirstAndOnce) {
  EXPECT_THAT(order({"a_top", "e-other"}), ElementsAre("d_bottom", "b_middle", "a_top", "e_other"));
  EXPECT_THAT(order({"c_builtin"}), IsEmpty());
}

TEST_F(ModuleTreeTest, CircularDependenciesEnd) {
  add("f", "g");
  add("g", "f");
  EXPECT_THAT(order({"f"}), ElementsAre("g", "f"));
}

TEST_F(ModuleTreeTest, AMissingModuleIsNamed) {
  auto index = ModuleIndex::scan(scratch_);
  ASSERT_TRUE(index);
  const auto modules = modules_in_load_order(*index, {"no_such"});
  ASSERT_FALSE(modules);
  EXPECT_EQ(modules.error().object, "no_such");
  EXPECT_FALSE(ModuleIndex::scan(scratch_ / "nothing"));
}

TEST_F(ModuleTreeTest, CompressedModulesAreUnpacked) {
  ASSERT_FALSE(find_tool("xz").empty()) << "run tools/install-packages";
  ASSERT_TRUE(run_tool({"xz", (scratch_ / "kernel/d-bottom/d-bottom.ko").string()}));
  EXPECT_THAT(order({"e_other"}), ElementsAre("d_bottom", "e_other"));
}

}  // namespace
}  // namespace lockstep::image
