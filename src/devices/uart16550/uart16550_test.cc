#include "devices/uart16550/uart16550.h"

#include <gtest/gtest.h>
#include <string>

#include "devices/testing/recording_ports.h"
#include "devices/testing/state_round_trip.h"

namespace lockstep::devices {
namespace {

using testing::RecordingLine;
using testing::RecordingSink;

constexpr uint64_t kData = 0;
constexpr uint64_t kIer = 1;
constexpr uint64_t kIirFcr = 2;
constexpr uint64_t kLcr = 3;
constexpr uint64_t kMcr = 4;
constexpr uint64_t kLsr = 5;
constexpr uint64_t kMsr = 6;
constexpr uint64_t kScr = 7;

class UartTest : public ::testing::Test {
 protected:
  uint64_t read(uint64_t offset) { return uart_.read(offset, AccessSize::k1); }
  void write(uint64_t offset, uint64_t value) { uart_.write(offset, AccessSize::k1, value); }
  std::string read_all() {
    std::string text;
    while ((read(kLsr) & 1) != 0) text.push_back(static_cast<char>(read(kData)));
    return text;
  }

  RecordingSink sink_;
  RecordingLine line_;
  Uart16550 uart_{DeviceIndex{0}, line_, sink_};
};

TEST_F(UartTest, PowerOnRegisters) {
  EXPECT_EQ(read(kIer), 0u);
  EXPECT_EQ(read(kIirFcr), 0x01u);
  EXPECT_EQ(read(kLsr), 0x60u);
  EXPECT_EQ(read(kMsr), 0xb0u);
  EXPECT_EQ(read(kLcr), 0u);
  EXPECT_EQ(read(8), 0u);
  EXPECT_EQ(uart_.read(0xf8, AccessSize::k8), 0u);
}

TEST_F(UartTest, PollingOutputAsEarlyconDoes) {
  for (char c : std::string("boot\n")) {
    ASSERT_EQ(read(kLsr) & 0x20, 0x20u);
    write(kData, static_cast<uint64_t>(c));
  }
  EXPECT_EQ(sink_.console_text(0), "boot\n");
  EXPECT_FALSE(line_.level);
}

TEST_F(UartTest, DivisorLatchHidesDataAndInterruptEnable) {
  write(kLcr, 0x83);
  write(kData, 0x34);
  write(kIer, 0x12);
  EXPECT_EQ(read(kData), 0x34u);
  EXPECT_EQ(read(kIer), 0x12u);
  write(kLcr, 0x03);
  EXPECT_EQ(read(kIer), 0u);
  EXPECT_EQ(sink_.console_text(0), "");
}

TEST_F(UartTest, DriverProbeSeesA16550A) {
  write(kIer, 0xff);
  EXPECT_EQ(read(kIer), 0x0fu);  // no sleep mode, no XScale unit enable
  write(kIer, 0);
  write(kScr, 0xa5);
  EXPECT_EQ(read(kScr), 0xa5u);
  write(kIirFcr, 0x01);
  EXPECT_EQ(read(kIirFcr) >> 6, 3u);
  write(kIirFcr, 0x21);  // a 16750 would show 64-byte mode in bit 5
  EXPECT_EQ(read(kIirFcr), 0xc1u);
  write(kIirFcr, 0x00);
  EXPECT_EQ(read(kIirFcr), 0x01u);
}

TEST_F(UartTest, LoopbackFeedsModemLinesAndData) {
  write(kMcr, 0x10 | 0x0a);  // RTS and OUT2
  EXPECT_EQ(read(kMsr) & 0xf0, 0x90u);
  write(kData, 'x');
  EXPECT_EQ(sink_.console_text(0), "");
  EXPECT_EQ(read(kLsr) & 1, 1u);
  EXPECT_EQ(read(kData), static_cast<uint64_t>('x'));
  write(kMcr, 0x08);
  EXPECT_EQ(read(kMsr) & 0xf0, 0xb0u);
}

TEST_F(UartTest, ModemDeltasInterruptAndAreClearedByReading) {
  write(kIer, 0x08);
  write(kMcr, 0x10);  // all outputs low: CTS, DSR, DCD fall
  EXPECT_TRUE(line_.level);
  EXPECT_EQ(read(kIirFcr) & 0x0f, 0x00u);
  EXPECT_EQ(read(kMsr), 0x0bu);
  EXPECT_FALSE(line_.level);
  write(kMcr, 0x14);  // OUT1 raises RI: no delta until it falls again
  EXPECT_EQ(read(kMsr), 0x40u);
  write(kMcr, 0x10);
  EXPECT_EQ(read(kMsr), 0x04u);
}

TEST_F(UartTest, TransmitEmptyInterruptIsAcknowledgedByIirAndRaisedByEachByte) {
  write(kIer, 0x02);
  EXPECT_TRUE(line_.level);
  EXPECT_EQ(read(kIirFcr) & 0x0f, 0x02u);
  EXPECT_FALSE(line_.level);
  EXPECT_EQ(read(kIirFcr) & 0x0f, 0x01u);
  write(kData, 'a');
  EXPECT_TRUE(line_.level);
  write(kIer, 0);
  EXPECT_FALSE(line_.level);
  write(kIer, 0x02);
  EXPECT_TRUE(line_.level);
}

TEST_F(UartTest, ReceiveInterruptAtTriggerLevelElseTimeout) {
  write(kIirFcr, 0x81);  // trigger at 8
  write(kIer, 0x01);
  uart_.receive(as_byte_view("1234567"));
  EXPECT_TRUE(line_.level);
  EXPECT_EQ(read(kIirFcr) & 0x0f, 0x0cu);
  uart_.receive(as_byte_view("8"));
  EXPECT_EQ(read(kIirFcr) & 0x0f, 0x04u);
  EXPECT_EQ(read_all(), "12345678");
  EXPECT_FALSE(line_.level);
}

TEST_F(UartTest, LineStatusOutranksReceiveOutranksTransmit) {
  write(kIer, 0x07);
  uart_.receive(Bytes(Uart16550::kBacklogLimit + 2, std::byte{'z'}));
  EXPECT_EQ(read(kIirFcr) & 0x0f, 0x06u);
  EXPECT_EQ(read(kLsr) & 0x03, 0x03u);
  EXPECT_EQ(read(kIirFcr) & 0x0f, 0x04u);
  // The transmitter's interrupt has not been lost behind the others.
  EXPECT_EQ(read_all().size(), Uart16550::kBacklogLimit + 1);
  EXPECT_EQ(read(kIirFcr) & 0x0f, 0x02u);
}

TEST_F(UartTest, BacklogKeepsOrderAndDropsWhatDoesNotFit) {
  std::string text;
  for (size_t i = 0; i < 1000; ++i) text.push_back(static_cast<char>('a' + i % 26));
  write(kIirFcr, 0x01);
  uart_.receive(as_byte_view(text));
  EXPECT_EQ(read_all(), text);

  uart_.receive(Bytes(Uart16550::kBacklogLimit + Uart16550::kFifoSize, std::byte{'f'}));
  EXPECT_EQ(read(kLsr) & 0x02, 0u);
  uart_.receive(as_byte_view("!"));
  EXPECT_EQ(read(kLsr) & 0x02, 0x02u);
  const std::string got = read_all();
  EXPECT_EQ(got.size(), Uart16550::kBacklogLimit + Uart16550::kFifoSize);
  EXPECT_EQ(got.find('!'), std::string::npos);
}

TEST_F(UartTest, ClearingTheFifoDropsItsBytesAndTheBacklogMovesUp) {
  write(kIirFcr, 0x01);
  uart_.receive(as_byte_view("0123456789abcdefXYZ"));
  write(kIirFcr, 0x03);
  EXPECT_EQ(read_all(), "XYZ");
}

TEST_F(UartTest, SaveAndRestoreInMidTraffic) {
  write(kIirFcr, 0x41);
  write(kIer, 0x05);
  write(kLcr, 0x1b);
  uart_.receive(as_byte_view("a long line that fills the FIFO and more"));
  read(kData);
  write(kMcr, 0x13);
  RecordingLine other_line;
  Uart16550 copy(DeviceIndex{0}, other_line, sink_);
  testing::expect_round_trip(uart_, copy);
  EXPECT_EQ(copy.read(kData, AccessSize::k1), static_cast<uint64_t>(' '));

  Uart16550 fresh(DeviceIndex{0}, other_line, sink_);
  uart_.reset();
  EXPECT_EQ(testing::state_difference(uart_, fresh), "");
  EXPECT_FALSE(line_.level);
}

}  // namespace
}  // namespace lockstep::devices
