#include "base/check.h"
#include "log/compression.h"
#include "log/entry_codec.h"
#include "log/frame.h"
#include "log/frame_header.h"

namespace lockstep::log {

FrameWriter::FrameWriter(LogCursor start, Compression compression)
    : cursor_(start), compression_(compression), last_step_(start.horizon) {
}

bool FrameWriter::fits(const Entry& entry) const {
  const size_t bytes = kMaxEntryHeadBytes + data_bytes(entry) + kMaxHorizonBytes;
  return entries_ + 1 < kMaxFrameEntries && bytes <= kMaxPayloadBytes - payload_.size();
}

void FrameWriter::append(const Entry& entry) {
  CHECK(entry.kind() != EntryKind::kHorizon);
  CHECK(fits(entry));
  encode(entry);
}

void FrameWriter::encode(const Entry& entry) {
  const size_t before = payload_.size();
  encode_entry(entry, last_step_, payload_);
  statistics_.count(entry.kind(), payload_.size() - before);
  last_step_ = entry.step;
  ++entries_;
}

void FrameWriter::take(Step horizon, Bytes& out) {
  encode(Entry{horizon, Horizon{}});
  CHECK(payload_.size() <= kMaxPayloadBytes);

  const bool compressed =
      compression_ == Compression::kWhenItPays && compress_payload(payload_, compressed_);
  const ByteView stored = compressed ? compressed_ : payload_;
  const FrameHeader header = make_header(cursor_, compressed ? kFlagCompressed : 0, stored);
  const FrameHeaderBytes header_bytes = encode_header(header);
  out.insert(out.end(), header_bytes.begin(), header_bytes.end());
  out.insert(out.end(), stored.begin(), stored.end());

  ++statistics_.frames;
  statistics_.compressed_frames += compressed ? 1 : 0;
  statistics_.wire_bytes += kFrameHeaderBytes + stored.size();
  cursor_ = LogCursor{header.position, header.chain, horizon};
  payload_.clear();
  entries_ = 0;
}

}  // namespace lockstep::log
