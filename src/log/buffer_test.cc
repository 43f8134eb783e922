#include "log/buffer.h"

#include <atomic>
#include <gtest/gtest.h>
#include <thread>

#include "log/test_entries.h"

namespace lockstep::log {
namespace {

using Push = EntryQueue::Push;
using Pop = EntryQueue::Pop;

std::vector<Entry> frame_to(uint64_t horizon, size_t data_size = 0) {
  return {{Step(horizon), ConsoleInput{{}, Bytes(data_size)}}, {Step(horizon), Horizon{}}};
}

TEST(EntryQueue, GivesWhatCameInOrderInBatches) {
  EntryQueue queue({});
  std::vector<Entry> first = frame_to(5);
  std::vector<Entry> second = frame_to(9);
  const std::vector<Entry> expected = {first[0], first[1], second[0], second[1]};
  EXPECT_EQ(queue.push(first), Push::kTaken);
  EXPECT_TRUE(first.empty());
  EXPECT_EQ(queue.push(second), Push::kTaken);
  EXPECT_EQ(queue.horizon(), Step(9));
  EXPECT_EQ(queue.entries(), 4u);

  std::vector<Entry> batch;
  EXPECT_EQ(queue.pop(batch, 3), Pop::kEntries);
  EXPECT_EQ(batch, std::vector<Entry>(expected.begin(), expected.begin() + 3));
  EXPECT_EQ(queue.pop(batch, 3), Pop::kEntries);
  EXPECT_EQ(batch, std::vector<Entry>(expected.begin() + 3, expected.end()));
  EXPECT_EQ(queue.try_pop(batch, 3), Pop::kNothing);
  EXPECT_TRUE(batch.empty());
  EXPECT_EQ(queue.bytes(), 0u);
}

TEST(EntryQueue, FullRefusesTheWholeFrameAndTellsWhenThereIsRoom) {
  int told = 0;
  EntryQueue queue({.max_entries = 4, .max_bytes = 1 << 20}, [&] { ++told; });
  std::vector<Entry> one = frame_to(1);
  std::vector<Entry> two = frame_to(2);
  std::vector<Entry> three = frame_to(3);
  EXPECT_EQ(queue.push(one), Push::kTaken);
  EXPECT_EQ(queue.push(two), Push::kTaken);
  EXPECT_EQ(queue.push(three), Push::kFull);
  EXPECT_EQ(three.size(), 2u);
  EXPECT_EQ(queue.horizon(), Step(2));

  std::vector<Entry> batch;
  queue.pop(batch, 1);
  EXPECT_EQ(told, 0);
  queue.pop(batch, 1);
  EXPECT_EQ(told, 1);
  EXPECT_EQ(queue.push(three), Push::kTaken);
  queue.pop(batch, 4);
  EXPECT_EQ(told, 1);  // only after a refusal
}

TEST(EntryQueue, BytesAreBoundedToo) {
  EntryQueue queue({.max_entries = 100, .max_bytes = 10'000});
  std::vector<Entry> small = frame_to(1, 8'000);
  std::vector<Entry> more = frame_to(2, 8'000);
  EXPECT_EQ(queue.push(small), Push::kTaken);
  EXPECT_EQ(queue.push(more), Push::kFull);
}

TEST(EntryQueue, AnEmptyQueueTakesAFrameLargerThanItsLimits) {
  EntryQueue queue({.max_entries = 1, .max_bytes = 1});
  std::vector<Entry> frame = frame_to(1, 8'000);
  EXPECT_EQ(queue.push(frame), Push::kTaken);
}

TEST(EntryQueue, TheEndComesAfterTheLastEntry) {
  EntryQueue queue({});
  std::vector<Entry> frame = frame_to(1);
  queue.push(frame);
  queue.end();
  std::vector<Entry> batch;
  EXPECT_EQ(queue.pop(batch, 10), Pop::kEntries);
  EXPECT_EQ(queue.pop(batch, 10), Pop::kEnd);
  EXPECT_EQ(queue.try_pop(batch, 10), Pop::kEnd);
}

TEST(EntryQueue, StopEndsAWaitAndFreesTheProducer) {
  std::atomic<int> told = 0;
  EntryQueue queue({.max_entries = 2, .max_bytes = 1 << 20}, [&] { ++told; });
  std::vector<Entry> batch;
  std::thread consumer([&] {
    EXPECT_EQ(queue.pop(batch, 2), Pop::kEntries);
    EXPECT_EQ(queue.pop(batch, 2), Pop::kStopped);
  });
  std::vector<Entry> frame = frame_to(1);
  queue.push(frame);
  while (queue.entries() != 0) std::this_thread::yield();
  queue.stop();
  consumer.join();
  frame = frame_to(2);
  EXPECT_EQ(queue.push(frame), Push::kStopped);

  EntryQueue full({.max_entries = 2, .max_bytes = 1 << 20}, [&] { ++told; });
  frame = frame_to(1);
  full.push(frame);
  frame = frame_to(2);
  EXPECT_EQ(full.push(frame), Push::kFull);
  full.stop();
  EXPECT_EQ(told, 1);
}

TEST(EntryQueue, TwoThreadsLoseNothing) {
  constexpr uint64_t kFrames = 20'000;
  std::atomic<bool> space = true;
  EntryQueue queue({.max_entries = 64, .max_bytes = 1 << 20}, [&] {
    space = true;
    space.notify_one();
  });
  std::thread producer([&] {
    for (uint64_t i = 1; i <= kFrames; ++i) {
      std::vector<Entry> frame = frame_to(i);
      for (;;) {
        space = false;
        if (queue.push(frame) == Push::kTaken) break;
        space.wait(false);
      }
    }
    queue.end();
  });
  std::vector<Entry> batch;
  uint64_t count = 0;
  while (queue.pop(batch, 37) == Pop::kEntries) {
    for (const Entry& entry : batch) {
      ASSERT_EQ(entry.step, Step(count / 2 + 1));
      ASSERT_EQ(entry.kind() == EntryKind::kHorizon, count % 2 == 1);
      ++count;
    }
  }
  producer.join();
  EXPECT_EQ(count, 2 * kFrames);
  EXPECT_EQ(queue.horizon(), Step(kFrames));
}

}  // namespace
}  // namespace lockstep::log
