#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <utility>

#include "base/check.h"
#include "log/compression.h"
#include "log/entry_codec.h"
#include "log/frame.h"
#include "log/frame_header.h"

namespace lockstep::log {
namespace {

struct FaultText {
  ErrorCode code;
  const char* name;
  const char* advice;
};

FaultText describe(FrameFault fault) {
  switch (fault) {
    case FrameFault::kTruncated:
      return {ErrorCode::kCorrupt, "truncated",
              "its writer was stopped or its copy is incomplete; what precedes it is whole"};
    case FrameFault::kDamaged:
      return {ErrorCode::kCorrupt, "damaged",
              "its bytes changed on the way or on the disk; take another copy"};
    case FrameFault::kVersion:
      return {ErrorCode::kIncompatible, "version", "read it with the version that wrote it"};
    case FrameFault::kOutOfOrder:
      return {ErrorCode::kCorrupt, "out-of-order", "frames are missing, repeated or rearranged"};
    case FrameFault::kForeign:
      return {ErrorCode::kCorrupt, "foreign", "it belongs to another VM or another run"};
    case FrameFault::kTooLarge:
      return {ErrorCode::kCorrupt, "too-large", "no writer makes such a frame; do not trust it"};
    case FrameFault::kUnknownKind:
      return {ErrorCode::kIncompatible, "unknown-kind", "read it with the version that wrote it"};
    case FrameFault::kMalformed:
      return {ErrorCode::kCorrupt, "malformed", "no writer makes such a frame; do not trust it"};
  }
  return {ErrorCode::kCorrupt, "unknown", ""};
}

FrameFault frame_fault(EntryFault fault) {
  if (fault == EntryFault::kUnknownKind) return FrameFault::kUnknownKind;
  if (fault == EntryFault::kTooLarge) return FrameFault::kTooLarge;
  return FrameFault::kMalformed;
}

}  // namespace

const char* to_string(FrameFault fault) {
  return describe(fault).name;
}

FrameReader::FrameReader(LogCursor start, std::string name, uint64_t offset)
    : cursor_(start), name_(std::move(name)), offset_(offset) {
}

std::span<std::byte> FrameReader::prepare(size_t size) {
  CHECK(size <= kMaxBufferedBytes - buffered_bytes());
  if (begin_ == end_) begin_ = end_ = 0;
  if (buffer_.size() - end_ < size && begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, buffered_bytes());
    end_ -= begin_;
    begin_ = 0;
  }
  if (buffer_.size() - end_ < size) buffer_.resize(end_ + size);
  return std::span(buffer_).subspan(end_, size);
}

void FrameReader::commit(size_t size) {
  CHECK(size <= buffer_.size() - end_);
  end_ += size;
}

void FrameReader::append(ByteView bytes) {
  const std::span<std::byte> place = prepare(bytes.size());
  std::copy(bytes.begin(), bytes.end(), place.begin());
  commit(bytes.size());
}

Result<bool> FrameReader::next(Frame& frame) {
  if (fault_.has_value()) return std::unexpected(error_);
  return read_frame(ByteView(buffer_).subspan(begin_, buffered_bytes()), frame);
}

