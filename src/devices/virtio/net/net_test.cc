#include "devices/virtio/net/net.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>

#include "devices/testing/state_round_trip.h"
#include "devices/virtio/mmio_transport.h"
#include "devices/virtio/testing/guest_driver.h"

namespace lockstep::devices::virtio {
namespace {

using testing::Buffer;
using testing::GuestDriver;
using testing::UsedElement;

constexpr uint16_t kReceive = 0;
constexpr uint16_t kTransmit = 1;
constexpr uint16_t kControl = 2;
constexpr uint64_t kMergeable = uint64_t{1} << 15;
constexpr uint64_t kControlReceive = uint64_t{1} << 18;

MacAddress mac(uint8_t last) {
  return {std::byte{0x52}, std::byte{0x54}, std::byte{0},
          std::byte{0},    std::byte{0},    std::byte{last}};
}

// A frame to `destination` that no protocol knows, filled with `fill`.
Bytes frame_to(const MacAddress& destination, size_t size, int fill = 0x77) {
  Bytes frame(size, static_cast<std::byte>(fill));
  std::copy(destination.begin(), destination.end(), frame.begin());
  return frame;
}

class NetTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(driver_.start(~uint64_t{0}, 3, 16), 0x0fu); }

  static GuestAddress slot(uint16_t index) { return GuestDriver::buffers() + index * 0x800; }
  void offer_receive(uint16_t index, uint32_t size) {
    driver_.offer(kReceive, index, {Buffer{slot(index), size, true}});
  }
  void send(uint16_t index, const Bytes& header, const Bytes& frame) {
    driver_.put(slot(index), header);
    driver_.put(slot(index) + 0x20, frame);
    driver_.offer(kTransmit, static_cast<uint16_t>(index * 2),
                  {{slot(index), static_cast<uint32_t>(header.size()), false},
                   {slot(index) + 0x20, static_cast<uint32_t>(frame.size()), false}});
  }
  // The acknowledgement of one command.
  int command(uint8_t command_class, uint8_t operation, const Bytes& data) {
    Bytes bytes = {std::byte{command_class}, std::byte{operation}};
    bytes.insert(bytes.end(), data.begin(), data.end());
    const GuestAddress at = slot(64);
    driver_.put(at, bytes);
    driver_.put(at + 0x700, Bytes(1, std::byte{0xee}));
    driver_.offer(kControl, 0,
                  {{at, static_cast<uint32_t>(bytes.size()), false}, {at + 0x700, 1, true}});
    driver_.notify(kControl);
    EXPECT_TRUE(driver_.take_used(kControl).has_value());
    return memory_.memory.load<uint8_t>(at + 0x700);
  }
  // Whether a frame to the address reaches the guest.
  bool passes(const MacAddress& destination) {
    offer_receive(0, 0x800);
    net_.receive(frame_to(destination, 60));
    if (driver_.take_used(kReceive)) return true;
    // Take the buffer back out of play with a frame that does pass.
    net_.receive(frame_to({std::byte{0xff}, std::byte{0xff}, std::byte{0xff}, std::byte{0xff},
                           std::byte{0xff}, std::byte{0xff}},
                          60));
    EXPECT_TRUE(driver_.take_used(kReceive).has_value());
    return false;
  }

  testing::TestMemory memory_;
  devices::testing::RecordingLine line_;
  devices::testing::RecordingSink sink_;
  Net net_{{DeviceIndex{0}, mac(1), 1500}, sink_};
  MmioTransport transport_{memory_.memory, line_, net_};
  GuestDriver driver_{memory_.memory, transport_};
};

TEST_F(NetTest, ConfigurationSpace) {
  EXPECT_EQ(transport_.read(0x100, AccessSize::k8) & 0xffffffffffff, 0x010000005452u);
  EXPECT_EQ(transport_.read(0x106, AccessSize::k2), 1u);
  EXPECT_EQ(transport_.read(0x10a, AccessSize::k2), 1500u);
}

