// The numbers of the log's format, shared by its writer and its reader.
//
// A log is a chain of frames. Its cursor says where in the chain a writer or a reader stands; two
// ends with equal cursors have the same past.
//
// Values. Owner: none. Format: docs/formats/log.md, whose sections the comments name.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/types.h"

namespace lockstep::log {

inline constexpr uint8_t kFormatVersion = 1;

// Limits (§6). Bytes, unless the name says otherwise.
inline constexpr size_t kMaxPayloadBytes = size_t{4} << 20;  // of a frame, before compression
inline constexpr size_t kMaxFrameEntries = 65'536;           // its horizon included
inline constexpr size_t kMaxPacketBytes = size_t{128} << 10;
inline constexpr size_t kMaxDiskDataBytes = size_t{2} << 20;
inline constexpr size_t kMaxConsoleBytes = size_t{64} << 10;
inline constexpr size_t kMaxEntropyBytes = size_t{64} << 10;
inline constexpr size_t kMaxBoardBytes = size_t{1} << 20;

// Sizes that follow from the layout (§3, §4).
inline constexpr size_t kFrameHeaderBytes = 32;
inline constexpr size_t kMaxFrameBytes = kFrameHeaderBytes + kMaxPayloadBytes;
inline constexpr size_t kMinPayloadBytes = 2;       // a horizon and nothing else
inline constexpr size_t kMaxHorizonBytes = 1 + 10;  // tag, step delta
inline constexpr size_t kMaxEntryHeadBytes = 48;    // an entry without its packet or data
static_assert(kMaxEntryHeadBytes + kMaxDiskDataBytes + kMaxHorizonBytes <= kMaxPayloadBytes,
              "the largest entry fits an empty frame");

// After frame `position`, which ended with the horizon `horizon`.
struct LogCursor {
  LogPosition position;  // 0: before the first frame
  uint64_t chain = 0;    // the hash of all frames so far (§3.2)
  Step horizon;

  bool operator==(const LogCursor&) const = default;
};

// The cursor before the first frame of a run. `board` is a hash of the board, `run` a number that
// no other run of the VM has (its epoch), so that frames of another VM or of another run do not
// chain.
LogCursor start_of_run(Hash128 board, uint64_t run);

}  // namespace lockstep::log
