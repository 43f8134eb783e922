// Any bytes, as the log's readers meet them from a peer or a file.
//
// The first byte chooses how the rest is read:
//   0  as frames, in pieces
//   1  as the payload of an otherwise right frame: past the checksums, into the grammar
//   2  the same, marked as compressed
//   3  as a log file
//
// Beside not crashing: what is accepted as payload, the writer writes again bit for bit.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/check.h"
#include "log/compression.h"
#include "log/file.h"
#include "log/frame.h"
#include "log/frame_header.h"

namespace {

using lockstep::Bytes;
using lockstep::ByteView;
using lockstep::Result;
using namespace lockstep::log;

const LogCursor kStart{lockstep::LogPosition(6), 99, lockstep::Step(1'000)};

void read_in_pieces(ByteView bytes) {
  FrameReader reader(kStart, "fuzz");
  Frame frame;
  size_t piece = 1;
  while (!bytes.empty()) {
    const size_t count = std::min(piece, bytes.size());
    piece = piece * 2 + 1;
    reader.append(bytes.first(count));
    bytes = bytes.subspan(count);
    for (;;) {
      const Result<bool> whole = reader.next(frame);
      if (!whole.has_value()) return;
      if (!*whole) break;
    }
  }
  CHECK(reader.finish().has_value() == (reader.buffered_bytes() == 0));
}

void read_payload(ByteView payload, uint8_t flags) {
  if (payload.size() > kMaxPayloadBytes) return;
  FrameReader reader(kStart, "fuzz");
  reader.append(encode_header(make_header(kStart, flags, payload)));
  reader.append(payload);
  Frame frame;
  const Result<bool> whole = reader.next(frame);
  if (!whole.has_value()) return;
  CHECK(*whole);

  FrameWriter writer(kStart, Compression::kNever);
  for (const Entry& entry : std::span(frame.entries).first(frame.entries.size() - 1)) {
    writer.append(entry);
  }
  Bytes again;
  writer.take(frame.horizon, again);
  CHECK(writer.statistics().kinds == reader.statistics().kinds);
  if (flags == 0) {
    CHECK(std::ranges::equal(ByteView(again).subspan(kFrameHeaderBytes), payload));
    return;
  }
  Bytes plain;
  CHECK(decompress_payload(payload, plain));
  CHECK(std::ranges::equal(ByteView(again).subspan(kFrameHeaderBytes), plain));
}

class FuzzedFile final : public lockstep::io::SequentialReader {
 public:
  explicit FuzzedFile(ByteView bytes) : bytes_(bytes) {}
  Result<size_t> read(std::span<std::byte> out) override {
    const size_t count = std::min(out.size(), bytes_.size());
    std::copy_n(bytes_.begin(), count, out.begin());
    bytes_ = bytes_.subspan(count);
    return count;
  }
  const std::string& name() const override { return name_; }

 private:
  std::string name_ = "fuzz";
  ByteView bytes_;
};

void read_file(ByteView bytes) {
  auto reader = LogFileReader::open(std::make_unique<FuzzedFile>(bytes));
  if (!reader.has_value()) return;
  lockstep::Step step = reader->header().start.horizon;
  for (;;) {
    const auto entry = reader->next();
    if (!entry.has_value() || !entry->has_value()) return;
    CHECK((*entry)->step >= step);
    step = (*entry)->step;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const ByteView bytes = std::as_bytes(std::span(data, size)).subspan(1);
  switch (data[0]) {
    case 0:
      read_in_pieces(bytes);
      break;
    case 1:
      read_payload(bytes, 0);
      break;
    case 2:
      read_payload(bytes, kFlagCompressed);
      break;
    default:
      read_file(bytes);
      break;
  }
  return 0;
}