TEST_F(NetTest, TransmitDrainsTheRingWithOneInterrupt) {
  for (uint16_t i = 0; i < 5; ++i) send(i, Bytes(12), frame_to(mac(9), 60 + i, i));
  driver_.notify(kTransmit);
  ASSERT_EQ(sink_.frames.size(), 5u);
  for (uint16_t i = 0; i < 5; ++i) {
    EXPECT_EQ(sink_.frames[i], frame_to(mac(9), 60u + i, i));
    EXPECT_EQ(driver_.take_used(kTransmit), (UsedElement{i * 2u, 0}));
  }
  EXPECT_EQ(line_.rising_edges, 1);
  EXPECT_EQ(driver_.available_event(kTransmit), 5);
}

TEST_F(NetTest, PacketsThatCannotBeSentAreDroppedAndHandedBack) {
  Bytes unknown_segmentation(12);
  unknown_segmentation[1] = std::byte{3};
  Bytes bad_checksum(12);
  bad_checksum[0] = std::byte{1};
  bad_checksum[6] = std::byte{200};
  send(0, Bytes(12), frame_to(mac(9), 13));
  send(1, Bytes(12), Bytes(1519));
  send(2, unknown_segmentation, frame_to(mac(9), 60));
  send(3, bad_checksum, frame_to(mac(9), 60));
  driver_.offer(kTransmit, 8, {{slot(4), 11, false}});
  driver_.offer(kTransmit, 9, {{slot(4), 100, true}});
  driver_.notify(kTransmit);
  EXPECT_TRUE(sink_.frames.empty());
  for (int i = 0; i < 6; ++i) EXPECT_TRUE(driver_.take_used(kTransmit).has_value());
  EXPECT_EQ(net_.dropped_frames(), 6u);
  EXPECT_FALSE(driver_.needs_reset());
}

TEST_F(NetTest, HugePacketsAreDropped) {
  std::vector<Buffer> buffers;
  for (int i = 0; i < 3; ++i) buffers.push_back({testing::kRamBase, 512 * 1024, false});
  driver_.offer(kTransmit, 0, buffers);
  driver_.notify(kTransmit);
  EXPECT_TRUE(driver_.take_used(kTransmit).has_value());
  EXPECT_EQ(net_.dropped_frames(), 1u);
}

TEST_F(NetTest, OffloadsNeedTheirFeature) {
  driver_.start(kFeatureVersion1, 3, 16);
  Bytes header(12);
  header[0] = std::byte{1};
  header[6] = std::byte{34};
  send(0, header, frame_to(mac(9), 60));
  driver_.notify(kTransmit);
  EXPECT_TRUE(sink_.frames.empty());
  driver_.start(kFeatureVersion1 | 1, 3, 16);
  send(0, header, frame_to(mac(9), 60));
  driver_.notify(kTransmit);
  EXPECT_EQ(sink_.frames.size(), 1u);
}

TEST_F(NetTest, ReceivesIntoOneBuffer) {
  offer_receive(2, 0x800);
  const Bytes frame = frame_to(mac(1), 100);
  net_.receive(frame);
  EXPECT_EQ(driver_.take_used(kReceive), (UsedElement{2, 112}));
  Bytes header(12);
  header[10] = std::byte{1};
  EXPECT_EQ(driver_.get(slot(2), 12), header);
  EXPECT_EQ(driver_.get(slot(2) + 12, 100), frame);
  EXPECT_TRUE(line_.level);
}

