// The board: what the guest finds where. Compatible with QEMU's `virt` machine, so that stock
// kernels, firmware and other systems boot unchanged.
//
// Values. Owner: none.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/hash.h"
#include "base/types.h"
#include "machine/boot_file.h"
#include "riscv/isa.h"

namespace lockstep::machine {

inline constexpr GuestAddress kSysconBase{0x100000};
inline constexpr GuestAddress kRtcBase{0x101000};
inline constexpr GuestAddress kPlicBase{0xc000000};
inline constexpr GuestAddress kUartBase{0x10000000};
inline constexpr GuestAddress kVirtioBase{0x10001000};
inline constexpr GuestAddress kRamBase{0x80000000};

inline constexpr uint64_t kVirtioStride = 0x1000;
inline constexpr uint32_t kVirtioSlots = 8;
inline constexpr uint32_t kVirtioFirstInterrupt = 1;
inline constexpr uint32_t kUartInterrupt = 10;
inline constexpr uint32_t kRtcInterrupt = 11;

inline constexpr uint64_t kMinMemory = uint64_t{64} << 20;
inline constexpr uint64_t kMaxMemory = uint64_t{64} << 30;

// Console ports, as DeviceIndex.
inline constexpr DeviceIndex kUartPort{0};
inline constexpr DeviceIndex kVirtioConsolePort{1};

using MacAddress = std::array<std::byte, 6>;
inline constexpr size_t kBootSeedSize = 32;

struct DiskDescription {
  uint64_t bytes = 0;  // a multiple of 512
  bool read_only = false;
  std::string serial;  // at most 20 bytes
};

struct NicDescription {
  MacAddress mac{};
};

// Everything that fixes the power-on state. Two replicas with the same fingerprint and the same
// disk contents start in the same state.
struct BoardDescription {
  uint64_t memory_bytes = 0;  // a multiple of the page size, kMinMemory to kMaxMemory
  riscv::IsaExtensions isa = riscv::kAllExtensions;
  std::vector<DiskDescription> disks;
  std::vector<NicDescription> nics;
  BootFile kernel;  // a raw RISC-V Image, as machine/kernel_image.h gives it
  uint64_t kernel_text_offset = 0;
  uint64_t kernel_image_size = 0;  // with what the kernel zeroes behind its file
  BootFile initrd;                 // may be empty
  std::string command_line;
  // Given to the kernel's random number generator: a non-deterministic input, fixed when the VM is
  // first started and the same for all its replicas.
  std::array<std::byte, kBootSeedSize> boot_seed{};

  Hash128 fingerprint() const;
};

}  // namespace lockstep::machine
