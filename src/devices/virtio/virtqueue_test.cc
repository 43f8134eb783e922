#include "devices/virtio/virtqueue.h"

#include <gtest/gtest.h>

#include "devices/testing/state_round_trip.h"
#include "devices/virtio/testing/guest_driver.h"

namespace lockstep::devices::virtio {
namespace {

using testing::kIndirect;
using testing::kNext;
using testing::kRamBase;
using testing::kRamSize;
using testing::kWrite;

constexpr uint16_t kSize = 8;
constexpr GuestAddress kDescriptors = kRamBase;
constexpr GuestAddress kAvailable = kRamBase + 0x1000;
constexpr GuestAddress kUsed = kRamBase + 0x2000;
constexpr GuestAddress kTable = kRamBase + 0x3000;
constexpr GuestAddress kData = kRamBase + 0x10000;

class VirtqueueTest : public ::testing::Test {
 protected:
  VirtqueueTest() { start(true, false); }

  void start(bool indirect, bool event_index) {
    queue_.reset();
    queue_.layout() = {kSize, kDescriptors.value, kAvailable.value, kUsed.value};
    queue_.negotiated(indirect, event_index);
    ASSERT_TRUE(queue_.make_ready());
  }
  void descriptor_at(GuestAddress at, GuestAddress address, uint32_t length, uint16_t flags,
                     uint16_t next) {
    memory_.store<uint64_t>(at, address.value);
    memory_.store<uint32_t>(at + 8, length);
    memory_.store<uint16_t>(at + 12, flags);
    memory_.store<uint16_t>(at + 14, next);
  }
  void descriptor(uint16_t index, GuestAddress address, uint32_t length, uint16_t flags,
                  uint16_t next = 0) {
    descriptor_at(kDescriptors + index * uint64_t{16}, address, length, flags, next);
  }
  void table_entry(uint16_t index, GuestAddress address, uint32_t length, uint16_t flags,
                   uint16_t next = 0) {
    descriptor_at(kTable + index * uint64_t{16}, address, length, flags, next);
  }
  void make_available(uint16_t head) {
    memory_.store<uint16_t>(kAvailable + (4 + uint64_t{available_index_} % kSize * 2), head);
    memory_.store<uint16_t>(kAvailable + 2, ++available_index_);
  }
  PopResult pop() { return queue_.pop(chain_); }
  // A head that was just made available must break the queue, for good.
  void expect_broken() {
    EXPECT_EQ(pop(), PopResult::kBroken);
    EXPECT_TRUE(queue_.broken());
    EXPECT_EQ(pop(), PopResult::kBroken);
  }

