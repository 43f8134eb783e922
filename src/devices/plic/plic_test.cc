#include "devices/plic/plic.h"

#include <gtest/gtest.h>

#include "devices/testing/recording_ports.h"
#include "devices/testing/state_round_trip.h"

namespace lockstep::devices {
namespace {

using testing::RecordingLine;

constexpr uint64_t kContext = 1;  // the supervisor context of hart 0, behind its machine context
constexpr uint64_t kEnable = 0x2000 + kContext * 0x80;
constexpr uint64_t kThreshold = 0x200000 + kContext * 0x1000;
constexpr uint64_t kClaim = kThreshold + 4;

class PlicTest : public ::testing::Test {
 protected:
  uint32_t read(uint64_t offset) {
    return static_cast<uint32_t>(plic_.read(offset, AccessSize::k4));
  }
  void write(uint64_t offset, uint32_t value) { plic_.write(offset, AccessSize::k4, value); }
  void enable(uint32_t source, uint32_t priority) {
    write(source * 4, priority);
    write(kEnable + source / 32 * 4, read(kEnable + source / 32 * 4) | 1u << (source % 32));
  }

  RecordingLine line_;
  Plic plic_{Plic::kVirtSources, {nullptr, &line_}};
};

TEST_F(PlicTest, ClaimAndCompleteOfALevelInterrupt) {
  enable(10, 1);
  plic_.source(10).set(true);
  EXPECT_TRUE(line_.level);
  EXPECT_EQ(read(0x1000), 1u << 10);
  EXPECT_EQ(read(kClaim), 10u);
  EXPECT_FALSE(line_.level);
  EXPECT_EQ(read(kClaim), 0u);
  write(kClaim, 10);
  EXPECT_TRUE(line_.level) << "the wire is still asserted";
  EXPECT_EQ(read(kClaim), 10u);
  plic_.source(10).set(false);
  write(kClaim, 10);
  EXPECT_FALSE(line_.level);
  EXPECT_EQ(read(kClaim), 0u);
}

TEST_F(PlicTest, AForwardedRequestStaysWhenTheWireFalls) {
  enable(3, 1);
  plic_.source(3).set(true);
  plic_.source(3).set(false);
  EXPECT_TRUE(line_.level);
  EXPECT_EQ(read(kClaim), 3u);
  write(kClaim, 3);
  EXPECT_FALSE(line_.level);
}

TEST_F(PlicTest, HighestPriorityThenLowestNumber) {
  enable(40, 2);
  enable(5, 2);
  enable(95, 7);
  for (uint32_t source : {40u, 5u, 95u}) plic_.source(source).set(true);
  EXPECT_EQ(read(kClaim), 95u);
  EXPECT_EQ(read(kClaim), 5u);
  EXPECT_EQ(read(kClaim), 40u);
  EXPECT_EQ(read(kClaim), 0u);
}

TEST_F(PlicTest, ThresholdMasksNotificationButNotClaims) {
  enable(8, 3);
  write(kThreshold, 3);
  plic_.source(8).set(true);
  EXPECT_FALSE(line_.level);
  write(kThreshold, 2);
  EXPECT_TRUE(line_.level);
  write(kThreshold, 7);
  EXPECT_FALSE(line_.level);
  EXPECT_EQ(read(kClaim), 8u);
}

TEST_F(PlicTest, PriorityZeroNeverInterrupts) {
  enable(8, 0);
  plic_.source(8).set(true);
  EXPECT_FALSE(line_.level);
  EXPECT_EQ(read(kClaim), 0u);
  write(8 * 4, 1);
  EXPECT_TRUE(line_.level);
}

TEST_F(PlicTest, CompletionOfWhatIsNotEnabledOrClaimedIsIgnored) {
  enable(8, 1);
  plic_.source(8).set(true);
  EXPECT_EQ(read(kClaim), 8u);
  write(kEnable, 0);
  write(kClaim, 8);
  write(kEnable, 1u << 8);
  EXPECT_FALSE(line_.level) << "still claimed";
  write(kClaim, 9);
  write(kClaim, 0);
  write(kClaim, 0xffffffff);
  write(kClaim, 1024);
  EXPECT_FALSE(line_.level);
  write(kClaim, 8);
  EXPECT_TRUE(line_.level);
}

TEST_F(PlicTest, RegistersKeepOnlyWhatExists) {
  write(0, 7);
  EXPECT_EQ(read(0), 0u);
  write(4, 0xffffffff);
  EXPECT_EQ(read(4), 7u);
  write(96 * 4, 5);
  EXPECT_EQ(read(96 * 4), 0u);
  for (uint64_t word = 0; word < 32; ++word) write(kEnable + word * 4, 0xffffffff);
  EXPECT_EQ(read(kEnable), 0xfffffffeu);
  EXPECT_EQ(read(kEnable + 8), 0xffffffffu);
  EXPECT_EQ(read(kEnable + 12), 0u);
  write(kThreshold, 0xff);
  EXPECT_EQ(read(kThreshold), 7u);
  write(0x1000, 0xffffffff);
  EXPECT_EQ(read(0x1000), 0u);
}

TEST_F(PlicTest, AccessesOutsideRegistersDoNothing) {
  const Bytes before = testing::saved_state(plic_);
  for (uint64_t offset :
       {uint64_t{0x1080}, uint64_t{0x1ffc}, kThreshold + 8, kThreshold + 0xffc, kThreshold + 0x1000,
        uint64_t{0x2000 + 2 * 0x80}, uint64_t{0x1f2000}, uint64_t{0x5ffffc}}) {
    write(offset, 0xffffffff);
    EXPECT_EQ(read(offset), 0u) << offset;
  }
  plic_.write(4, AccessSize::k8, ~uint64_t{0});
  plic_.write(4, AccessSize::k1, 7);
  plic_.write(5, AccessSize::k4, 7);
  EXPECT_EQ(plic_.read(4, AccessSize::k8), 0u);
  EXPECT_EQ(testing::saved_state(plic_), before);
}

TEST_F(PlicTest, SaveAndRestoreInMidTraffic) {
  enable(8, 3);
  enable(64, 1);
  write(0x2000, 0x100);
  plic_.source(8).set(true);
  plic_.source(64).set(true);
  EXPECT_EQ(read(kClaim), 8u);

  RecordingLine other_line;
  Plic copy(Plic::kVirtSources, {nullptr, &other_line});
  testing::expect_round_trip(plic_, copy);
  EXPECT_TRUE(other_line.level) << "source 64 is pending";
  copy.source(8).set(true);  // a device that drives its level again changes nothing
  EXPECT_EQ(testing::state_difference(plic_, copy), "");

  Plic fresh(Plic::kVirtSources, {nullptr, &other_line});
  plic_.reset();
  EXPECT_EQ(testing::state_difference(plic_, fresh), "");
  EXPECT_FALSE(line_.level);
}

TEST_F(PlicTest, RestoreRefusesSourcesThatDoNotExist) {
  Bytes saved = testing::saved_state(plic_);
  // The levels stand right after the component's name and the priorities.
  const size_t levels = 1 + 4 + 1 + (Plic::kVirtSources + 1) * 4;
  saved[levels] = std::byte{1};
  EXPECT_FALSE(testing::restore_state(plic_, saved));
  EXPECT_EQ(read(0x1000), 0u);
}

}  // namespace
}  // namespace lockstep::devices
