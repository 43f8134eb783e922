#include "devices/virtio/net/offload.h"

#include <gtest/gtest.h>
#include <string>

namespace lockstep::devices::virtio {
namespace {

constexpr size_t kMaxFrame = 1518;

void put16(Bytes& bytes, size_t at, size_t value) {
  bytes[at] = static_cast<std::byte>(value >> 8);
  bytes[at + 1] = static_cast<std::byte>(value);
}

void put32(Bytes& bytes, size_t at, uint32_t value) {
  put16(bytes, at, value >> 16);
  put16(bytes, at + 2, value & 0xffff);
}

size_t get16(ByteView bytes, size_t at) {
  return std::to_integer<size_t>(bytes[at]) << 8 | std::to_integer<size_t>(bytes[at + 1]);
}

uint32_t get32(ByteView bytes, size_t at) {
  return static_cast<uint32_t>(get16(bytes, at) << 16 | get16(bytes, at + 2));
}

// The checksum by the letter of RFC 1071, 16 bits at a time: an oracle for the device's.
uint16_t slow_sum(ByteView bytes) {
  uint32_t sum = 0;
  for (size_t i = 0; i < bytes.size(); i += 2) {
    sum += std::to_integer<uint32_t>(bytes[i]) << 8;
    if (i + 1 < bytes.size()) sum += std::to_integer<uint32_t>(bytes[i + 1]);
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return static_cast<uint16_t>(sum);
}

// Ethernet, `tags` VLAN tags, IPv4 or IPv6 and TCP headers before `payload` bytes.
struct Packet {
  Bytes frame;
  size_t network = 0;
  size_t transport = 0;
  size_t payload = 0;
};

Packet tcp_packet(bool v6, size_t payload, int tags = 0, uint8_t protocol = 6) {
  Packet packet;
  packet.network = 14 + 4 * static_cast<size_t>(tags);
  packet.transport = packet.network + (v6 ? 40u : 20u);
  packet.payload = packet.transport + 32;  // 12 bytes of options
  Bytes& frame = packet.frame;
  frame.resize(packet.payload + payload);
  for (size_t i = 0; i < 12; ++i) frame[i] = static_cast<std::byte>(0x02 + i);
  for (int i = 0; i < tags; ++i) put16(frame, 12 + 4 * static_cast<size_t>(i), 0x8100);
  put16(frame, packet.network - 2, v6 ? 0x86dd : 0x0800);
  const size_t ip_length = frame.size() - packet.network;
  if (v6) {
    frame[packet.network] = std::byte{0x60};
    put16(frame, packet.network + 4, ip_length - 40);
    frame[packet.network + 6] = std::byte{protocol};
    for (size_t i = 8; i < 40; ++i) frame[packet.network + i] = static_cast<std::byte>(i * 5);
  } else {
    frame[packet.network] = std::byte{0x45};
    put16(frame, packet.network + 2, ip_length);
    put16(frame, packet.network + 4, 0xfffe);
    frame[packet.network + 6] = std::byte{0x40};  // do not fragment
    frame[packet.network + 8] = std::byte{64};
    frame[packet.network + 9] = std::byte{protocol};
    for (size_t i = 12; i < 20; ++i) frame[packet.network + i] = static_cast<std::byte>(i * 5);
  }
  put16(frame, packet.transport, 4321);
  put32(frame, packet.transport + 4, 0xfffffff0);
  frame[packet.transport + 12] = std::byte{0x80};
  frame[packet.transport + 13] = std::byte{0x80 | 0x10 | 0x08 | 0x01};  // CWR ACK PSH FIN
  for (size_t i = packet.payload; i < frame.size(); ++i) {
    frame[i] = static_cast<std::byte>(i * 31 + i / 256);
  }
  return packet;
}

uint16_t pseudo_sum(const Bytes& frame, size_t network, size_t length, uint8_t protocol) {
  const bool v6 = frame[network] == std::byte{0x60};
  Bytes pseudo(frame.begin() + static_cast<std::ptrdiff_t>(network + (v6 ? 8 : 12)),
               frame.begin() + static_cast<std::ptrdiff_t>(network + (v6 ? 40 : 20)));
  pseudo.resize(pseudo.size() + 4);
  put16(pseudo, pseudo.size() - 4, length);
  pseudo.back() = std::byte{protocol};
  return slow_sum(pseudo);
}

// Whether the transport checksum of a frame is right, by the slow way.
bool checksum_right(const Bytes& frame, size_t network, size_t transport, uint8_t protocol = 6) {
  const size_t length = frame.size() - transport;
  const uint32_t sum = uint32_t{pseudo_sum(frame, network, length, protocol)} +
                       slow_sum(ByteView(frame).subspan(transport));
  return (sum & 0xffff) + (sum >> 16) == 0xffff;
}

std::vector<Bytes> transmit(const TransmitOffload& offload, Bytes frame, bool expected = true) {
  std::vector<Bytes> out;
  const bool sent = transmit_with_offload(offload, frame, kMaxFrame, [&](ByteView each) {
    out.emplace_back(each.begin(), each.end());
  });
  EXPECT_EQ(sent, expected);
  EXPECT_TRUE(sent || out.empty());
  return out;
}

TransmitOffload segmentation(const Packet& packet, bool v6, uint16_t segment_bytes) {
  return {.fill_checksum = true,
          .checksum_start = static_cast<uint16_t>(packet.transport),
          .checksum_offset = 16,
          .segmentation = v6 ? Segmentation::kTcp6 : Segmentation::kTcp4,
          .segment_bytes = segment_bytes};
}

TEST(Offload, PlainFramesPassUnchanged) {
  const Packet packet = tcp_packet(false, 100);
  EXPECT_EQ(transmit({}, packet.frame), std::vector<Bytes>{packet.frame});
  transmit({}, Bytes(kMaxFrame));
  transmit({}, Bytes(kMaxFrame + 1), false);
  transmit({}, Bytes(13), false);
}

TEST(Offload, FillsInAChecksumOverThePartialSum) {
  for (const size_t payload : {0u, 1u, 2u, 3u, 99u, 1400u}) {
    for (const bool v6 : {false, true}) {
      Packet packet = tcp_packet(v6, payload);
      put16(packet.frame, packet.transport + 16,
            pseudo_sum(packet.frame, packet.network, 32 + payload, 6));
      const auto out = transmit({.fill_checksum = true,
                                 .checksum_start = static_cast<uint16_t>(packet.transport),
                                 .checksum_offset = 16},
                                packet.frame);
      ASSERT_EQ(out.size(), 1u);
      EXPECT_TRUE(checksum_right(out[0], packet.network, packet.transport));
      EXPECT_TRUE(transport_checksum_is_right(out[0]));
    }
  }
}

TEST(Offload, AUdpChecksumIsNeverZero) {
  // All bytes that are summed add up to 0xffff, so the complement is zero.
  Bytes frame(14 + 20 + 8);
  put16(frame, 34, 0xffff);
  const auto out =
      transmit({.fill_checksum = true, .checksum_start = 34, .checksum_offset = 6}, frame);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(get16(out[0], 40), 0xffffu);
}

TEST(Offload, ChecksumFieldsOutsideTheFrameAreRefused) {
  const Bytes frame(60);
  for (const auto& [start, offset] : std::vector<std::pair<int, int>>{
           {59, 0}, {60, 0}, {0, 59}, {65535, 65535}, {65535, 0}, {30, 29}}) {
    transmit({.fill_checksum = true,
              .checksum_start = static_cast<uint16_t>(start),
              .checksum_offset = static_cast<uint16_t>(offset)},
             frame, false);
  }
  transmit({.fill_checksum = true, .checksum_start = 30, .checksum_offset = 28}, frame);
}

class SegmentationTest : public ::testing::TestWithParam<std::tuple<bool, int>> {};

TEST_P(SegmentationTest, CutsLargePacketsIntoCompleteFrames) {
  const auto [v6, tags] = GetParam();
  constexpr uint16_t kSegment = 1400;
  const size_t payload = 3 * kSegment + 17;
  const Packet packet = tcp_packet(v6, payload, tags);
  const auto out = transmit(segmentation(packet, v6, kSegment), packet.frame);
  ASSERT_EQ(out.size(), 4u);
  Bytes joined;
  for (size_t i = 0; i < out.size(); ++i) {
    const Bytes& frame = out[i];
    const bool last = i + 1 == out.size();
    const size_t size = last ? 17u : size_t{kSegment};
    ASSERT_EQ(frame.size(), packet.payload + size);
    EXPECT_TRUE(std::equal(frame.begin(), frame.begin() + 12, packet.frame.begin()));
    if (v6) {
      EXPECT_EQ(get16(frame, packet.network + 4), 32 + size);
    } else {
      EXPECT_EQ(get16(frame, packet.network + 2), 52 + size);
      EXPECT_EQ(get16(frame, packet.network + 4), (0xfffe + i) & 0xffff);
      EXPECT_EQ(slow_sum(ByteView(frame).subspan(packet.network, 20)), 0xffff);
    }
    EXPECT_EQ(get32(frame, packet.transport + 4), static_cast<uint32_t>(0xfffffff0 + i * kSegment));
    const int flags = (i == 0 ? 0x80 : 0) | 0x10 | (last ? 0x09 : 0);
    EXPECT_EQ(std::to_integer<int>(frame[packet.transport + 13]), flags);
    EXPECT_TRUE(checksum_right(frame, packet.network, packet.transport));
    EXPECT_TRUE(transport_checksum_is_right(frame));
    joined.insert(joined.end(), frame.begin() + static_cast<std::ptrdiff_t>(packet.payload),
                  frame.end());
  }
  EXPECT_TRUE(std::equal(joined.begin(), joined.end(),
                         packet.frame.begin() + static_cast<std::ptrdiff_t>(packet.payload)));
}

INSTANTIATE_TEST_SUITE_P(Families, SegmentationTest,
                         ::testing::Combine(::testing::Bool(), ::testing::Values(0, 1, 2)));

TEST(Offload, APacketThatFitsOneSegmentIsOneFrame) {
  for (const size_t payload : {0u, 1u, 1400u}) {
    const Packet packet = tcp_packet(false, payload);
    const auto out = transmit(segmentation(packet, false, 1400), packet.frame);
    ASSERT_EQ(out.size(), 1u);
    EXPECT_TRUE(checksum_right(out[0], packet.network, packet.transport));
    EXPECT_EQ(std::to_integer<int>(out[0][packet.transport + 13]), 0x99);
  }
}

TEST(Offload, SegmentationOfWhatIsNotTcpIsRefused) {
  const Packet v4 = tcp_packet(false, 5000);
  const Packet v6 = tcp_packet(true, 5000);
  const auto refused = [](TransmitOffload offload, const Bytes& frame) {
    transmit(offload, frame, false);
  };
  TransmitOffload good = segmentation(v4, false, 1400);
  EXPECT_EQ(transmit(good, v4.frame).size(), 4u);

  refused(segmentation(v6, false, 1400), v6.frame);
  refused(segmentation(v4, true, 1400), v4.frame);
  refused(segmentation(v4, false, 0), v4.frame);
  refused(segmentation(v4, false, 1500), v4.frame);  // frames over the limit
  refused(segmentation(v4, false, 1), v4.frame);     // more frames than the bound

  TransmitOffload offload = good;
  offload.fill_checksum = false;
  refused(offload, v4.frame);
  offload = good;
  offload.checksum_offset = 6;
  refused(offload, v4.frame);
  offload = good;
  offload.checksum_start += 2;
  refused(offload, v4.frame);

  Bytes frame = v4.frame;
  frame[v4.network] = std::byte{0x44};  // header shorter than a header
  refused(good, frame);
  frame[v4.network] = std::byte{0x4f};
  refused(good, frame);
  frame[v4.network] = std::byte{0x65};
  refused(good, frame);
  frame = v4.frame;
  frame[v4.network + 9] = std::byte{17};
  refused(good, frame);
  frame = v4.frame;
  frame[v4.transport + 12] = std::byte{0x40};
  refused(good, frame);
}

TEST(Offload, EveryTruncationOfALargePacketIsRefusedOrSent) {
  for (const bool v6 : {false, true}) {
    const Packet packet = tcp_packet(v6, 200, 1);
    for (size_t size = 0; size <= packet.frame.size(); ++size) {
      Bytes frame(packet.frame.begin(), packet.frame.begin() + static_cast<std::ptrdiff_t>(size));
      transmit(segmentation(packet, v6, 100), frame, size >= packet.payload);
      EXPECT_FALSE(transport_checksum_is_right(frame));
    }
  }
}

TEST(Offload, ReceivedChecksumsAreVerified) {
  for (const bool v6 : {false, true}) {
    const Packet packet = tcp_packet(v6, 101, 1);
    Bytes frame = transmit(segmentation(packet, v6, 1400), packet.frame).at(0);
    ASSERT_TRUE(transport_checksum_is_right(frame));
    Bytes padded = frame;
    padded.resize(frame.size() + 7, std::byte{0xaa});
    EXPECT_TRUE(transport_checksum_is_right(padded)) << "padding is not summed";
    frame.back() ^= std::byte{1};
    EXPECT_FALSE(transport_checksum_is_right(frame));
  }
  Packet fragment = tcp_packet(false, 10);
  Bytes frame = transmit(segmentation(fragment, false, 1400), fragment.frame).at(0);
  frame[fragment.network + 6] = std::byte{0x20};
  EXPECT_FALSE(transport_checksum_is_right(frame));
}

TEST(Offload, UdpWithoutAChecksumIsNotVerified) {
  Packet packet = tcp_packet(false, 10, 0, 17);
  put16(packet.frame, packet.transport + 6, 0);
  const uint32_t sum = uint32_t{pseudo_sum(packet.frame, packet.network, 42, 17)} +
                       slow_sum(ByteView(packet.frame).subspan(packet.transport));
  EXPECT_FALSE(transport_checksum_is_right(packet.frame));
  put16(packet.frame, packet.transport + 6, ~((sum & 0xffff) + (sum >> 16)) & 0xffff);
  EXPECT_TRUE(transport_checksum_is_right(packet.frame));
}

}  // namespace
}  // namespace lockstep::devices::virtio
