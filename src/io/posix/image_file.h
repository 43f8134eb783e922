// A raw disk image in a file.
//
// The file is locked for as long as this lives: by one writer, or by readers only. The lock goes
// with the process.
//
// Owner: one thread at a time.
#pragma once

#include <memory>
#include <string>

#include "io/disk.h"
#include "io/posix/fd.h"

namespace lockstep::posix {

class ImageFile final : public io::Disk {
 public:
  enum class Mode : uint8_t { kReadWrite, kReadOnly };
  // kNotFound; kInUse when another VM has it; kInvalid when it is empty or no multiple of 512
  // bytes.
  static Result<std::unique_ptr<ImageFile>> open(const std::string& path, Mode mode);

  uint64_t size() const override { return size_; }
  Status read(uint64_t offset, std::span<std::byte> out) override;
  Status write(uint64_t offset, ByteView data) override;
  Status flush() override;
  Status discard(uint64_t offset, uint64_t length) override;

 private:
  ImageFile(Fd fd, std::string path, uint64_t size)
      : fd_(std::move(fd)), path_(std::move(path)), size_(size) {}

  Fd fd_;
  std::string path_;
  uint64_t size_;
};

}  // namespace lockstep::posix