  testing::TestMemory test_memory_;
  riscv::PhysicalMemory& memory_ = test_memory_.memory;
  Virtqueue queue_{memory_, kSize};
  Chain chain_;
  uint16_t available_index_ = 0;
};

TEST_F(VirtqueueTest, PopsDirectChainsInOrder) {
  EXPECT_EQ(pop(), PopResult::kEmpty);
  descriptor(3, kData, 16, kNext, 5);
  descriptor(5, kData + 100, 200, kNext | kWrite, 0);
  descriptor(0, kData + 400, 1, kWrite);
  descriptor(7, kData + 500, 9, 0);
  make_available(3);
  make_available(7);
  ASSERT_EQ(pop(), PopResult::kChain);
  EXPECT_EQ(chain_.head, 3);
  EXPECT_EQ(chain_.readable, (Segments{{kData, 16}}));
  EXPECT_EQ(chain_.writable, (Segments{{kData + 100, 200}, {kData + 400, 1}}));
  EXPECT_EQ(total_length(chain_.writable), 201u);
  ASSERT_EQ(pop(), PopResult::kChain);
  EXPECT_EQ(chain_.head, 7);
  EXPECT_TRUE(chain_.writable.empty());
  EXPECT_EQ(pop(), PopResult::kEmpty);
}

TEST_F(VirtqueueTest, PopsIndirectChainsAfterDirectDescriptors) {
  descriptor(1, kData, 16, kNext, 2);
  descriptor(2, kTable, 32, kIndirect);
  table_entry(0, kData + 16, 4, kNext, 1);
  table_entry(1, kData + 32, 8, kWrite);
  make_available(1);
  ASSERT_EQ(pop(), PopResult::kChain);
  EXPECT_EQ(chain_.readable, (Segments{{kData, 16}, {kData + 16, 4}}));
  EXPECT_EQ(chain_.writable, (Segments{{kData + 32, 8}}));
}

TEST_F(VirtqueueTest, UnpopGivesTheChainAgain) {
  descriptor(0, kData, 16, kWrite);
  make_available(0);
  ASSERT_EQ(pop(), PopResult::kChain);
  EXPECT_EQ(pop(), PopResult::kEmpty);
  queue_.unpop(1);
  ASSERT_EQ(pop(), PopResult::kChain);
  EXPECT_EQ(chain_.head, 0);
}

TEST_F(VirtqueueTest, LoopsBreakTheQueue) {
  descriptor(0, kData, 16, kNext, 1);
  descriptor(1, kData, 16, kNext, 0);
  make_available(0);
  expect_broken();
}

TEST_F(VirtqueueTest, ADescriptorThatIsItsOwnNextBreaksTheQueue) {
  descriptor(0, kData, 16, kNext, 0);
  make_available(0);
  expect_broken();
}

TEST_F(VirtqueueTest, IndirectLoopsBreakTheQueue) {
  descriptor(0, kTable, 64, kIndirect);
  table_entry(0, kData, 16, kNext, 1);
  table_entry(1, kData, 16, kNext, 0);
  make_available(0);
  expect_broken();
}

TEST_F(VirtqueueTest, IndirectInIndirectBreaksTheQueue) {
  descriptor(0, kTable, 32, kIndirect);
  table_entry(0, kTable, 32, kIndirect);
  make_available(0);
  expect_broken();
}

TEST_F(VirtqueueTest, IndirectWithNextBreaksTheQueue) {
  descriptor(0, kTable, 32, kIndirect | kNext, 1);
  descriptor(1, kData, 16, 0);
  table_entry(0, kData, 1, 0);
  make_available(0);
  expect_broken();
}

TEST_F(VirtqueueTest, IndirectWithoutTheFeatureBreaksTheQueue) {
  start(false, false);
  descriptor(0, kTable, 16, kIndirect);
  table_entry(0, kData, 1, 0);
  make_available(0);
  expect_broken();
}

TEST_F(VirtqueueTest, BadIndirectTablesBreakTheQueue) {
  table_entry(0, kData, 1, 0);
  for (const auto& [address, length] :
       std::vector<std::pair<GuestAddress, uint32_t>>{{kTable, 0},
                                                      {kTable, 15},
                                                      {kTable, 17},
                                                      {kTable, 0xfffffff0},
                                                      {kRamBase + kRamSize, 16},
                                                      {GuestAddress(8), 16},
                                                      {GuestAddress(~uint64_t{15}), 16}}) {
    start(true, false);
    available_index_ = 0;
    descriptor(0, address, length, kIndirect);
    make_available(0);
    expect_broken();
  }
}

TEST_F(VirtqueueTest, IndirectNextOutsideTheTableBreaksTheQueue) {
  descriptor(0, kTable, 32, kIndirect);
  table_entry(0, kData, 16, kNext, 2);
  make_available(0);
  expect_broken();
}

TEST_F(VirtqueueTest, ChainsLongerThanTheBoundBreakTheQueue) {
  const auto entries = static_cast<uint16_t>(kMaxChainSegments + 1);
  descriptor(0, kTable, entries * 16u, kIndirect);
  for (uint16_t i = 0; i < entries; ++i) {
    const bool last = i + 1 == entries;
    table_entry(i, kData, 1, last ? 0 : kNext, static_cast<uint16_t>(i + 1));
  }
  make_available(0);
  expect_broken();
  // One less is a chain.
  start(true, false);
  available_index_ = 0;
  table_entry(static_cast<uint16_t>(entries - 2), kData, 1, 0);
  make_available(0);
  EXPECT_EQ(pop(), PopResult::kChain);
  EXPECT_EQ(chain_.readable.size(), kMaxChainSegments);
}

TEST_F(VirtqueueTest, BadBuffersBreakTheQueue) {
  for (const auto& [address, length] :
       std::vector<std::pair<GuestAddress, uint32_t>>{{kData, 0},
                                                      {GuestAddress(0), 16},
                                                      {kRamBase - 8, 16},
                                                      {kRamBase + (kRamSize - 8), 9},
                                                      {kRamBase, kRamSize + 1},
                                                      {kRamBase, 0xffffffff},
                                                      {GuestAddress(~uint64_t{7}), 16}}) {
    start(true, false);
    available_index_ = 0;
    descriptor(0, address, length, kWrite);
    make_available(0);
    expect_broken();
  }
}

TEST_F(VirtqueueTest, ReadableAfterWritableBreaksTheQueue) {
  descriptor(0, kData, 16, kNext | kWrite, 1);
  descriptor(1, kData, 16, 0);
  make_available(0);
  expect_broken();
}

TEST_F(VirtqueueTest, HeadsAndNextsOutsideTheTableBreakTheQueue) {
  make_available(kSize);
  expect_broken();
  start(true, false);
  available_index_ = 0;
  descriptor(0, kData, 16, kNext, kSize);
  make_available(0);
  expect_broken();
}

TEST_F(VirtqueueTest, AnIndexThatRunsAheadOfTheRingBreaksTheQueue) {
  memory_.store<uint16_t>(kAvailable + 2, kSize + 1);
  expect_broken();
}

TEST_F(VirtqueueTest, IndicesWrapAround) {
  descriptor(0, kData, 16, kWrite);
  for (uint32_t i = 0; i < 70000; ++i) {
    make_available(0);
    ASSERT_EQ(pop(), PopResult::kChain);
    queue_.push(0, i);
    ASSERT_TRUE(queue_.take_interrupt_wanted());
    ASSERT_EQ(memory_.load<uint16_t>(kUsed + 2), static_cast<uint16_t>(i + 1));
    ASSERT_EQ(memory_.load<uint32_t>(kUsed + (4 + i % kSize * 8 + 4)), i);
  }
}

TEST_F(VirtqueueTest, InterruptsUnlessTheDriverSaysNo) {
  descriptor(0, kData, 16, kWrite);
  EXPECT_FALSE(queue_.take_interrupt_wanted()) << "nothing was pushed";
  queue_.push(0, 1);
  EXPECT_TRUE(queue_.take_interrupt_wanted());
  EXPECT_FALSE(queue_.take_interrupt_wanted());
  memory_.store<uint16_t>(kAvailable, 1);
  queue_.push(0, 1);
  EXPECT_FALSE(queue_.take_interrupt_wanted());
}

TEST_F(VirtqueueTest, EventIndexNamesTheUsedEntryToInterruptAt) {
  start(true, true);
  const GuestAddress used_event = kAvailable + (4 + kSize * 2);
  memory_.store<uint16_t>(used_event, 1);
  queue_.push(0, 0);
  EXPECT_FALSE(queue_.take_interrupt_wanted()) << "index 0 was used, the driver waits for 1";
  queue_.push(0, 0);
  EXPECT_TRUE(queue_.take_interrupt_wanted());
  queue_.push(0, 0);
  EXPECT_FALSE(queue_.take_interrupt_wanted()) << "1 is past";
  memory_.store<uint16_t>(used_event, 5);
  for (int i = 0; i < 4; ++i) queue_.push(0, 0);
  EXPECT_TRUE(queue_.take_interrupt_wanted()) << "a batch that holds 5";
}

TEST_F(VirtqueueTest, RequestNotificationPublishesTheNextIndex) {
  start(true, true);
  const GuestAddress available_event = kUsed + (4 + kSize * 8);
  descriptor(0, kData, 16, kWrite);
  make_available(0);
  make_available(0);
  ASSERT_EQ(pop(), PopResult::kChain);
  ASSERT_EQ(pop(), PopResult::kChain);
  EXPECT_EQ(memory_.load<uint16_t>(available_event), 0);
  queue_.request_notification();
  EXPECT_EQ(memory_.load<uint16_t>(available_event), 2);
}

TEST_F(VirtqueueTest, OnlyValidLayoutsBecomeReady) {
  const Virtqueue::Layout good = {kSize, kDescriptors.value, kAvailable.value, kUsed.value};
  std::vector<Virtqueue::Layout> bad(9, good);
  bad[0].size = 0;
  bad[1].size = 6;
  bad[2].size = kSize * 2;
  bad[3].descriptors += 8;
  bad[4].available += 1;
  bad[5].used += 2;
  bad[6].descriptors = kRamBase.value + kRamSize - 16;
  bad[7].available = 0;
  bad[8].used = ~uint64_t{3};
  for (const Virtqueue::Layout& layout : bad) {
    queue_.reset();
    queue_.layout() = layout;
    EXPECT_FALSE(queue_.make_ready());
    EXPECT_FALSE(queue_.ready());
    EXPECT_EQ(queue_.size(), 0);
    EXPECT_EQ(pop(), PopResult::kEmpty);
    queue_.push(0, 0);
  }
  // The last byte of RAM is RAM.
  queue_.layout() = good;
  queue_.layout().used = kRamBase.value + kRamSize - (4 + kSize * 8 + 4);
  EXPECT_TRUE(queue_.make_ready());
}

TEST_F(VirtqueueTest, GatherAndScatterWalkSegmentsAsOneRun) {
  const Segments segments = {{kData, 3}, {kData + 100, 1}, {kData + 200, 4}};
  EXPECT_EQ(scatter(memory_, segments, 0, as_byte_view("abcdefgh")), 8u);
  EXPECT_EQ(scatter(memory_, segments, 2, as_byte_view("XY")), 2u);
  Bytes out(8);
  EXPECT_EQ(gather(memory_, segments, 0, out), 8u);
  EXPECT_EQ(as_text(out), "abXYefgh");
  Bytes middle(3);
  EXPECT_EQ(gather(memory_, segments, 3, middle), 3u);
  EXPECT_EQ(as_text(middle), "Yef");
  Bytes beyond(10, std::byte{'.'});
  EXPECT_EQ(gather(memory_, segments, 5, beyond), 3u);
  EXPECT_EQ(gather(memory_, segments, 8, beyond), 0u);
  EXPECT_EQ(scatter(memory_, segments, 7, as_byte_view("123")), 1u);
}

TEST_F(VirtqueueTest, SaveAndRestore) {
  start(true, true);
  descriptor(0, kData, 16, kWrite);
  make_available(0);
  make_available(0);
  ASSERT_EQ(pop(), PopResult::kChain);
  queue_.push(0, 3);
  EXPECT_TRUE(queue_.take_interrupt_wanted());
  Virtqueue copy(memory_, kSize);
  copy.negotiated(true, true);
  devices::testing::expect_round_trip(queue_, copy);
  EXPECT_EQ(copy.pop(chain_), PopResult::kChain);
  EXPECT_EQ(copy.pop(chain_), PopResult::kEmpty);
  copy.push(0, 4);
  EXPECT_EQ(memory_.load<uint16_t>(kUsed + 2), 2);
  EXPECT_FALSE(copy.take_interrupt_wanted()) << "the interrupt for used_event 0 has been given";
}

TEST_F(VirtqueueTest, RestoreRefusesRingsOutsideRam) {
  Bytes saved = devices::testing::saved_state(queue_);
  saved[4 + 7] = std::byte{0xff};  // the top byte of the descriptors' address
  Virtqueue copy(memory_, kSize);
  EXPECT_FALSE(devices::testing::restore_state(copy, saved));
  EXPECT_FALSE(copy.ready());
}

}  // namespace
}  // namespace lockstep::devices::virtio
