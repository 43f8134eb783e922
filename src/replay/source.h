// Where the entries of a replay come from: a file, or the queue that a channel fills.
//
// Owner: the vCPU thread.
#pragma once

#include <cstdint>
#include <vector>

#include "base/error.h"
#include "base/types.h"
#include "log/buffer.h"
#include "log/entry.h"
#include "log/file.h"

namespace lockstep::replay {

enum class SourceState : uint8_t {
  kEntry,    // an entry was given
  kEnd,      // the log is over, all entries were given
  kStopped,  // someone stopped the source; entries may be missing
};

class EntrySource {
 public:
  virtual ~EntrySource() = default;
  // The next entry, in log order, Horizons among them. May wait. An error is final.
  virtual Result<SourceState> next(log::Entry& entry) = 0;
  // The frame that the last entry given came from.
  virtual LogPosition position() const = 0;
};

class FileSource final : public EntrySource {
 public:
  explicit FileSource(log::LogFileReader reader) : reader_(std::move(reader)) {}
  Result<SourceState> next(log::Entry& entry) override;
  LogPosition position() const override { return reader_.cursor().position; }

  const log::LogFileHeader& header() const { return reader_.header(); }
  const log::LogStatistics& statistics() const { return reader_.statistics(); }

 private:
  log::LogFileReader reader_;
};

class QueueSource final : public EntrySource {
 public:
  // Entries taken from the queue under one lock.
  static constexpr size_t kBatchEntries = 256;

  // `before`: the position before the first frame that is pushed. The queue outlives this.
  QueueSource(log::EntryQueue& queue, LogPosition before) : queue_(queue), whole_frames_(before) {}
  Result<SourceState> next(log::Entry& entry) override;
  LogPosition position() const override;

 private:
  log::EntryQueue& queue_;
  std::vector<log::Entry> batch_;
  size_t next_ = 0;
  LogPosition whole_frames_;  // each frame has one Horizon, its last entry
  bool inside_frame_ = false;
};

}  // namespace lockstep::replay
