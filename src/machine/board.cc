#include "machine/board.h"

#include "base/bytes.h"

namespace lockstep::machine {

Hash128 BoardDescription::fingerprint() const {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.varint(memory_bytes);
  writer.blob(as_byte_view(riscv::format_isa(isa)));
  writer.varint(disks.size());
  for (const DiskDescription& disk : disks) {
    writer.varint(disk.bytes);
    writer.fixed<uint8_t>(disk.read_only ? 1 : 0);
    writer.blob(as_byte_view(disk.serial));
  }
  writer.varint(nics.size());
  for (const NicDescription& nic : nics) writer.bytes(nic.mac);
  for (const BootFile* file : {&kernel, &initrd}) {
    writer.varint(file->size());
    writer.fixed(file->hash().low);
    writer.fixed(file->hash().high);
  }
  writer.varint(kernel_text_offset);
  writer.varint(kernel_image_size);
  writer.blob(as_byte_view(command_line));
  writer.bytes(boot_seed);
  return hash128(bytes);
}

}  // namespace lockstep::machine
