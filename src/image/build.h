// Guest images, built from the packages of Debian 13 (riscv64).
//
// A build leaves in the output directory: vmlinuz, initrd.img, NAME.img (raw, sparse, ext4),
// cmdline and VM.toml, whose paths are relative to itself. A second build with nothing changed
// finds its manifest and does no work; packages are looked up again after kPackageCheckInterval.
//
// Owner: the calling thread, which waits (seconds for the small guest, minutes for the full one).
//
// Errors: kNotFound (a missing tool: the advice names the Debian package; no Debian mirror in apt's
// sources), kUnavailable (the mirror), kNoSpace, kInvalid (options), kSystem (a tool failed: the
// advice carries the end of its output).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace lockstep::image {

inline constexpr std::chrono::hours kPackageCheckInterval{24};
inline constexpr uint64_t kMinDiskBytes = uint64_t{64} << 20;
inline constexpr uint64_t kMinFullDiskBytes = uint64_t{1} << 30;
inline constexpr uint64_t kMaxDiskBytes = uint64_t{16} << 40;
inline constexpr uint64_t kDefaultSmallDiskBytes = uint64_t{256} << 20;
inline constexpr uint64_t kDefaultFullDiskBytes = uint64_t{2} << 30;

// One line for a person who waits: "[3/8] downloading 34 packages".
struct BuildProgress {
  unsigned step = 0;  // from 1
  unsigned steps = 0;
  std::string_view text;
};

struct BuildOptions {
  std::string output_directory = "guest";
  // The VM's name, the guest's host name and the disk's file name. Letters, digits and '-'.
  // Empty: "redis" for the small guest, "debian" for the full one.
  std::string name = {};
  uint64_t disk_bytes = 0;  // 0: the default of the kind of guest
  // Programs for riscv64, copied into the guest's /usr/local/bin.
  std::vector<std::string> programs = {};
  // Packages of Debian that a full guest has besides its own.
  std::vector<std::string> packages = {};
  // Where package lists and packages are kept. Empty: $XDG_CACHE_HOME/lockstep/image.
  std::string cache_directory = {};
  // The archive to use. Empty: the Debian archive of this machine's apt sources.
  std::string mirror = {};
  // Look packages up even if that was done within kPackageCheckInterval.
  bool refresh = false;
  // Build a new disk although the one in the output directory has been written to since it was
  // built.
  bool replace_disk = false;
  std::function<void(const BuildProgress&)> on_progress = {};
};

struct BuildResult {
  std::string configuration;  // the path of VM.toml
  bool up_to_date = false;    // nothing had to be done
  bool disk_kept = false;     // the disk had been written to and is as it was
};

// BusyBox, Redis and just the kernel modules that they need: boots to "lockstep-guest ready" on the
// console in under 500 million instructions. Needs neither root nor emulation.
Result<BuildResult> build_small_guest(const BuildOptions& options);

// A systemd Debian with stock kernel and stock initrd; root logs in on the serial console without a
// password. Needs root, qemu-user-static and binfmt_misc (which it registers itself when it can).
Result<BuildResult> build_full_guest(const BuildOptions& options);

}  // namespace lockstep::image
