#include "devices/virtio/console/console.h"

#include <gtest/gtest.h>
#include <string>

#include "devices/testing/state_round_trip.h"
#include "devices/virtio/mmio_transport.h"
#include "devices/virtio/testing/guest_driver.h"

namespace lockstep::devices::virtio {
namespace {

using testing::GuestDriver;
using testing::UsedElement;

constexpr uint16_t kReceive = 0;
constexpr uint16_t kTransmit = 1;

class ConsoleTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(driver_.start(~uint64_t{0}, 2, 16), 0x0fu); }

  static GuestAddress slot(uint16_t index) { return GuestDriver::buffers() + index * 0x1000; }
  std::string text_at(uint16_t index, size_t size) {
    return std::string(as_text(driver_.get(slot(index), size)));
  }

  testing::TestMemory memory_;
  devices::testing::RecordingLine line_;
  devices::testing::RecordingSink sink_;
  Console console_{DeviceIndex{1}, sink_};
  MmioTransport transport_{memory_.memory, line_, console_};
  GuestDriver driver_{memory_.memory, transport_};
};

TEST_F(ConsoleTest, OutputLeavesAtTheNotification) {
  driver_.put(slot(0), as_byte_view("hello, "));
  driver_.put(slot(1), as_byte_view("world"));
  driver_.offer(kTransmit, 0, {{slot(0), 7, false}, {slot(1), 4, false}});
  driver_.offer(kTransmit, 2, {{slot(1) + 4, 1, false}});
  driver_.notify(kTransmit);
  EXPECT_EQ(sink_.console_text(1), "hello, world");
  EXPECT_EQ(driver_.take_used(kTransmit), (UsedElement{0, 0}));
  EXPECT_EQ(driver_.take_used(kTransmit), (UsedElement{2, 0}));
  EXPECT_TRUE(line_.level);
}

TEST_F(ConsoleTest, LongOutputIsCut) {
  driver_.offer(kTransmit, 0, {{testing::kRamBase, 512 * 1024, false}});
  driver_.notify(kTransmit);
  EXPECT_EQ(sink_.console_text(1).size(), Console::kMaxOutputBytes);
  driver_.offer(kTransmit, 1, {{slot(0), 16, true}});
  driver_.notify(kTransmit);
  EXPECT_EQ(sink_.console_text(1).size(), Console::kMaxOutputBytes) << "a buffer to read is empty";
}

TEST_F(ConsoleTest, InputWaitsForBuffersInOrder) {
  console_.receive(as_byte_view("abcdef"));
  driver_.offer(kReceive, 0, {{slot(0), 4, true}});
  driver_.notify(kReceive);
  EXPECT_EQ(driver_.take_used(kReceive), (UsedElement{0, 4}));
  EXPECT_EQ(text_at(0, 4), "abcd");
  driver_.offer(kReceive, 1, {{slot(1), 100, true}});
  console_.receive(as_byte_view("gh"));
  EXPECT_EQ(driver_.take_used(kReceive), (UsedElement{1, 4}));
  EXPECT_EQ(text_at(1, 4), "efgh");
  driver_.offer(kReceive, 2, {{slot(2), 100, true}});
  driver_.notify(kReceive);
  EXPECT_FALSE(driver_.take_used(kReceive).has_value());
  console_.receive(as_byte_view("i"));
  EXPECT_EQ(driver_.take_used(kReceive), (UsedElement{2, 1}));
}

TEST_F(ConsoleTest, InputBeyondTheBacklogIsLost) {
  console_.receive(Bytes(Console::kBacklogLimit - 1, std::byte{'x'}));
  console_.receive(as_byte_view("yz"));
  size_t got = 0;
  std::string last;
  for (int i = 0; i < 100; ++i) {
    driver_.offer(kReceive, 0, {{slot(0), 0x1000, true}});
    driver_.notify(kReceive);
    const auto used = driver_.take_used(kReceive);
    if (!used) break;
    got += used->written;
    last = text_at(0, used->written);
  }
  EXPECT_EQ(got, Console::kBacklogLimit);
  EXPECT_EQ(last.back(), 'y');
}

TEST_F(ConsoleTest, AReadOnlyInputBufferBreaksTheDevice) {
  driver_.offer(kReceive, 0, {{slot(0), 4, false}});
  console_.receive(as_byte_view("a"));
  EXPECT_TRUE(driver_.needs_reset());
  console_.receive(as_byte_view("b"));
}

TEST_F(ConsoleTest, ResetForgetsInput) {
  console_.receive(as_byte_view("abc"));
  transport_.reset();
  console_.receive(as_byte_view("abc"));
  Console fresh_console(DeviceIndex{1}, sink_);
  MmioTransport fresh(memory_.memory, line_, fresh_console);
  EXPECT_EQ(devices::testing::state_difference(transport_, fresh), "");
}

TEST_F(ConsoleTest, SaveAndRestore) {
  console_.receive(as_byte_view("abc"));
  Console other(DeviceIndex{1}, sink_);
  devices::testing::RecordingLine other_line;
  MmioTransport copy(memory_.memory, other_line, other);
  devices::testing::expect_round_trip(transport_, copy);
  driver_.offer(kReceive, 0, {{slot(0), 4, true}});
  copy.write(0x50, AccessSize::k4, kReceive);
  EXPECT_EQ(driver_.take_used(kReceive), (UsedElement{0, 3}));
}

}  // namespace
}  // namespace lockstep::devices::virtio
