// The 32 bytes before each frame's payload, and the chain (docs/formats/log.md §3).
//
//   0 magic u16 | 2 version u8 | 3 flags u8 | 4 stored payload bytes u32 | 8 position u64
//   16 chain u64 | 24 CRC-32C of the stored payload u32 | 28 CRC-32C of bytes 0 to 27 u32
//
// Invariant: magic, version and the header's own CRC stand at these places in every version, so
// that a reader can tell a newer version from damage.
//
// Pure functions. Owner: none.
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.h"
#include "log/format.h"

namespace lockstep::log {

inline constexpr uint16_t kFrameMagic = 0x464C;  // "LF"
inline constexpr uint8_t kFlagCompressed = 1;

struct FrameHeader {
  uint16_t magic = kFrameMagic;
  uint8_t version = kFormatVersion;
  uint8_t flags = 0;
  uint32_t stored_bytes = 0;
  LogPosition position;
  uint64_t chain = 0;
  uint32_t payload_crc = 0;
};

using FrameHeaderBytes = std::array<std::byte, kFrameHeaderBytes>;

// The header of the frame that comes after `before` and stores `stored` as its payload.
FrameHeader make_header(const LogCursor& before, uint8_t flags, ByteView stored);

FrameHeaderBytes encode_header(const FrameHeader& header);

// `bytes` are kFrameHeaderBytes or more. False when the magic or the header's CRC is wrong.
bool parse_header(ByteView bytes, FrameHeader& header);

// What the chain is after a frame with this header and payload, when it comes after `before`.
uint64_t next_chain(const LogCursor& before, const FrameHeader& header, ByteView stored);

}  // namespace lockstep::log
