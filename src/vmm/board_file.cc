#include "vmm/board_file.h"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

#include "base/hash.h"
#include "io/posix/host_files.h"
#include "io/posix/image_file.h"
#include "vmm/boot_files.h"

namespace lockstep::vmm {
namespace {

constexpr uint32_t kBoardVersion = 2;

Status open_boot_files(machine::BoardDescription& board, const std::string& kernel_path,
                       const std::string& initrd_path) {
  Result<KernelFile> kernel = open_kernel(kernel_path);
  if (!kernel) return std::unexpected(kernel.error());
  Result<machine::BootFile> initrd = open_initrd(initrd_path);
  if (!initrd) return std::unexpected(initrd.error());
  board.kernel = std::move(kernel->file);
  board.kernel_text_offset = kernel->text_offset;
  board.kernel_image_size = kernel->image_size;
  board.initrd = std::move(*initrd);
  return {};
}

}  // namespace

Result<BootSeed> read_boot_seed(const config::VmLayout& layout) {
  const Result<std::string> text = posix::read_small_file(layout.boot_seed_file());
  if (!text) return std::unexpected(text.error());
  BootSeed seed;
  const ByteView bytes = as_byte_view(*text);
  if (bytes.size() != seed.size()) {
    return fail(ErrorCode::kCorrupt, "the boot seed has the wrong size:", layout.boot_seed_file(),
                "start the VM by `lockstep up` or `lockstep run`");
  }
  std::copy(bytes.begin(), bytes.end(), seed.begin());
  return seed;
}

Result<std::vector<std::unique_ptr<io::Disk>>> open_disks(const config::VmConfig& config,
                                                          const config::VmLayout& layout,
                                                          config::Node node) {
  std::vector<std::unique_ptr<io::Disk>> disks;
  for (size_t i = 0; i < config.disks.size(); ++i) {
    const auto mode = config.disks[i].readonly ? posix::ImageFile::Mode::kReadOnly
                                               : posix::ImageFile::Mode::kReadWrite;
    auto disk = posix::ImageFile::open(layout.disk_image(config, node, i), mode);
    if (!disk) return std::unexpected(disk.error());
    disks.push_back(std::move(*disk));
  }
  return disks;
}

Result<machine::BoardDescription> make_board(const config::VmConfig& config,
                                             const std::vector<std::unique_ptr<io::Disk>>& disks,
                                             const BootSeed& seed) {
  machine::BoardDescription board;
  if (Status loaded = open_boot_files(board, config.kernel, config.initrd); !loaded) {
    return std::unexpected(loaded.error());
  }
  board.memory_bytes = config.memory;
  board.isa = config.isa;
  board.command_line = config.cmdline;
  board.boot_seed = seed;
  for (size_t i = 0; i < disks.size(); ++i) {
    board.disks.push_back(
        {disks[i]->size(), config.disks[i].readonly, fmt::format("lockstep-disk{}", i)});
  }
  for (size_t i = 0; i < config.nets.size(); ++i) {
    // Locally administered, and the same on every replica.
    machine::MacAddress mac{std::byte{0x52}, std::byte{0x54}, std::byte{0},
                            std::byte{0},    std::byte{0},    static_cast<std::byte>(i + 1)};
    if (config.nets[i].mac) {
      const auto& bytes = config.nets[i].mac->bytes;
      std::transform(bytes.begin(), bytes.end(), mac.begin(),
                     [](uint8_t byte) { return std::byte{byte}; });
    }
    board.nics.push_back({mac});
  }
  return board;
}

Bytes encode_board(const machine::BoardDescription& board, const config::VmConfig& config) {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.varint(kBoardVersion);
  const Hash128 fingerprint = board.fingerprint();
  writer.fixed(fingerprint.low);
  writer.fixed(fingerprint.high);
  writer.blob(as_byte_view(config.kernel));
  writer.blob(as_byte_view(config.initrd));
  writer.varint(board.memory_bytes);
  writer.blob(as_byte_view(riscv::format_isa(board.isa)));
  writer.blob(as_byte_view(board.command_line));
  writer.bytes(board.boot_seed);
  writer.varint(board.disks.size());
  for (const machine::DiskDescription& disk : board.disks) {
    writer.varint(disk.bytes);
    writer.fixed<uint8_t>(disk.read_only ? 1 : 0);
    writer.blob(as_byte_view(disk.serial));
  }
  writer.varint(board.nics.size());
  for (const machine::NicDescription& nic : board.nics) writer.bytes(nic.mac);
  return bytes;
}

namespace {

void read_devices(ByteReader& reader, machine::BoardDescription& board) {
  const uint64_t disks = reader.varint();
  for (uint64_t i = 0; i < disks && !reader.failed() && i < machine::kVirtioSlots; ++i) {
    machine::DiskDescription disk;
    disk.bytes = reader.varint();
    disk.read_only = reader.fixed<uint8_t>() != 0;
    disk.serial = as_text(reader.blob());
    board.disks.push_back(std::move(disk));
  }
  const uint64_t nics = reader.varint();
  for (uint64_t i = 0; i < nics && !reader.failed() && i < machine::kVirtioSlots; ++i) {
    machine::NicDescription nic;
    const ByteView mac = reader.bytes(nic.mac.size());
    std::copy(mac.begin(), mac.end(), nic.mac.begin());
    board.nics.push_back(nic);
  }
}

}  // namespace

Result<machine::BoardDescription> decode_board(ByteView bytes, const std::string& recording) {
  ByteReader reader(bytes);
  if (const uint64_t version = reader.varint(); version != kBoardVersion) {
    return fail(ErrorCode::kIncompatible,
                "the recording describes its board in another version:", recording,
                fmt::format("it has {}, this build has {}", version, kBoardVersion));
  }
  Hash128 fingerprint;
  fingerprint.low = reader.fixed<uint64_t>();
  fingerprint.high = reader.fixed<uint64_t>();
  const std::string kernel_path(as_text(reader.blob()));
  const std::string initrd_path(as_text(reader.blob()));
  machine::BoardDescription board;
  board.memory_bytes = reader.varint();
  const auto isa = riscv::parse_isa(as_text(reader.blob()));
  board.command_line = as_text(reader.blob());
  const ByteView seed = reader.bytes(board.boot_seed.size());
  std::copy(seed.begin(), seed.end(), board.boot_seed.begin());
  read_devices(reader, board);
  if (reader.failed() || reader.remaining() != 0 || !isa) {
    return fail(ErrorCode::kCorrupt,
                "the recording's description of its board is damaged:", recording);
  }
  board.isa = *isa;
  if (Status loaded = open_boot_files(board, kernel_path, initrd_path); !loaded) {
    return std::unexpected(loaded.error());
  }
  if (board.fingerprint() != fingerprint) {
    return fail(ErrorCode::kIncompatible, "the kernel or the initrd is not the recorded one:",
                kernel_path + ", " + initrd_path,
                "put back the files with which " + recording + " was made");
  }
  return board;
}

}  // namespace lockstep::vmm