TEST_F(NetTest, MergesBuffersForALongFrame) {
  for (uint16_t i = 0; i < 4; ++i) offer_receive(i, 500);
  const Bytes frame = frame_to(mac(1), 1400);
  net_.receive(frame);
  EXPECT_EQ(driver_.take_used(kReceive), (UsedElement{0, 500}));
  EXPECT_EQ(driver_.take_used(kReceive), (UsedElement{1, 500}));
  EXPECT_EQ(driver_.take_used(kReceive), (UsedElement{2, 412}));
  EXPECT_FALSE(driver_.take_used(kReceive).has_value());
  EXPECT_EQ(driver_.get(slot(0) + 10, 1), Bytes(1, std::byte{3}));
  Bytes joined = driver_.get(slot(0) + 12, 488);
  for (const auto& [index, size] : {std::pair{1, 500}, {2, 412}}) {
    const Bytes part = driver_.get(slot(static_cast<uint16_t>(index)), static_cast<size_t>(size));
    joined.insert(joined.end(), part.begin(), part.end());
  }
  EXPECT_EQ(joined, frame);
}

TEST_F(NetTest, FramesWaitForBuffersInOrder) {
  offer_receive(0, 500);
  net_.receive(frame_to(mac(1), 1000, 1));  // needs three buffers, one is there
  net_.receive(frame_to(mac(1), 100, 2));   // would fit, and must not overtake
  EXPECT_FALSE(driver_.take_used(kReceive).has_value());
  EXPECT_EQ(driver_.available_event(kReceive), 0) << "a notification is wanted for the next";
  for (uint16_t i = 1; i < 4; ++i) offer_receive(i, 500);
  driver_.notify(kReceive);
  EXPECT_EQ(driver_.take_used(kReceive), (UsedElement{0, 500}));
  EXPECT_EQ(driver_.take_used(kReceive), (UsedElement{1, 500}));
  EXPECT_EQ(driver_.take_used(kReceive), (UsedElement{2, 12}));
  EXPECT_EQ(driver_.take_used(kReceive), (UsedElement{3, 112}));
  EXPECT_EQ(driver_.get(slot(3) + 50, 1), Bytes(1, std::byte{2}));
}

TEST_F(NetTest, TheBacklogIsBounded) {
  for (size_t i = 0; i < Net::kBacklogFrames; ++i) net_.receive(frame_to(mac(1), 60));
  EXPECT_EQ(net_.dropped_frames(), 0u);
  net_.receive(frame_to(mac(1), 60));
  EXPECT_EQ(net_.dropped_frames(), 1u);
}

TEST_F(NetTest, WithoutMergingAFrameThatDoesNotFitIsLost) {
  driver_.start(~kMergeable, 3, 16);
  offer_receive(0, 100);
  net_.receive(frame_to(mac(1), 100));
  EXPECT_EQ(net_.dropped_frames(), 1u);
  EXPECT_FALSE(driver_.take_used(kReceive).has_value());
  net_.receive(frame_to(mac(1), 88));
  EXPECT_EQ(driver_.take_used(kReceive), (UsedElement{0, 100}));
}

TEST_F(NetTest, FramesOutsideTheNetworksLimitsAreLost) {
  offer_receive(0, 0x800);
  net_.receive(Bytes(13));
  net_.receive({});
  net_.receive(frame_to(mac(1), 1519));
  EXPECT_FALSE(driver_.take_used(kReceive).has_value());
  net_.receive(frame_to(mac(1), 1518));
  EXPECT_TRUE(driver_.take_used(kReceive).has_value());
}

TEST_F(NetTest, AReadOnlyReceiveBufferBreaksTheDevice) {
  driver_.offer(kReceive, 0, {{slot(0), 100, false}});
  net_.receive(frame_to(mac(1), 60));
  EXPECT_TRUE(driver_.needs_reset());
  net_.receive(frame_to(mac(1), 60));
  driver_.notify(kReceive);
  EXPECT_FALSE(driver_.take_used(kReceive).has_value());
}