Result<bool> FrameReader::read_frame(ByteView bytes, Frame& frame) {
  if (bytes.size() < kFrameHeaderBytes) return false;
  FrameHeader header;
  if (!parse_header(bytes, header)) {
    return refuse(FrameFault::kDamaged, "its header does not match its checksum");
  }
  if (header.version != kFormatVersion) {
    return refuse(FrameFault::kVersion, fmt::format("it has format version {}, this build reads {}",
                                                    header.version, kFormatVersion));
  }
  if ((header.flags & ~kFlagCompressed) != 0) {
    return refuse(FrameFault::kVersion, fmt::format("it has unknown flags {:#x}", header.flags));
  }
  if (header.position != cursor_.position + 1) {
    return refuse(FrameFault::kOutOfOrder,
                  fmt::format("frame {} stands in its place", header.position.value));
  }
  if (header.stored_bytes < kMinPayloadBytes || header.stored_bytes > kMaxPayloadBytes) {
    return refuse(FrameFault::kTooLarge,
                  fmt::format("it claims {} bytes, the limits are {} and {}", header.stored_bytes,
                              kMinPayloadBytes, kMaxPayloadBytes));
  }
  const size_t frame_bytes = kFrameHeaderBytes + header.stored_bytes;
  if (bytes.size() < frame_bytes) return false;

  const ByteView stored = bytes.subspan(kFrameHeaderBytes, header.stored_bytes);
  if (crc32c(stored) != header.payload_crc) {
    return refuse(FrameFault::kDamaged, "its payload does not match its checksum");
  }
  if (next_chain(cursor_, header, stored) != header.chain) {
    return refuse(FrameFault::kForeign, "it does not chain to the frame before it");
  }
  const Result<ByteView> payload = unpack(header.flags, stored);
  if (!payload.has_value()) return std::unexpected(payload.error());
  const Status entries = read_entries(*payload, frame);
  if (!entries.has_value()) return std::unexpected(entries.error());

  frame.position = header.position;
  frame.horizon = frame.entries.back().step;
  frame.raw = bytes.first(frame_bytes);
  cursor_ = LogCursor{header.position, header.chain, frame.horizon};
  begin_ += frame_bytes;
  offset_ += frame_bytes;
  ++statistics_.frames;
  statistics_.compressed_frames += (header.flags & kFlagCompressed) != 0 ? 1 : 0;
  statistics_.wire_bytes += frame_bytes;
  return true;
}

Result<ByteView> FrameReader::unpack(uint8_t flags, ByteView stored) {
  if ((flags & kFlagCompressed) == 0) return stored;
  if (!decompress_payload(stored, decompressed_)) {
    return refuse(FrameFault::kMalformed, "its payload does not decompress to what it claims");
  }
  return ByteView(decompressed_);
}

Status FrameReader::read_entries(ByteView payload, Frame& frame) {
  frame.entries.clear();
  ByteReader reader(payload);
  Step step = cursor_.horizon;
  LogStatistics counted = statistics_;
  while (reader.remaining() > 0) {
    if (!frame.entries.empty() && frame.entries.back().kind() == EntryKind::kHorizon) {
      return refuse(FrameFault::kMalformed, "an entry follows its horizon");
    }
    if (frame.entries.size() == kMaxFrameEntries) {
      return refuse(FrameFault::kTooLarge,
                    fmt::format("it has more than {} entries", kMaxFrameEntries));
    }
    const size_t before = reader.remaining();
    Entry& entry = frame.entries.emplace_back();
    const EntryFault fault = decode_entry(reader, step, entry);
    if (fault != EntryFault::kNone) {
      return refuse(frame_fault(fault),
                    fmt::format("entry {}: {}", frame.entries.size(), to_string(fault)));
    }
    step = entry.step;
    counted.count(entry.kind(), before - reader.remaining());
  }
  if (frame.entries.empty() || frame.entries.back().kind() != EntryKind::kHorizon) {
    return refuse(FrameFault::kMalformed, "it does not end with a horizon");
  }
  statistics_ = counted;
  return {};
}

Status FrameReader::finish() {
  if (fault_.has_value()) return std::unexpected(error_);
  if (buffered_bytes() == 0) return {};
  return refuse(FrameFault::kTruncated,
                fmt::format("the bytes end {} bytes into it", buffered_bytes()));
}

std::unexpected<Error> FrameReader::refuse(FrameFault fault, std::string reason) {
  const FaultText text = describe(fault);
  fault_ = fault;
  error_ = Error{
      text.code,
      fmt::format("cannot read frame {} at offset {} of", cursor_.position.value + 1, offset_),
      name_, fmt::format("{} ({}); {}", reason, text.name, text.advice)};
  return std::unexpected(error_);
}

}  // namespace lockstep::log
