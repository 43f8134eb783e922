// A cpio archive in the "newc" format, as the kernel unpacks it from an initrd.
//
// Source: Linux Documentation/driver-api/early-userspace/buffer-format.rst. All entries belong to
// root and carry time 0, so that equal content gives equal bytes. Owner: whoever holds it.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/bytes.h"

namespace lockstep::image {

class CpioArchive {
 public:
  // Paths are relative ("bin/busybox"); a directory comes before what is in it.
  void add_directory(std::string_view path);
  void add_program(std::string_view path, ByteView content);  // mode 0755
  void add_file(std::string_view path, ByteView content);     // mode 0644

  // Ends the archive. Call once.
  Bytes finish();

 private:
  void add(std::string_view path, uint32_t mode, ByteView content);

  Bytes bytes_;
  uint32_t next_inode_ = 1;
};

}  // namespace lockstep::image
