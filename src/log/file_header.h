// The bytes before the first frame of a log file (docs/formats/log.md §2).
//
//   0 magic, 8 bytes | 8 version u32 | 12 board bytes u32 | 16 start position u64
//   24 start chain u64 | 32 start horizon u64 | 40 hash of the board, 2 × u64
//   56 CRC-32C of bytes 0 to 55 u32 | 60 the board
//
// Invariant: magic, version and CRC stand at these places in every version.
//
// Pure functions. Owner: none.
#pragma once

#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "base/error.h"
#include "log/file.h"

namespace lockstep::log {

inline constexpr size_t kFileHeaderBytes = 60;
inline constexpr size_t kFileCrcOffset = 56;
inline constexpr char kFileMagic[] = "LSLOG\r\n\x1a";  // as in PNG: text-mode copies break it
inline constexpr size_t kFileMagicBytes = 8;
inline constexpr uint32_t kFileVersion = 1;

// Requires: header.board is at most kMaxBoardBytes long.
Bytes encode_file_header(const LogFileHeader& header);

// The fixed part: `header.start`, and how the board that follows must be.
struct FileHeaderFields {
  LogCursor start;
  uint32_t board_bytes = 0;
  Hash128 board_hash;
};
// `bytes` are kFileHeaderBytes. `name` says in errors which file.
Result<FileHeaderFields> parse_file_header(ByteView bytes, const std::string& name);

}  // namespace lockstep::log