TEST_F(NetTest, MarksVerifiedChecksums) {
  // IPv4 and UDP, with a right checksum computed here by hand: all words but the length are zero.
  Bytes frame(14 + 20 + 8);
  frame[12] = std::byte{0x08};
  frame[14] = std::byte{0x45};
  frame[17] = std::byte{28};
  frame[23] = std::byte{17};
  frame[39] = std::byte{8};
  const int checksum = 0xffff - (17 + 8 + 8);
  frame[40] = static_cast<std::byte>(checksum >> 8);
  frame[41] = static_cast<std::byte>(checksum & 0xff);
  offer_receive(0, 0x800);
  net_.receive(frame);
  EXPECT_EQ(driver_.get(slot(0), 1), Bytes(1, std::byte{2}));
  frame[41] ^= std::byte{1};
  offer_receive(1, 0x800);
  net_.receive(frame);
  EXPECT_EQ(driver_.get(slot(1), 1), Bytes(1, std::byte{0}));

  driver_.start(~uint64_t{2}, 3, 16);
  frame[41] ^= std::byte{1};
  offer_receive(0, 0x800);
  net_.receive(frame);
  EXPECT_EQ(driver_.get(slot(0), 1), Bytes(1, std::byte{0})) << "not negotiated";
}

TEST_F(NetTest, FiltersByAddressOnceTheDriverSaysSo) {
  const MacAddress multicast = {std::byte{0x33}, std::byte{0x33}, std::byte{0},
                                std::byte{0},    std::byte{0},    std::byte{1}};
  EXPECT_TRUE(passes(mac(7))) << "promiscuous from reset on";
  EXPECT_EQ(command(0, 0, {std::byte{0}}), 0);
  EXPECT_TRUE(passes(mac(1)));
  EXPECT_FALSE(passes(mac(7)));
  EXPECT_FALSE(passes(multicast));
  EXPECT_EQ(command(0, 1, {std::byte{1}}), 0);
  EXPECT_TRUE(passes(multicast));
  EXPECT_EQ(command(0, 1, {std::byte{0}}), 0);

  Bytes tables;
  ByteWriter writer(tables);
  writer.fixed<uint32_t>(1);
  writer.bytes(mac(7));
  writer.fixed<uint32_t>(1);
  writer.bytes(multicast);
  EXPECT_EQ(command(1, 0, tables), 0);
  EXPECT_TRUE(passes(mac(7)));
  EXPECT_FALSE(passes(mac(8)));
  EXPECT_TRUE(passes(multicast));
}

TEST_F(NetTest, TheMacAddressCanBeChangedAndComesBackWithAReset) {
  const MacAddress other = mac(8);
  EXPECT_EQ(command(1, 1, Bytes(other.begin(), other.end())), 0);
  EXPECT_EQ(transport_.read(0x105, AccessSize::k1), 8u);
  EXPECT_EQ(command(0, 0, {std::byte{0}}), 0);
  EXPECT_TRUE(passes(other));
  EXPECT_FALSE(passes(mac(1)));
  driver_.write(0x70, 0);
  EXPECT_EQ(transport_.read(0x105, AccessSize::k1), 1u);
}

TEST_F(NetTest, ATableThatOverflowsLetsItsKindThrough) {
  EXPECT_EQ(command(0, 0, {std::byte{0}}), 0);
  Bytes tables;
  ByteWriter writer(tables);
  writer.fixed<uint32_t>(ReceiveFilter::kMaxTableAddresses + 1);
  writer.bytes(Bytes((ReceiveFilter::kMaxTableAddresses + 1) * 6));
  writer.fixed<uint32_t>(0);
  EXPECT_EQ(command(1, 0, tables), 0);
  EXPECT_TRUE(passes(mac(200)));
}

