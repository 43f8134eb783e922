// What a log consists of: entries and bytes by kind, frames, bytes on the wire.
//
// Counts only grow. Units: bytes as encoded, before compression, except wire_bytes. Owner: the
// thread that owns the writer or reader that counts.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "log/entry.h"

namespace lockstep::log {

struct LogStatistics {
  struct Kind {
    uint64_t entries = 0;
    uint64_t bytes = 0;
    bool operator==(const Kind&) const = default;
  };

  std::array<Kind, kEntryKinds> kinds{};
  uint64_t frames = 0;
  uint64_t compressed_frames = 0;
  uint64_t wire_bytes = 0;  // frames with their headers, as sent

  bool operator==(const LogStatistics&) const = default;

  void count(EntryKind kind, size_t bytes) {
    Kind& counted = kinds[static_cast<size_t>(kind)];
    ++counted.entries;
    counted.bytes += bytes;
  }
  const Kind& of(EntryKind kind) const { return kinds[static_cast<size_t>(kind)]; }
  uint64_t entries() const;

  // A table for people, one line per kind that occurs.
  std::string text() const;
};

}  // namespace lockstep::log
