// Random logs, and files in memory, for the tests of the log. Deterministic from the seed.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "io/sequential_file.h"
#include "log/entry.h"
#include "log/frame.h"

namespace lockstep::log {

using Random = std::mt19937_64;

inline Bytes random_bytes(Random& random, size_t size) {
  Bytes bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

// Mostly small, sometimes of any size, the extremes included.
inline uint64_t random_number(Random& random) {
  return random() >> (random() % 64);
}

inline DeviceIndex random_device(Random& random) {
  return DeviceIndex{static_cast<uint32_t>(random_number(random))};
}

inline Payload random_payload(Random& random, size_t max_data) {
  const auto data = [&] { return random_bytes(random, random() % (max_data + 1)); };
  switch (static_cast<EntryKind>(random() % (kEntryKinds - 1))) {
    case EntryKind::kTimeAnchor:
      return TimeAnchor{GuestTicks(random_number(random)), random_number(random)};
    case EntryKind::kWarp:
      return Warp{GuestTicks(random_number(random)), random_number(random)};
    case EntryKind::kFrameIn:
      return FrameIn{random_device(random), data()};
    case EntryKind::kDiskCompletion: {
      const bool has_data = random() % 2 == 0;
      return DiskCompletion{random_device(random), random_number(random),
                            random() % 8 == 0 ? DiskStatus::kIoError : DiskStatus::kOk, has_data,
                            has_data ? data() : Bytes()};
    }
    case EntryKind::kConsoleInput:
      return ConsoleInput{random_device(random), data()};
    case EntryKind::kEntropy:
      return Entropy{data()};
    case EntryKind::kWallClockRead:
      return WallClockRead{random_number(random)};
    case EntryKind::kControl:
      return Control{static_cast<ControlOperation>(1 + random() % 3)};
    case EntryKind::kDigest:
      return Digest{{random(), random()}};
    case EntryKind::kHorizon:
      break;
  }
  return Horizon{};
}

// Entries that may follow `step`; no Horizon among them.
inline std::vector<Entry> random_entries(Random& random, size_t count, Step step,
                                         size_t max_data = 300) {
  std::vector<Entry> entries;
  for (size_t i = 0; i < count; ++i) {
    step += (random() % 4 == 0) ? 0 : random() % 1'000'000;
    entries.push_back({step, random_payload(random, max_data)});
  }
  return entries;
}

// One finished frame with `entries`.
inline Bytes frame_of(FrameWriter& writer, const std::vector<Entry>& entries, Step horizon) {
  for (const Entry& entry : entries) writer.append(entry);
  Bytes bytes;
  writer.take(horizon, bytes);
  return bytes;
}

class MemoryWriter final : public io::SequentialWriter {
 public:
  // Fails, as a full disk does, when more than `capacity` bytes are written.
  explicit MemoryWriter(Bytes& out, size_t capacity = SIZE_MAX) : out_(out), capacity_(capacity) {}
  Status write(ByteView bytes) override {
    const size_t count = std::min(bytes.size(), capacity_ - out_.size());
    out_.insert(out_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
    if (count == bytes.size()) return {};
    return fail(ErrorCode::kNoSpace, "cannot write the file", name_, "no space");
  }
  Status sync() override { return {}; }
  const std::string& name() const override { return name_; }

 private:
  std::string name_ = "memory";
  Bytes& out_;
  size_t capacity_;
};

class MemoryReader final : public io::SequentialReader {
 public:
  explicit MemoryReader(ByteView bytes, size_t max_read = SIZE_MAX)
      : bytes_(bytes), max_read_(max_read) {}
  Result<size_t> read(std::span<std::byte> out) override {
    const size_t count = std::min({out.size(), bytes_.size(), max_read_});
    std::copy_n(bytes_.begin(), count, out.begin());
    bytes_ = bytes_.subspan(count);
    return count;
  }
  const std::string& name() const override { return name_; }

 private:
  std::string name_ = "memory";
  ByteView bytes_;
  size_t max_read_;
};

}  // namespace lockstep::log
