#include "replay/recorder.h"

#include <gtest/gtest.h>
#include <memory>

#include "log/test_entries.h"
#include "replay/replayer.h"
#include "replay/test_machine.h"

namespace lockstep::replay {
namespace {

Recorder recorder_into(Bytes& bytes, size_t capacity = SIZE_MAX) {
  return Recorder(log::LogFileWriter::create(std::make_unique<log::MemoryWriter>(bytes, capacity),
                                             {{}, log::start_of_run({}, 1)})
                      .value());
}

TEST(Recorder, WhatItRecordsReplaysToTheSameState) {
  Bytes bytes;
  Recorder recorder = recorder_into(bytes);
  log::Random random(1);
  TestMachine live;
  for (int i = 0; i < 500; ++i) {
    live.run_until(live.step() + random() % 300);
    const log::Entry entry{live.step(), log::ConsoleInput{{}, log::random_bytes(random, 5)}};
    ASSERT_TRUE(live.apply(entry).has_value());
    ASSERT_TRUE(recorder.record(entry).has_value());
  }
  ASSERT_TRUE(recorder.record({live.step(), log::Digest{live.digest()}}).has_value());
  live.run_until(live.step() + 40);
  ASSERT_TRUE(recorder.reached(live.step()).has_value());
  ASSERT_TRUE(recorder.finish().has_value());
  EXPECT_EQ(recorder.cursor().horizon, live.step());

  FileSource source(log::LogFileReader::open(std::make_unique<log::MemoryReader>(bytes)).value());
  TestMachine again;
  Replayer replayer(source, again);
  const Result<ReplayStop> stop = replayer.run();
  ASSERT_TRUE(stop.has_value()) << stop.error().text();
  EXPECT_EQ(again.step(), live.step());
  EXPECT_EQ(again.digest(), live.digest());
  EXPECT_EQ(replayer.counts().of(log::EntryKind::kDigest), 1u);
}

TEST(Recorder, FlushesAsTheMachineRuns) {
  Bytes bytes;
  Recorder recorder = recorder_into(bytes);
  const size_t header = bytes.size();
  ASSERT_TRUE(recorder.record({Step(1), log::Entropy{}}).has_value());
  ASSERT_TRUE(recorder.reached(Step(Recorder::kFlushSteps - 1)).has_value());
  EXPECT_EQ(bytes.size(), header);
  ASSERT_TRUE(recorder.reached(Step(Recorder::kFlushSteps)).has_value());
  EXPECT_GT(bytes.size(), header);
}

TEST(Recorder, AFullDiskEndsTheRecordingWithOneError) {
  Bytes bytes;
  Recorder recorder = recorder_into(bytes, 70);
  ASSERT_TRUE(recorder.record({Step(1), log::Entropy{}}).has_value());
  const Status first = recorder.reached(Step(Recorder::kFlushSteps));
  ASSERT_FALSE(first.has_value());
  EXPECT_EQ(first.error().code, ErrorCode::kNoSpace);
  EXPECT_EQ(recorder.record({Step(Recorder::kFlushSteps), log::Entropy{}}).error().text(),
            first.error().text());
  EXPECT_FALSE(recorder.finish().has_value());
}

}  // namespace
}  // namespace lockstep::replay
