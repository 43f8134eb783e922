#include "log/file_header.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>

#include "base/check.h"
#include "log/packer.h"

namespace lockstep::log {

Bytes encode_file_header(const LogFileHeader& header) {
  CHECK(header.board.size() <= kMaxBoardBytes);
  const Hash128 board_hash = hash128(header.board);
  Bytes bytes(kFileHeaderBytes + header.board.size());
  std::memcpy(bytes.data(), kFileMagic, kFileMagicBytes);
  Packer(bytes.data() + kFileMagicBytes)
      .put(kFileVersion)
      .put(static_cast<uint32_t>(header.board.size()))
      .put(header.start.position.value)
      .put(header.start.chain)
      .put(header.start.horizon.value)
      .put(board_hash.low)
      .put(board_hash.high);
  Packer(bytes.data() + kFileCrcOffset).put(crc32c(ByteView(bytes).first(kFileCrcOffset)));
  std::copy(header.board.begin(), header.board.end(), bytes.begin() + kFileHeaderBytes);
  return bytes;
}

Result<FileHeaderFields> parse_file_header(ByteView bytes, const std::string& name) {
  CHECK(bytes.size() == kFileHeaderBytes);
  ByteReader reader(bytes);
  if (as_text(reader.bytes(kFileMagicBytes)) != std::string_view(kFileMagic, kFileMagicBytes)) {
    return fail(ErrorCode::kInvalid, "cannot read the log", name, "it is not a log of Lockstep");
  }
  FileHeaderFields fields;
  const auto version = reader.fixed<uint32_t>();
  fields.board_bytes = reader.fixed<uint32_t>();
  fields.start.position = LogPosition(reader.fixed<uint64_t>());
  fields.start.chain = reader.fixed<uint64_t>();
  fields.start.horizon = Step(reader.fixed<uint64_t>());
  fields.board_hash.low = reader.fixed<uint64_t>();
  fields.board_hash.high = reader.fixed<uint64_t>();
  if (reader.fixed<uint32_t>() != crc32c(bytes.first(kFileCrcOffset))) {
    return fail(ErrorCode::kCorrupt, "cannot read the log", name,
                "its file header does not match its checksum; take another copy");
  }
  if (version != kFileVersion) {
    return fail(ErrorCode::kIncompatible, "cannot read the log", name,
                fmt::format("it has file version {}, this build reads {}; read it with the version "
                            "that wrote it",
                            version, kFileVersion));
  }
  if (fields.board_bytes > kMaxBoardBytes) {
    return fail(ErrorCode::kCorrupt, "cannot read the log", name,
                fmt::format("its board description claims {} bytes, the limit is {}",
                            fields.board_bytes, kMaxBoardBytes));
  }
  return fields;
}

}  // namespace lockstep::log
