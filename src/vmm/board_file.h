// From a VM's configuration to its board, and the form of a board in a recording.
//
// A recording names kernel and initrd by path and hash instead of holding them; everything else
// that fixes the power-on state is in it.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "config/layout.h"
#include "config/vm_config.h"
#include "io/disk.h"
#include "machine/board.h"

namespace lockstep::vmm {

using BootSeed = std::array<std::byte, machine::kBootSeedSize>;

// The seed that the command which started the VM left for its replicas.
Result<BootSeed> read_boot_seed(const config::VmLayout& layout);

// Opens and locks the images of `node`.
Result<std::vector<std::unique_ptr<io::Disk>>> open_disks(const config::VmConfig& config,
                                                          const config::VmLayout& layout,
                                                          config::Node node);

// Opens kernel and initrd (vmm/boot_files.h). `disks` are this replica's, in order.
Result<machine::BoardDescription> make_board(const config::VmConfig& config,
                                             const std::vector<std::unique_ptr<io::Disk>>& disks,
                                             const BootSeed& seed);

// docs/formats/recording.md.
Bytes encode_board(const machine::BoardDescription& board, const config::VmConfig& config);
// Opens the files that the recording names and checks that they are the same.
Result<machine::BoardDescription> decode_board(ByteView bytes, const std::string& recording);

}  // namespace lockstep::vmm
