#include "devices/goldfish_rtc/goldfish_rtc.h"

#include <gtest/gtest.h>

#include "devices/testing/recording_ports.h"
#include "devices/testing/state_round_trip.h"

namespace lockstep::devices {
namespace {

constexpr uint64_t kNoon = 1'767'268'800'000'000'000;  // 2026-01-01T12:00:00Z

class RtcTest : public ::testing::Test {
 protected:
  RtcTest() { clock_.now_ns = kNoon; }
  uint64_t read(uint64_t offset) { return rtc_.read(offset, AccessSize::k4); }
  void write(uint64_t offset, uint64_t value) { rtc_.write(offset, AccessSize::k4, value); }
  uint64_t now() {
    const uint64_t low = read(0x00);
    return read(0x04) << 32 | low;
  }
  void set_alarm(uint64_t at_ns) {
    write(0x0c, at_ns >> 32);
    write(0x08, at_ns & 0xffffffff);
  }

  testing::RecordingLine line_;
  testing::ManualWallClock clock_;
  GoldfishRtc rtc_{line_, clock_};
};

TEST_F(RtcTest, LowLatchesHighAndAsksOnce) {
  const uint64_t low = read(0x00);
  clock_.now_ns += uint64_t{1} << 33;
  EXPECT_EQ(read(0x04) << 32 | low, kNoon);
  EXPECT_EQ(clock_.reads, 1);
}

TEST_F(RtcTest, TheGuestMaySetTheTime) {
  const uint64_t past = 946'684'800'000'000'001;
  write(0x04, past >> 32);
  EXPECT_EQ(clock_.reads, 0);
  write(0x00, past & 0xffffffff);
  clock_.now_ns += 500;
  EXPECT_EQ(now(), past + 500);
}

TEST_F(RtcTest, AnAlarmFiresWhenTheGuestLooksAtTheTime) {
  write(0x10, 1);
  set_alarm(kNoon + 1000);
  EXPECT_EQ(read(0x18), 1u);
  EXPECT_EQ(read(0x0c) << 32 | read(0x08), kNoon + 1000);
  EXPECT_EQ(clock_.reads, 0);
  now();
  EXPECT_FALSE(line_.level);
  clock_.now_ns += 1000;
  EXPECT_FALSE(line_.level);
  now();
  EXPECT_TRUE(line_.level);
  EXPECT_EQ(read(0x18), 0u);
  write(0x1c, 1);
  EXPECT_FALSE(line_.level);
}

TEST_F(RtcTest, AClearedOrMaskedAlarmDoesNotInterrupt) {
  set_alarm(kNoon);
  now();
  EXPECT_FALSE(line_.level);
  write(0x10, 1);
  EXPECT_TRUE(line_.level);
  write(0x1c, 0);
  set_alarm(kNoon);
  write(0x14, 0);
  now();
  EXPECT_FALSE(line_.level);
}

TEST_F(RtcTest, GarbageAccessesDoNothing) {
  const Bytes before = testing::saved_state(rtc_);
  for (uint64_t offset : {uint64_t{0x20}, uint64_t{0x3}, uint64_t{0xffc}, uint64_t{0x18}}) {
    write(offset, ~uint64_t{0});
    EXPECT_EQ(read(offset), 0u);
  }
  rtc_.write(0x00, AccessSize::k8, 1);
  rtc_.write(0x10, AccessSize::k1, 1);
  EXPECT_EQ(rtc_.read(0x00, AccessSize::k8), 0u);
  EXPECT_EQ(clock_.reads, 0);
  EXPECT_EQ(testing::saved_state(rtc_), before);
}

TEST_F(RtcTest, SaveAndRestore) {
  write(0x04, 5);
  write(0x00, 6);
  write(0x04, 9);
  write(0x10, 1);
  set_alarm(77);
  now();
  testing::RecordingLine other_line;
  GoldfishRtc copy(other_line, clock_);
  testing::expect_round_trip(rtc_, copy);
  GoldfishRtc fresh(other_line, clock_);
  rtc_.reset();
  EXPECT_EQ(testing::state_difference(rtc_, fresh), "");
  EXPECT_FALSE(line_.level);
}

}  // namespace
}  // namespace lockstep::devices
