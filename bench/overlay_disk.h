// A disk image whose writes stay in memory: a benchmark leaves the guest's image as it was.
//
// What the guest reads is the image with its own writes on top. Flushing does nothing: nothing here
// is meant to last.
//
// Owner: one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>

#include "io/disk.h"

namespace lockstep::bench {

class OverlayDisk final : public io::Disk {
 public:
  // `base` is only read.
  explicit OverlayDisk(std::unique_ptr<io::Disk> base) : base_(std::move(base)) {}

  uint64_t size() const override { return base_->size(); }
  Status read(uint64_t offset, std::span<std::byte> out) override;
  Status write(uint64_t offset, ByteView data) override;
  Status flush() override { return {}; }
  Status discard(uint64_t offset, uint64_t length) override;

 private:
  static constexpr uint64_t kSectorBytes = 512;

  std::unique_ptr<io::Disk> base_;
  std::unordered_map<uint64_t, Bytes> written_;  // by sector
};

}  // namespace lockstep::bench
