#include "devices/virtio/entropy/entropy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "devices/testing/state_round_trip.h"
#include "devices/virtio/mmio_transport.h"
#include "devices/virtio/testing/guest_driver.h"

namespace lockstep::devices::virtio {
namespace {

using ::testing::ElementsAre;
using testing::GuestDriver;
using testing::UsedElement;

class EntropyTest : public ::testing::Test {
 protected:
  void SetUp() override { start(); }

  void start() { ASSERT_EQ(driver_.start(~uint64_t{0}, 1, 8), 0x0fu); }
  static GuestAddress slot(uint16_t index) { return GuestDriver::buffers() + index * 0x1000; }
  void ask(uint16_t index, uint32_t count) {
    driver_.offer(0, index, {{slot(index), count, true}});
    driver_.notify(0);
  }

  testing::TestMemory memory_;
  devices::testing::RecordingLine line_;
  devices::testing::RecordingSink sink_;
  Entropy entropy_{sink_};
  MmioTransport transport_{memory_.memory, line_, entropy_};
  GuestDriver driver_{memory_.memory, transport_};
};

TEST_F(EntropyTest, AnswersTheOldestRequest) {
  ask(0, 64);
  ask(1, 5000);
  EXPECT_THAT(sink_.entropy_requests, ElementsAre(64, Entropy::kMaxRequestBytes));
  EXPECT_FALSE(driver_.take_used(0).has_value());
  entropy_.provide(Bytes(10, std::byte{1}));
  EXPECT_EQ(driver_.take_used(0), (UsedElement{0, 10}));
  EXPECT_TRUE(line_.level);
  EXPECT_EQ(driver_.get(slot(0), 11)[9], std::byte{1});
  EXPECT_EQ(driver_.get(slot(0), 11)[10], std::byte{0});
  entropy_.provide(Bytes(5000, std::byte{2}));
  EXPECT_EQ(driver_.take_used(0), (UsedElement{1, Entropy::kMaxRequestBytes}));
  EXPECT_EQ(driver_.get(slot(1) + Entropy::kMaxRequestBytes, 1)[0], std::byte{0});
}

TEST_F(EntropyTest, AnAnswerThatNobodyAskedForIsDropped) {
  entropy_.provide(Bytes(10, std::byte{1}));
  ask(0, 8);
  EXPECT_FALSE(driver_.take_used(0).has_value());
}

TEST_F(EntropyTest, AnswersToRequestsFromBeforeAResetAreDropped) {
  ask(0, 8);
  start();
  ask(0, 16);
  EXPECT_THAT(entropy_.outstanding(), ElementsAre(1, 16));
  entropy_.provide(Bytes(8, std::byte{1}));
  EXPECT_FALSE(driver_.take_used(0).has_value());
  entropy_.provide(Bytes(16, std::byte{2}));
  EXPECT_EQ(driver_.take_used(0), (UsedElement{0, 16}));
  EXPECT_EQ(driver_.get(slot(0), 1)[0], std::byte{2});
}

TEST_F(EntropyTest, ResetsDoNotLetADriverPileUpRequests) {
  for (int i = 0; i < 1000; ++i) {
    start();
    ask(0, 8);
  }
  EXPECT_EQ(sink_.entropy_requests.size(), Entropy::kMaxOwedAnswers);
  entropy_.provide(Bytes(8));
  EXPECT_EQ(sink_.entropy_requests.size(), Entropy::kMaxOwedAnswers + 1);
  for (size_t i = 1; i < Entropy::kMaxOwedAnswers; ++i) entropy_.provide(Bytes(8));
  EXPECT_FALSE(driver_.take_used(0).has_value());
  entropy_.provide(Bytes(8));
  EXPECT_TRUE(driver_.take_used(0).has_value());
}

TEST_F(EntropyTest, RequestsBeyondTheBoundWaitInTheRing) {
  driver_.set_descriptor(0, 0, slot(0), 4, testing::kWrite, 0);
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 4; ++i) driver_.make_available(0, 0);
    driver_.notify(0);
  }
  EXPECT_EQ(sink_.entropy_requests.size(), Entropy::kQueueSize);
  entropy_.provide(Bytes(4));
  EXPECT_EQ(sink_.entropy_requests.size(), Entropy::kQueueSize + 1u);
}

TEST_F(EntropyTest, AReadOnlyBufferBreaksTheDevice) {
  driver_.offer(0, 0, {{slot(0), 8, false}});
  driver_.notify(0);
  EXPECT_TRUE(driver_.needs_reset());
  EXPECT_TRUE(sink_.entropy_requests.empty());
}

TEST_F(EntropyTest, SaveAndRestore) {
  ask(0, 8);
  start();
  ask(0, 16);
  ask(1, 24);
  Entropy other(sink_);
  devices::testing::RecordingLine other_line;
  MmioTransport copy(memory_.memory, other_line, other);
  devices::testing::expect_round_trip(transport_, copy);
  EXPECT_THAT(other.outstanding(), ElementsAre(1, 16, 24));
  other.provide(Bytes(8, std::byte{1}));
  other.provide(Bytes(16, std::byte{2}));
  EXPECT_EQ(driver_.take_used(0), (UsedElement{0, 16}));
  EXPECT_TRUE(other_line.level);
}

}  // namespace
}  // namespace lockstep::devices::virtio
