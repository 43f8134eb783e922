// Frames: the unit in which a log is sent, acknowledged, checked and stored.
//
// A frame holds zero or more entries and, as its last, a Horizon. It is chained to the frame before
// it: a reader accepts only the one frame that its writer wrote next.
//
// Owner: one thread each. Format and limits: docs/formats/log.md, log/format.h.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "log/entry.h"
#include "log/format.h"
#include "log/statistics.h"

namespace lockstep::log {

enum class Compression : uint8_t { kNever, kWhenItPays };

// Collects entries and makes frames of them.
//
// Invariants
//   1. Steps never decrease, from the cursor's horizon on.
//   2. cursor() is the one that a reader of all frames taken so far has.
class FrameWriter {
 public:
  explicit FrameWriter(LogCursor start, Compression compression = Compression::kWhenItPays);

  // True while `entry` and a horizon after it fit the frame being collected. An empty frame fits
  // any entry that is encodable (entry_codec.h).
  bool fits(const Entry& entry) const;

  // Requires: fits(entry); encodable; not a Horizon; its step is not below the one before.
  void append(const Entry& entry);

  // Ends the frame with Horizon(horizon) and appends it, finished, to `out`. Requires: horizon is
  // not below the last entry's step.
  void take(Step horizon, Bytes& out);

  size_t pending_bytes() const { return payload_.size(); }  // before compression
  size_t pending_entries() const { return entries_; }
  Step last_step() const { return last_step_; }
  const LogCursor& cursor() const { return cursor_; }
  const LogStatistics& statistics() const { return statistics_; }

 private:
  void encode(const Entry& entry);

  LogCursor cursor_;
  Compression compression_;
  Step last_step_;
  size_t entries_ = 0;
  Bytes payload_;
  Bytes compressed_;
  LogStatistics statistics_;
};

// A frame as its reader gives it out.
struct Frame {
  LogPosition position;
  Step horizon;
  std::vector<Entry> entries;  // the last is the Horizon
  ByteView raw;                // the frame's own bytes; valid until the reader is next used
};

// Why a frame was refused.
enum class FrameFault : uint8_t {
  kTruncated,    // the bytes end inside the frame
  kDamaged,      // a checksum, or the magic, is wrong
  kVersion,      // a version or a flag that this build does not speak
  kOutOfOrder,   // another position than the one that is due
  kForeign,      // whole, but the chain says: of another VM, another run, another past
  kTooLarge,     // a size beyond a limit, claimed or real
  kUnknownKind,  // an entry of a kind that this version does not have
  kMalformed,    // the payload is not entries that end with one Horizon
};
const char* to_string(FrameFault fault);

// Takes bytes as they arrive, in pieces of any size, and gives out whole, checked frames.
//
// Invariants
//   1. A frame is given out whole or not at all; all frames before a refused one have been.
//   2. After a refusal, every call gives the same error.
//   3. It takes no memory for a size that it has not checked.
class FrameReader {
 public:
  // Room for bytes that were received and not yet taken as frames.
  static constexpr size_t kMaxBufferedBytes = 4 * kMaxFrameBytes;

  // `name` says in errors what is read ("the log run.lslog"); `offset` is where its first frame
  // stands in it, bytes.
  FrameReader(LogCursor start, std::string name, uint64_t offset = 0);

  // A place to receive up to `size` bytes into; commit() says how many came. Together with what is
  // buffered `size` is at most kMaxBufferedBytes. Ends the life of Frame::raw.
  std::span<std::byte> prepare(size_t size);
  void commit(size_t size);
  // The two in one.
  void append(ByteView bytes);

  // True: `frame` is the next one. False: more bytes are needed first. Its memory is used again.
  Result<bool> next(Frame& frame);

  // No more bytes will come, and next() said false: an error when they end inside a frame.
  Status finish();

  size_t buffered_bytes() const { return end_ - begin_; }
  const LogCursor& cursor() const { return cursor_; }
  uint64_t offset() const { return offset_; }  // of the next frame
  std::optional<FrameFault> fault() const { return fault_; }
  const LogStatistics& statistics() const { return statistics_; }

 private:
  Result<bool> read_frame(ByteView bytes, Frame& frame);
  Result<ByteView> unpack(uint8_t flags, ByteView stored);
  Status read_entries(ByteView payload, Frame& frame);
  std::unexpected<Error> refuse(FrameFault fault, std::string reason);

  LogCursor cursor_;
  std::string name_;
  uint64_t offset_;
  Bytes buffer_;  // received bytes stand in [begin_, end_)
  size_t begin_ = 0;
  size_t end_ = 0;
  Bytes decompressed_;
  std::optional<FrameFault> fault_;
  Error error_;
  LogStatistics statistics_;
};

}  // namespace lockstep::log
