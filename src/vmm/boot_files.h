// Kernel and initrd from the host's files, for a board.
//
// The files stay open: a restart of the guest reads the files that were opened, whatever has been
// put in their place since. Writing into them is noticed then, and is an error (machine::BootFile).
//
// Owner: as machine::BootFile.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "machine/boot_file.h"

namespace lockstep::vmm {

inline constexpr size_t kMaxInitrdBytes = size_t{1} << 30;

struct KernelFile {
  machine::BootFile file;  // unpacked
  uint64_t text_offset = 0;
  uint64_t image_size = 0;
};

// Errors: those of posix::HeldFile and of machine::parse_kernel_image().
Result<KernelFile> open_kernel(const std::string& path);
// An empty path is no initrd; an empty file is kCorrupt.
Result<machine::BootFile> open_initrd(const std::string& path);

}  // namespace lockstep::vmm
