// Regular files, written or read from front to back. Owner: one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/error.h"
#include "io/posix/fd.h"
#include "io/sequential_file.h"

namespace lockstep::posix {

enum class IfExists : uint8_t { kFail, kReplace };

class FileWriter final : public io::SequentialWriter {
 public:
  // An empty file at `path`, readable by its user only (it holds what the guest received).
  static Result<std::unique_ptr<FileWriter>> create(std::string path, IfExists if_exists);
  // Writes go behind what the file holds. The file must exist.
  static Result<std::unique_ptr<FileWriter>> append(std::string path);

  Status write(ByteView bytes) override;
  Status sync() override;
  const std::string& name() const override { return path_; }

 private:
  FileWriter(Fd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
  Fd fd_;
  std::string path_;
};

class FileReader final : public io::SequentialReader {
 public:
  static Result<std::unique_ptr<FileReader>> open(std::string path);

  Result<size_t> read(std::span<std::byte> out) override;
  const std::string& name() const override { return path_; }

 private:
  FileReader(Fd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
  Fd fd_;
  std::string path_;
};

}  // namespace lockstep::posix
