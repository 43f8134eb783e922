#include "log/frame_header.h"

#include "base/check.h"
#include "base/hash.h"
#include "log/packer.h"

namespace lockstep::log {
namespace {

constexpr size_t kCrcOffset = 28;

}  // namespace

LogCursor start_of_run(Hash128 board, uint64_t run) {
  std::array<std::byte, 16> raw{};
  Packer(raw.data()).put(board.low).put(board.high);
  LogCursor cursor;
  cursor.chain = hash64(raw, run);
  return cursor;
}

FrameHeader make_header(const LogCursor& before, uint8_t flags, ByteView stored) {
  CHECK(stored.size() <= kMaxPayloadBytes);
  FrameHeader header;
  header.flags = flags;
  header.stored_bytes = static_cast<uint32_t>(stored.size());
  header.position = before.position + 1;
  header.payload_crc = crc32c(stored);
  header.chain = next_chain(before, header, stored);
  return header;
}

FrameHeaderBytes encode_header(const FrameHeader& header) {
  FrameHeaderBytes bytes{};
  Packer(bytes.data())
      .put(header.magic)
      .put(header.version)
      .put(header.flags)
      .put(header.stored_bytes)
      .put(header.position.value)
      .put(header.chain)
      .put(header.payload_crc);
  Packer(bytes.data() + kCrcOffset).put(crc32c(ByteView(bytes).first(kCrcOffset)));
  return bytes;
}

bool parse_header(ByteView bytes, FrameHeader& header) {
  ByteReader reader(bytes.first(kFrameHeaderBytes));
  header.magic = reader.fixed<uint16_t>();
  header.version = reader.fixed<uint8_t>();
  header.flags = reader.fixed<uint8_t>();
  header.stored_bytes = reader.fixed<uint32_t>();
  header.position = LogPosition(reader.fixed<uint64_t>());
  header.chain = reader.fixed<uint64_t>();
  header.payload_crc = reader.fixed<uint32_t>();
  const auto crc = reader.fixed<uint32_t>();
  return header.magic == kFrameMagic && crc == crc32c(bytes.first(kCrcOffset));
}

uint64_t next_chain(const LogCursor& before, const FrameHeader& header, ByteView stored) {
  // The horizon before the frame is hashed, too: it is what the frame's step deltas count from.
  std::array<std::byte, 24> link{};
  Packer(link.data())
      .put(header.magic)
      .put(header.version)
      .put(header.flags)
      .put(header.stored_bytes)
      .put(header.position.value)
      .put(before.horizon.value);
  return hash64(stored, hash64(link, before.chain));
}

}  // namespace lockstep::log
