#include "replay/source.h"

#include <gtest/gtest.h>
#include <memory>
#include <thread>

#include "log/test_entries.h"

namespace lockstep::replay {
namespace {

using log::Entry;

const std::vector<std::vector<Entry>> kFrames = {
    {{Step(1), log::Entropy{}}, {Step(2), log::Warp{}}, {Step(2), log::Horizon{}}},
    {{Step(5), log::Horizon{}}},
    {{Step(6), log::Control{}}, {Step(7), log::Horizon{}}},
};

// Gives all of kFrames, each entry with the frame it came from.
void expect_frames(EntrySource& source, uint64_t before) {
  Entry entry;
  for (size_t frame = 0; frame < kFrames.size(); ++frame) {
    for (const Entry& expected : kFrames[frame]) {
      ASSERT_EQ(source.next(entry).value(), SourceState::kEntry);
      EXPECT_EQ(entry, expected);
      EXPECT_EQ(source.position(), LogPosition(before + frame + 1));
    }
  }
}

TEST(FileSource, GivesTheEntriesOfAFile) {
  Bytes bytes;
  const log::LogFileHeader header{{}, {LogPosition(41), 5, Step(0)}};
  auto writer = log::LogFileWriter::create(std::make_unique<log::MemoryWriter>(bytes), header);
  for (const auto& frame : kFrames) {
    for (const Entry& entry : frame) ASSERT_TRUE(writer->append(entry).has_value());
    ASSERT_TRUE(writer->flush().has_value());
  }
  FileSource source(log::LogFileReader::open(std::make_unique<log::MemoryReader>(bytes)).value());
  expect_frames(source, 41);
  Entry entry;
  EXPECT_EQ(source.next(entry).value(), SourceState::kEnd);
  EXPECT_EQ(source.statistics().frames, 3u);

  bytes.pop_back();
  FileSource cut(log::LogFileReader::open(std::make_unique<log::MemoryReader>(bytes)).value());
  for (int i = 0; i < 4; ++i) ASSERT_EQ(cut.next(entry).value(), SourceState::kEntry);
  EXPECT_FALSE(cut.next(entry).has_value());
}

TEST(QueueSource, GivesTheEntriesOfAQueueAndItsEnd) {
  log::EntryQueue queue({});
  std::thread channel([&] {
    for (std::vector<Entry> frame : kFrames) queue.push(frame);
    queue.end();
  });
  QueueSource source(queue, LogPosition(41));
  expect_frames(source, 41);
  Entry entry;
  EXPECT_EQ(source.next(entry).value(), SourceState::kEnd);
  channel.join();
}

TEST(QueueSource, AStopIsNotAnEnd) {
  log::EntryQueue queue({});
  queue.stop();
  QueueSource source(queue, LogPosition(0));
  Entry entry;
  EXPECT_EQ(source.next(entry).value(), SourceState::kStopped);
}

}  // namespace
}  // namespace lockstep::replay
