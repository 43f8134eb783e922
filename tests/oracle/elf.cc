#include "tests/oracle/elf.h"

#include <algorithm>
#include <cstring>
#include <elf.h>

namespace lockstep::oracle {

Bytes make_elf(const Program& program) {
  Elf64_Ehdr header{};
  header.e_ident[EI_MAG0] = ELFMAG0;
  header.e_ident[EI_MAG1] = ELFMAG1;
  header.e_ident[EI_MAG2] = ELFMAG2;
  header.e_ident[EI_MAG3] = ELFMAG3;
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_EXEC;
  header.e_machine = EM_RISCV;
  header.e_version = EV_CURRENT;
  header.e_entry = program.entry.value;
  header.e_phoff = sizeof(Elf64_Ehdr);
  header.e_flags = EF_RISCV_RVC | EF_RISCV_FLOAT_ABI_DOUBLE;
  header.e_ehsize = sizeof(Elf64_Ehdr);
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = 1;

  Elf64_Phdr segment{};
  segment.p_type = PT_LOAD;
  segment.p_flags = PF_R | PF_W | PF_X;
  segment.p_offset = kPage;  // congruent to its address
  segment.p_vaddr = program.base.value;
  segment.p_paddr = program.base.value;
  segment.p_filesz = program.image.size();
  segment.p_memsz = program.image.size();
  segment.p_align = kPage;

  Bytes file(kPage + program.image.size());
  std::memcpy(file.data(), &header, sizeof(header));
  std::memcpy(file.data() + sizeof(header), &segment, sizeof(segment));
  std::ranges::copy(program.image, file.begin() + kPage);
  return file;
}

}  // namespace lockstep::oracle
