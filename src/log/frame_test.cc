#include "log/frame.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "log/compression.h"
#include "log/entry_codec.h"
#include "log/frame_header.h"
#include "log/test_entries.h"

namespace lockstep::log {
namespace {

using testing::HasSubstr;

const LogCursor kStart = start_of_run(Hash128{1, 2}, 3);

// Frames with their entries, as a writer made them.
struct Written {
  std::vector<std::vector<Entry>> entries;  // the Horizon included
  std::vector<Bytes> frames;
  LogCursor end;
  LogStatistics statistics;

  Bytes all() const {
    Bytes bytes;
    for (const Bytes& frame : frames) bytes.insert(bytes.end(), frame.begin(), frame.end());
    return bytes;
  }
};

Written write_frames(uint64_t seed, size_t count, size_t max_entries,
                     Compression compression = Compression::kWhenItPays) {
  Random random(seed);
  FrameWriter writer(kStart, compression);
  Written written;
  for (size_t i = 0; i < count; ++i) {
    std::vector<Entry> entries =
        random_entries(random, random() % (max_entries + 1), writer.last_step());
    const Step horizon =
        (entries.empty() ? writer.last_step() : entries.back().step) + random() % 9;
    written.frames.push_back(frame_of(writer, entries, horizon));
    entries.push_back({horizon, Horizon{}});
    written.entries.push_back(std::move(entries));
  }
  written.end = writer.cursor();
  written.statistics = writer.statistics();
  return written;
}

// A frame around any payload, right in all but the payload.
Bytes sealed(const LogCursor& before, ByteView stored, uint8_t flags = 0) {
  const FrameHeaderBytes header = encode_header(make_header(before, flags, stored));
  Bytes frame(header.begin(), header.end());
  frame.insert(frame.end(), stored.begin(), stored.end());
  return frame;
}

Result<bool> read_one(ByteView bytes, std::optional<FrameFault>& fault) {
  FrameReader reader(kStart, "test");
  reader.append(bytes);
  Frame frame;
  Result<bool> whole = reader.next(frame);
  fault = reader.fault();
  return whole;
}

void expect_refused(ByteView bytes, FrameFault expected) {
  std::optional<FrameFault> fault;
  const Result<bool> whole = read_one(bytes, fault);
  ASSERT_FALSE(whole.has_value());
  ASSERT_TRUE(fault.has_value());
  EXPECT_EQ(*fault, expected) << whole.error().text();
}

TEST(Frame, EntriesComeBackInPiecesOfAnySize) {
  const Written written = write_frames(1, 40, 12);
  const Bytes bytes = written.all();
  for (size_t piece : {size_t{1}, size_t{7}, size_t{32}, size_t{1'000}, bytes.size()}) {
    FrameReader reader(kStart, "test");
    Frame frame;
    size_t frames = 0;
    for (size_t at = 0; at < bytes.size(); at += piece) {
      reader.append(ByteView(bytes).subspan(at, std::min(piece, bytes.size() - at)));
      for (;;) {
        const Result<bool> whole = reader.next(frame);
        ASSERT_TRUE(whole.has_value()) << whole.error().text();
        if (!*whole) break;
        EXPECT_EQ(frame.entries, written.entries[frames]);
        EXPECT_EQ(frame.position, LogPosition(frames + 1));
        EXPECT_EQ(frame.horizon, written.entries[frames].back().step);
        EXPECT_TRUE(std::ranges::equal(frame.raw, written.frames[frames]));
        ++frames;
      }
    }
    EXPECT_EQ(frames, written.frames.size());
    EXPECT_TRUE(reader.finish().has_value());
    EXPECT_EQ(reader.cursor(), written.end);
    EXPECT_EQ(reader.statistics(), written.statistics);
  }
}

TEST(Frame, CompressionChangesTheBytesAndNotTheEntries) {
  std::vector<Entry> entries;
  for (uint64_t i = 0; i < 50; ++i) entries.push_back({Step(i), FrameIn{{}, Bytes(200)}});
  FrameWriter plain(kStart, Compression::kNever);
  FrameWriter packed(kStart, Compression::kWhenItPays);
  const Bytes plain_bytes = frame_of(plain, entries, Step(50));
  const Bytes packed_bytes = frame_of(packed, entries, Step(50));
  EXPECT_LT(packed_bytes.size(), plain_bytes.size() / 10);
  EXPECT_EQ(packed.statistics().compressed_frames, 1u);
  EXPECT_EQ(plain.statistics().compressed_frames, 0u);

  for (const Bytes& bytes : {plain_bytes, packed_bytes}) {
    FrameReader reader(kStart, "test");
    reader.append(bytes);
    Frame frame;
    ASSERT_TRUE(reader.next(frame).value());
    ASSERT_EQ(frame.entries.size(), 51u);
    frame.entries.pop_back();
    EXPECT_EQ(frame.entries, entries);
  }
}

TEST(Frame, DataThatDoesNotShrinkTravelsAsItIs) {
  Random random(3);
  FrameWriter writer(kStart);
  frame_of(writer, {{Step(0), Entropy{random_bytes(random, 4'096)}}}, Step(1));
  EXPECT_EQ(writer.statistics().compressed_frames, 0u);
}

TEST(Frame, TheLargestEntryFitsAnEmptyFrame) {
  Random random(4);
  FrameWriter writer(kStart);
  const Entry largest{Step(~uint64_t{0}), DiskCompletion{{~uint32_t{0}},
                                                         ~uint64_t{0},
                                                         DiskStatus::kOk,
                                                         true,
                                                         random_bytes(random, kMaxDiskDataBytes)}};
  ASSERT_TRUE(writer.fits(largest));
  const Bytes bytes = frame_of(writer, {largest}, largest.step);
  EXPECT_LE(bytes.size(), kMaxFrameBytes);
  FrameReader reader(kStart, "test");
  reader.append(bytes);
  Frame frame;
  ASSERT_TRUE(reader.next(frame).value());
  EXPECT_EQ(frame.entries.front(), largest);
}

TEST(Frame, AFullFrameTakesNoMoreAndIsRead) {
  FrameWriter by_count(kStart);
  const Entry small{Step(0), Control{}};
  while (by_count.fits(small)) by_count.append(small);
  EXPECT_EQ(by_count.pending_entries(), kMaxFrameEntries - 1);
  Bytes bytes;
  by_count.take(Step(0), bytes);

  FrameWriter by_size(by_count.cursor(), Compression::kNever);
  const Entry large{Step(0), FrameIn{{}, Bytes(kMaxPacketBytes)}};
  while (by_size.fits(large)) by_size.append(large);
  by_size.take(Step(~uint64_t{0}), bytes);

  FrameReader reader(kStart, "test");
  reader.append(bytes);
  Frame frame;
  ASSERT_TRUE(reader.next(frame).value());
  EXPECT_EQ(frame.entries.size(), kMaxFrameEntries);
  ASSERT_TRUE(reader.next(frame).value());
  EXPECT_LE(frame.raw.size(), kMaxFrameBytes);
  EXPECT_GT(frame.raw.size(), kMaxFrameBytes - 2 * kMaxPacketBytes);
}

TEST(Frame, EveryBitFlipIsRefusedAtItsFrameAndWhatPrecedesIsGiven) {
  const Written written = write_frames(5, 3, 3);
  const Bytes whole = written.all();
  size_t frame_begin = 0;
  for (size_t index = 0; index < written.frames.size(); ++index) {
    const size_t frame_end = frame_begin + written.frames[index].size();
    for (size_t bit = frame_begin * 8; bit < frame_end * 8; ++bit) {
      Bytes bytes = whole;
      bytes[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
      FrameReader reader(kStart, "test");
      reader.append(bytes);
      Frame frame;
      for (size_t before = 0; before < index; ++before) {
        ASSERT_TRUE(reader.next(frame).value());
        ASSERT_EQ(frame.entries, written.entries[before]);
      }
      const Result<bool> refused = reader.next(frame);
      ASSERT_FALSE(refused.has_value()) << "bit " << bit;
      EXPECT_EQ(reader.fault(), FrameFault::kDamaged) << "bit " << bit;
      EXPECT_EQ(reader.offset(), frame_begin);
    }
    frame_begin = frame_end;
  }
}

TEST(Frame, EveryTruncationIsNoticed) {
  const Written written = write_frames(6, 2, 4);
  const Bytes whole = written.all();
  for (size_t size = 0; size <= whole.size(); ++size) {
    FrameReader reader(kStart, "test");
    reader.append(ByteView(whole).first(size));
    Frame frame;
    size_t frames = 0;
    Result<bool> more = reader.next(frame);
    while (more.has_value() && *more) {
      ++frames;
      more = reader.next(frame);
    }
    ASSERT_TRUE(more.has_value()) << more.error().text();
    const bool between = size == 0 || size == written.frames[0].size() || size == whole.size();
    EXPECT_EQ(frames, size_t{size >= written.frames[0].size()} + size_t{size == whole.size()});
    EXPECT_EQ(reader.finish().has_value(), between) << "cut to " << size;
    EXPECT_EQ(reader.fault() == FrameFault::kTruncated, !between);
  }
}

TEST(Frame, SwappedRepeatedAndMissingFramesAreOutOfOrder) {
  const Written written = write_frames(7, 3, 4);
  const auto& frames = written.frames;
  for (const std::vector<size_t>& order : {std::vector<size_t>{0, 2, 1}, {0, 0, 1}, {0, 2}, {1}}) {
    FrameReader reader(kStart, "test");
    for (size_t index : order) reader.append(frames[index]);
    Frame frame;
    Result<bool> more = reader.next(frame);
    if (order[0] == 0) {
      EXPECT_TRUE(more.value());
      more = reader.next(frame);
    }
    ASSERT_FALSE(more.has_value());
    EXPECT_EQ(reader.fault(), FrameFault::kOutOfOrder) << more.error().text();
    EXPECT_EQ(reader.offset(), order[0] == 0 ? frames[0].size() : 0);
  }
}

TEST(Frame, AnotherRunsFrameIsForeign) {
  const Written ours = write_frames(8, 1, 4);
  FrameWriter other_run(start_of_run(Hash128{1, 2}, 4));
  expect_refused(frame_of(other_run, {}, Step(1)), FrameFault::kForeign);
  FrameWriter other_board(start_of_run(Hash128{1, 9}, 3));
  expect_refused(frame_of(other_board, {}, Step(1)), FrameFault::kForeign);

  // The same first frame, then another past: a replica that went live alone.
  FrameWriter other_past(kStart);
  frame_of(other_past, {{Step(0), Control{}}}, Step(5));
  FrameReader reader(kStart, "test");
  reader.append(ours.frames[0]);
  reader.append(frame_of(other_past, {}, Step(6)));
  Frame frame;
  ASSERT_TRUE(reader.next(frame).value());
  EXPECT_FALSE(reader.next(frame).has_value());
  EXPECT_EQ(reader.fault(), FrameFault::kForeign);
}

// The deltas count from the horizon before, so that must be bound by the chain, too.
TEST(Frame, AnotherHorizonBeforeIsForeign) {
  LogCursor elsewhere = kStart;
  elsewhere.horizon = Step(1);
  FrameWriter writer(elsewhere);
  expect_refused(frame_of(writer, {}, Step(1)), FrameFault::kForeign);
}

TEST(Frame, AnotherVersionIsRefusedNamingBoth) {
  Bytes payload;
  encode_entry({Step(0), Horizon{}}, Step(0), payload);
  FrameHeader header = make_header(kStart, 0, payload);
  header.version = kFormatVersion + 1;
  header.chain = next_chain(kStart, header, payload);
  const FrameHeaderBytes header_bytes = encode_header(header);
  Bytes frame(header_bytes.begin(), header_bytes.end());
  frame.insert(frame.end(), payload.begin(), payload.end());

  std::optional<FrameFault> fault;
  const Result<bool> refused = read_one(frame, fault);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(fault, FrameFault::kVersion);
  EXPECT_EQ(refused.error().code, ErrorCode::kIncompatible);
  EXPECT_THAT(refused.error().text(), HasSubstr("format version 2, this build reads 1"));
}

TEST(Frame, UnknownFlagsAreRefused) {
  Bytes payload;
  encode_entry({Step(0), Horizon{}}, Step(0), payload);
  expect_refused(sealed(kStart, payload, 2), FrameFault::kVersion);
}

TEST(Frame, PayloadsThatNoWriterMakesAreRefused) {
  const auto payload = [](std::initializer_list<Payload> kinds) {
    Bytes bytes;
    for (const Payload& kind : kinds) encode_entry({Step(0), kind}, Step(0), bytes);
    return bytes;
  };
  expect_refused(sealed(kStart, payload({Control{}})), FrameFault::kMalformed);
  expect_refused(sealed(kStart, payload({Horizon{}, Horizon{}})), FrameFault::kMalformed);
  expect_refused(sealed(kStart, payload({Horizon{}, Control{}, Horizon{}})),
                 FrameFault::kMalformed);
  expect_refused(sealed(kStart, Bytes{}), FrameFault::kTooLarge);
  expect_refused(sealed(kStart, Bytes{std::byte{200}, std::byte{0}}), FrameFault::kUnknownKind);
  Bytes cut = payload({Digest{}, Horizon{}});
  cut.resize(cut.size() - 3);
  expect_refused(sealed(kStart, cut), FrameFault::kMalformed);

  Bytes too_many;
  for (size_t i = 0; i < kMaxFrameEntries; ++i)
    encode_entry({Step(0), Control{}}, Step(0), too_many);
  encode_entry({Step(0), Horizon{}}, Step(0), too_many);
  expect_refused(sealed(kStart, too_many), FrameFault::kTooLarge);
}

TEST(Frame, AClaimedSizeBeyondTheLimitIsRefusedFromTheHeaderAlone) {
  FrameHeader header = make_header(kStart, 0, Bytes(2));
  header.stored_bytes = static_cast<uint32_t>(kMaxPayloadBytes + 1);
  expect_refused(encode_header(header), FrameFault::kTooLarge);
}

TEST(Frame, DecompressionBombsAndSecondEncodingsAreRefused) {
  Bytes payload;
  for (int i = 0; i < 100; ++i) encode_entry({Step(0), WallClockRead{}}, Step(0), payload);
  encode_entry({Step(0), Horizon{}}, Step(0), payload);
  Bytes stored;
  ASSERT_TRUE(compress_payload(payload, stored));
  std::optional<FrameFault> fault;
  ASSERT_TRUE(read_one(sealed(kStart, stored, kFlagCompressed), fault).has_value());

  const auto claiming = [&](uint32_t size) {
    Bytes changed = stored;
    std::memcpy(changed.data(), &size, sizeof(size));
    return sealed(kStart, changed, kFlagCompressed);
  };
  const auto real = static_cast<uint32_t>(payload.size());
  for (uint32_t size : {0u, real - 1, real + 1, uint32_t{kMaxPayloadBytes}, ~uint32_t{0}}) {
    expect_refused(claiming(size), FrameFault::kMalformed);
  }
  Bytes longer = stored;
  longer.push_back(std::byte{0});
  expect_refused(sealed(kStart, longer, kFlagCompressed), FrameFault::kMalformed);
  expect_refused(sealed(kStart, Bytes(3), kFlagCompressed), FrameFault::kMalformed);
}

TEST(Frame, ARefusalIsFinal) {
  const Written written = write_frames(9, 2, 3);
  Bytes damaged = written.frames[0];
  damaged.back() ^= std::byte{1};
  FrameReader reader(kStart, "the log test");
  reader.append(damaged);
  Frame frame;
  const Result<bool> first = reader.next(frame);
  reader.append(written.frames[0]);
  const Result<bool> second = reader.next(frame);
  ASSERT_FALSE(first.has_value());
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(first.error().text(), second.error().text());
  EXPECT_FALSE(reader.finish().has_value());
  EXPECT_THAT(first.error().text(), HasSubstr("cannot read frame 1 at offset 0 of the log test:"));
}

TEST(Frame, AWriterGoesOnWhereAReaderStopped) {
  const Written written = write_frames(10, 3, 3);
  FrameReader backup(kStart, "backup");
  FrameReader second_backup(kStart, "second backup");
  backup.append(written.all());
  second_backup.append(written.all());
  Frame frame;
  while (backup.next(frame).value()) {
  }
  FrameWriter went_live(backup.cursor());
  second_backup.append(
      frame_of(went_live, {{went_live.last_step(), Control{}}}, went_live.last_step() + 1));
  size_t frames = 0;
  while (second_backup.next(frame).value()) ++frames;
  EXPECT_EQ(frames, 4u);
  EXPECT_EQ(second_backup.cursor(), went_live.cursor());
}

TEST(FrameDeathTest, StepsThatDecreaseAreABug) {
  FrameWriter writer(kStart);
  writer.append({Step(9), Control{}});
  EXPECT_DEATH(writer.append({Step(8), Control{}}), "entry.step >= previous");
  EXPECT_DEATH(writer.append({Step(9), Horizon{}}), "kHorizon");
  Bytes out;
  EXPECT_DEATH(writer.take(Step(8), out), "entry.step >= previous");
}

TEST(LogStatistics, CountsByKind) {
  FrameWriter writer(kStart);
  frame_of(writer, {{Step(1), Control{}}, {Step(1), Control{}}, {Step(2), FrameIn{{}, Bytes(10)}}},
           Step(2));
  const LogStatistics& statistics = writer.statistics();
  EXPECT_EQ(statistics.of(EntryKind::kControl).entries, 2u);
  EXPECT_EQ(statistics.of(EntryKind::kControl).bytes, 6u);
  EXPECT_EQ(statistics.of(EntryKind::kFrameIn).bytes, 14u);
  EXPECT_EQ(statistics.of(EntryKind::kHorizon).entries, 1u);
  EXPECT_EQ(statistics.entries(), 4u);
  EXPECT_EQ(statistics.wire_bytes, kFrameHeaderBytes + 6 + 14 + 2);
  EXPECT_THAT(statistics.text(), HasSubstr("frame-in"));
  EXPECT_THAT(statistics.text(), Not(HasSubstr("entropy")));
}

}  // namespace
}  // namespace lockstep::log