TEST_F(NetTest, MalformedCommandsAreRefused) {
  EXPECT_EQ(command(0, 0, {}), 1);
  EXPECT_EQ(command(0, 0, {std::byte{2}}), 1);
  EXPECT_EQ(command(0, 2, {std::byte{1}}), 1);
  EXPECT_EQ(command(1, 1, Bytes(5)), 1);
  EXPECT_EQ(command(1, 0, Bytes(7)), 1);
  EXPECT_EQ(command(1, 0, Bytes(4, std::byte{0xff})), 1);
  EXPECT_EQ(command(1, 0, Bytes(9)), 1);
  EXPECT_EQ(command(2, 0, Bytes(2)), 1);
  EXPECT_EQ(command(4, 0, Bytes(2)), 1);
  EXPECT_EQ(command(255, 255, {}), 1);
  EXPECT_FALSE(driver_.needs_reset());

  driver_.put(slot(64), Bytes(1));
  driver_.offer(kControl, 0, {{slot(64), 1, false}, {slot(65), 1, true}});
  driver_.notify(kControl);
  EXPECT_EQ(memory_.memory.load<uint8_t>(slot(65)), 1);
  driver_.offer(kControl, 0, {{testing::kRamBase, 512 * 1024, false}, {slot(65), 1, true}});
  memory_.memory.store<uint8_t>(slot(65), 0);
  driver_.notify(kControl);
  EXPECT_EQ(memory_.memory.load<uint8_t>(slot(65)), 1) << "longer than the bound";
  driver_.offer(kControl, 0, {{slot(64), 2, false}});
  driver_.notify(kControl);
  EXPECT_TRUE(driver_.needs_reset()) << "nowhere to acknowledge";
}

TEST_F(NetTest, CommandsNeedTheirFeature) {
  driver_.start(~kControlReceive, 3, 16);
  EXPECT_EQ(command(0, 0, {std::byte{0}}), 1);
  EXPECT_TRUE(passes(mac(200)));
}

TEST_F(NetTest, AnnounceAsksTheGuestUntilItAcknowledges) {
  net_.announce();
  EXPECT_EQ(transport_.read(0x106, AccessSize::k2), 3u);
  EXPECT_EQ(driver_.read(0x60), 2u);
  EXPECT_EQ(driver_.read(0xfc), 1u);
  EXPECT_EQ(command(3, 0, {}), 0);
  EXPECT_EQ(transport_.read(0x106, AccessSize::k2), 1u);
  driver_.write(0x70, 0);
  net_.announce();
  EXPECT_EQ(transport_.read(0x106, AccessSize::k2), 1u) << "nobody runs";
}

TEST_F(NetTest, ResetForgetsWaitingFrames) {
  net_.receive(frame_to(mac(1), 60));
  driver_.start(~uint64_t{0}, 3, 16);
  offer_receive(0, 0x800);
  driver_.notify(kReceive);
  EXPECT_FALSE(driver_.take_used(kReceive).has_value());
  transport_.reset();
  net_.receive(frame_to(mac(1), 60));
  Net fresh_net({DeviceIndex{0}, mac(1), 1500}, sink_);
  MmioTransport fresh(memory_.memory, line_, fresh_net);
  EXPECT_EQ(devices::testing::state_difference(transport_, fresh), "");
}

TEST_F(NetTest, SaveAndRestoreInMidTraffic) {
  EXPECT_EQ(command(0, 0, {std::byte{0}}), 0);
  offer_receive(0, 500);
  net_.receive(frame_to(mac(1), 1000, 1));
  net_.receive(frame_to(mac(1), 100, 2));
  net_.announce();

  Net other({DeviceIndex{0}, mac(1), 1500}, sink_);
  devices::testing::RecordingLine other_line;
  MmioTransport copy(memory_.memory, other_line, other);
  devices::testing::expect_round_trip(transport_, copy);
  for (uint16_t i = 1; i < 4; ++i) offer_receive(i, 500);
  copy.write(0x50, AccessSize::k4, kReceive);
  EXPECT_EQ(driver_.take_used(kReceive), (UsedElement{0, 500}));
  EXPECT_EQ(driver_.get(slot(3) + 50, 1), Bytes(1, std::byte{2}));
  EXPECT_EQ(copy.read(0x106, AccessSize::k2), 3u);
}

}  // namespace
}  // namespace lockstep::devices::virtio
