#include "io/posix/file.h"

#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "log/file.h"
#include "log/file_header.h"
#include "log/test_entries.h"

namespace lockstep::log {
namespace {

using testing::HasSubstr;

LogFileHeader header_of_run(uint64_t run) {
  const Bytes board(77, std::byte{5});
  return {board, start_of_run(hash128(board), run)};
}

// A file with a flush, so a frame end, after each of the groups.
Bytes file_of(const std::vector<std::vector<Entry>>& groups, uint64_t run = 1) {
  Bytes bytes;
  auto writer = LogFileWriter::create(std::make_unique<MemoryWriter>(bytes), header_of_run(run));
  EXPECT_TRUE(writer.has_value());
  for (const auto& group : groups) {
    for (const Entry& entry : group) EXPECT_TRUE(writer->append(entry).has_value());
    EXPECT_TRUE(writer->flush().has_value());
  }
  return bytes;
}

struct ReadBack {
  std::vector<Entry> entries;
  std::optional<Error> error;
  std::optional<FrameFault> fault;
};

ReadBack read_back(ByteView bytes, size_t max_read = SIZE_MAX) {
  auto reader = LogFileReader::open(std::make_unique<MemoryReader>(bytes, max_read));
  if (!reader.has_value()) return {{}, reader.error(), {}};
  ReadBack result;
  for (;;) {
    Result<std::optional<Entry>> entry = reader->next();
    result.fault = reader->fault();
    if (!entry.has_value()) {
      result.error = entry.error();
      // It stays so.
      EXPECT_EQ(reader->next().error().text(), entry.error().text());
      return result;
    }
    if (!entry->has_value()) return result;
    result.entries.push_back(std::move(**entry));
  }
}

std::vector<Entry> without_horizons(std::vector<Entry> entries) {
  std::erase_if(entries, [](const Entry& entry) { return entry.kind() == EntryKind::kHorizon; });
  return entries;
}

std::vector<std::vector<Entry>> random_groups(uint64_t seed, size_t groups, size_t entries,
                                              size_t max_data) {
  Random random(seed);
  std::vector<std::vector<Entry>> result;
  Step step(0);
  for (size_t i = 0; i < groups; ++i) {
    result.push_back(random_entries(random, entries, step, max_data));
    step = result.back().back().step;
  }
  return result;
}

std::vector<Entry> joined(const std::vector<std::vector<Entry>>& groups) {
  std::vector<Entry> all;
  for (const auto& group : groups) all.insert(all.end(), group.begin(), group.end());
  return all;
}

TEST(LogFile, EntriesComeBackWithHeaderAndHorizons) {
  const auto groups = random_groups(1, 5, 40, 2'000);
  const Bytes bytes = file_of(groups);
  for (size_t max_read : {size_t{13}, SIZE_MAX}) {
    const ReadBack back = read_back(bytes, max_read);
    EXPECT_FALSE(back.error.has_value());
    EXPECT_EQ(without_horizons(back.entries), joined(groups));
    EXPECT_EQ(back.entries.size(), 205u);
    EXPECT_EQ(back.entries.back(), (Entry{groups.back().back().step, Horizon{}}));
  }
  auto reader = LogFileReader::open(std::make_unique<MemoryReader>(bytes));
  EXPECT_EQ(reader->header().board, header_of_run(1).board);
  EXPECT_EQ(reader->header().start, header_of_run(1).start);
}

TEST(LogFile, ManyEntriesBecomeFramesOfTheTargetSize) {
  const auto groups = random_groups(2, 1, 5'000, 1'000);
  const Bytes bytes = file_of(groups);
  ASSERT_GT(bytes.size(), 3 * LogFileWriter::kFrameTargetBytes);
  auto reader = LogFileReader::open(std::make_unique<MemoryReader>(bytes));
  std::vector<Entry> entries;
  while (true) {
    auto entry = reader->next();
    ASSERT_TRUE(entry.has_value()) << entry.error().text();
    if (!entry->has_value()) break;
    entries.push_back(std::move(**entry));
  }
  EXPECT_EQ(without_horizons(entries), groups[0]);
  const uint64_t frames = reader->statistics().frames;
  EXPECT_GE(frames, bytes.size() / LogFileWriter::kFrameTargetBytes);
  EXPECT_LE(frames, bytes.size() / LogFileWriter::kFrameTargetBytes + 2);
}

TEST(LogFile, HorizonsAreJoinedAndTheLastOneIsKept) {
  Bytes bytes;
  auto writer = LogFileWriter::create(std::make_unique<MemoryWriter>(bytes), header_of_run(1));
  ASSERT_TRUE(writer->append({Step(3), Horizon{}}).has_value());
  ASSERT_TRUE(writer->append({Step(7), Control{}}).has_value());
  ASSERT_TRUE(writer->append({Step(8), Horizon{}}).has_value());
  ASSERT_TRUE(writer->append({Step(1'000), Horizon{}}).has_value());
  ASSERT_TRUE(writer->flush().has_value());
  ASSERT_TRUE(writer->flush().has_value());  // nothing new: no frame
  const std::vector<Entry> expected = {{Step(7), Control{}}, {Step(1'000), Horizon{}}};
  EXPECT_EQ(read_back(bytes).entries, expected);
}

TEST(LogFile, EveryTruncationIsNoticedAndWhatPrecedesIsGiven) {
  const auto groups = random_groups(3, 3, 3, 30);
  std::vector<size_t> ends;
  for (size_t count = 0; count <= groups.size(); ++count) {
    ends.push_back(file_of({groups.begin(), groups.begin() + static_cast<long>(count)}).size());
  }
  const Bytes whole = file_of(groups);
  for (size_t size = 0; size <= whole.size(); ++size) {
    const ReadBack back = read_back(ByteView(whole).first(size));
    const auto whole_frames =
        static_cast<size_t>(std::ranges::count_if(ends, [&](size_t end) { return end <= size; }));
    const bool between = std::ranges::find(ends, size) != ends.end();
    EXPECT_EQ(back.error.has_value(), !between) << "cut to " << size;
    EXPECT_EQ(back.entries.size(), 4 * (std::max<size_t>(whole_frames, 1) - 1));
    if (back.error.has_value()) {
      EXPECT_EQ(back.error->code, ErrorCode::kCorrupt);
      EXPECT_THAT(back.error->text(), HasSubstr("truncated"));
    }
  }
}

TEST(LogFile, EveryBitFlipIsNoticedAtItsFrame) {
  const auto groups = random_groups(4, 2, 3, 20);
  const size_t header_end = file_of({}).size();
  const size_t first_end = file_of({groups[0]}).size();
  const Bytes whole = file_of(groups);
  for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
    Bytes bytes = whole;
    bytes[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
    const ReadBack back = read_back(bytes);
    ASSERT_TRUE(back.error.has_value()) << "bit " << bit;
    const size_t at = bit / 8;
    EXPECT_EQ(back.entries.size(), at < first_end ? 0u : 4u) << "bit " << bit;
    EXPECT_EQ(back.fault.has_value(), at >= header_end);
    if (at >= header_end) {
      const size_t offset = at < first_end ? header_end : first_end;
      EXPECT_THAT(back.error->text(),
                  HasSubstr("frame " + std::to_string(at < first_end ? 1 : 2) + " at offset " +
                            std::to_string(offset) + " of the log memory"));
    }
  }
}

TEST(LogFile, FramesOfAnotherRunAreForeign) {
  const auto groups = random_groups(5, 2, 3, 20);
  const Bytes ours = file_of({groups[0]}, 1);
  const Bytes theirs = file_of(groups, 2);
  Bytes mixed = ours;
  mixed.insert(mixed.end(), theirs.begin() + static_cast<long>(ours.size()), theirs.end());
  const ReadBack back = read_back(mixed);
  EXPECT_EQ(back.entries.size(), 4u);
  EXPECT_EQ(back.fault, FrameFault::kForeign);
}

TEST(LogFile, AnotherVersionIsRefusedNamingBoth) {
  Bytes bytes = file_of({});
  const uint32_t version = kFileVersion + 1;
  std::memcpy(bytes.data() + kFileMagicBytes, &version, sizeof(version));
  const uint32_t crc = crc32c(ByteView(bytes).first(kFileCrcOffset));
  std::memcpy(bytes.data() + kFileCrcOffset, &crc, sizeof(crc));
  const ReadBack back = read_back(bytes);
  ASSERT_TRUE(back.error.has_value());
  EXPECT_EQ(back.error->code, ErrorCode::kIncompatible);
  EXPECT_THAT(back.error->text(), HasSubstr("file version 2, this build reads 1"));
}

TEST(LogFile, ABoardBeyondTheLimitIsRefusedBeforeItIsRead) {
  Bytes bytes = file_of({});
  const auto claimed = static_cast<uint32_t>(kMaxBoardBytes + 1);
  std::memcpy(bytes.data() + 12, &claimed, sizeof(claimed));
  const uint32_t crc = crc32c(ByteView(bytes).first(kFileCrcOffset));
  std::memcpy(bytes.data() + kFileCrcOffset, &crc, sizeof(crc));
  EXPECT_THAT(read_back(bytes).error->text(), HasSubstr("claims 1048577 bytes"));
}

TEST(LogFile, SomethingElseIsNotALog) {
  const Bytes other(200, std::byte{'x'});
  EXPECT_EQ(read_back(other).error->code, ErrorCode::kInvalid);
}

TEST(LogFile, AfterAFailedWriteNothingMoreIsWritten) {
  const size_t header_bytes = file_of({}).size();
  Bytes bytes;
  auto writer = LogFileWriter::create(std::make_unique<MemoryWriter>(bytes, header_bytes + 10),
                                      header_of_run(1));
  ASSERT_TRUE(writer.has_value());
  ASSERT_TRUE(writer->append({Step(1), Control{}}).has_value());
  const Status failed = writer->flush();
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().code, ErrorCode::kNoSpace);
  EXPECT_FALSE(writer->append({Step(2), Control{}}).has_value());
  EXPECT_FALSE(writer->sync().has_value());
  EXPECT_EQ(bytes.size(), header_bytes + 10);
  EXPECT_EQ(read_back(bytes).fault, FrameFault::kTruncated);

  Bytes nothing;
  EXPECT_FALSE(
      LogFileWriter::create(std::make_unique<MemoryWriter>(nothing, 10), header_of_run(1)));
}

TEST(LogFile, OnADisk) {
  const std::string path = std::filesystem::temp_directory_path() /
                           ("lockstep-log-test-" + std::to_string(std::random_device()()));
  const auto groups = random_groups(6, 3, 50, 500);
  {
    auto file = posix::FileWriter::create(path, posix::IfExists::kFail);
    ASSERT_TRUE(file.has_value()) << file.error().text();
    auto writer = LogFileWriter::create(std::move(*file), header_of_run(1));
    for (const Entry& entry : joined(groups)) ASSERT_TRUE(writer->append(entry).has_value());
    ASSERT_TRUE(writer->sync().has_value());
  }
  auto reader = LogFileReader::open(std::move(*posix::FileReader::open(path)));
  ASSERT_TRUE(reader.has_value()) << reader.error().text();
  std::vector<Entry> entries;
  for (auto entry = reader->next(); entry.value().has_value(); entry = reader->next()) {
    entries.push_back(std::move(**entry));
  }
  EXPECT_EQ(without_horizons(entries), joined(groups));
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace lockstep::log
