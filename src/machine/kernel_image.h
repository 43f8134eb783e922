// A kernel from a file, as the boot loader needs it in RAM.
//
// Accepts what riscv64 distributions put into /boot: a raw `Image` (Debian's vmlinux-* is one), an
// `Image` compressed by gzip or zstd (`Image.gz`), and an EFI zboot image with either compression.
// Anything else is an Error that says what the file is instead.
//
// Invariants of a KernelImage
//   1. bytes.size() <= image_size.
//   2. text_offset is below kMaxTextOffset, image_size is at most kMaxKernelImageSize.
//
// Sources: Linux Documentation/arch/riscv/boot-image-header.rst; the zboot header is described in
// Linux drivers/firmware/efi/libstub/zboot-header.S; RFC 1952 (gzip); RFC 8878 (zstd).
//
// Owner: none (values).
#pragma once

#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "base/error.h"

namespace lockstep::machine {

// Bounds what a compressed file may become.
inline constexpr uint64_t kMaxKernelImageSize = uint64_t{256} << 20;
inline constexpr uint64_t kMaxTextOffset = uint64_t{1} << 30;

struct KernelImage {
  Bytes bytes;
  uint64_t text_offset = 0;  // bytes from the start of RAM to where `bytes` is loaded
  uint64_t image_size = 0;   // bytes of RAM that the kernel takes from there on, with its bss
};

// From a file's content; `name` stands for it in errors: kInvalid (it is something else), kCorrupt
// (truncated or damaged), kIncompatible (a kernel, but not one for this machine).
Result<KernelImage> parse_kernel_image(Bytes file, const std::string& name);

}  // namespace lockstep::machine
