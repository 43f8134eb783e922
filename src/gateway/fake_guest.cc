#include "gateway/fake_guest.h"

#include <array>

namespace lockstep::gateway {
namespace {

constexpr std::array<uint8_t, 6> kMac = {0x52, 0x54, 0x00, 0x00, 0x00, 0x01};
constexpr std::array<uint8_t, 6> kEverybody = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
constexpr uint16_t kEtherIpv4 = 0x0800;
constexpr uint16_t kEtherArp = 0x0806;
constexpr uint8_t kIcmp = 1;
constexpr uint8_t kTcp = 6;
constexpr uint8_t kUdp = 17;
constexpr size_t kEtherHead = 14;
constexpr size_t kIpHead = 20;
constexpr uint8_t kFin = 1, kSyn = 2, kReset = 4, kPush = 8, kAck = 16;

// Numbers on the wire are big-endian.
class Packet {
 public:
  Packet& u8(uint8_t value) {
    bytes.push_back(std::byte{value});
    return *this;
  }
  Packet& u16(uint16_t value) {
    return u8(static_cast<uint8_t>(value >> 8)).u8(static_cast<uint8_t>(value));
  }
  Packet& u32(uint32_t value) {
    return u16(static_cast<uint16_t>(value >> 16)).u16(static_cast<uint16_t>(value));
  }
  Packet& mac(const std::array<uint8_t, 6>& address) {
    for (const uint8_t byte : address) u8(byte);
    return *this;
  }
  Packet& zeros(size_t count) {
    bytes.resize(bytes.size() + count);
    return *this;
  }
  Packet& append(ByteView more) {
    bytes.insert(bytes.end(), more.begin(), more.end());
    return *this;
  }
  void put_u16(size_t offset, uint16_t value) {
    bytes[offset] = static_cast<std::byte>(value >> 8);
    bytes[offset + 1] = static_cast<std::byte>(value);
  }

  Bytes bytes;
};

uint16_t get_u16(ByteView bytes, size_t offset) {
  return static_cast<uint16_t>(std::to_integer<unsigned>(bytes[offset]) << 8 |
                               std::to_integer<unsigned>(bytes[offset + 1]));
}

uint32_t get_u32(ByteView bytes, size_t offset) {
  return uint32_t{get_u16(bytes, offset)} << 16 | get_u16(bytes, offset + 2);
}

// RFC 1071.
uint16_t checksum(ByteView bytes, uint32_t sum = 0) {
  for (size_t i = 0; i + 1 < bytes.size(); i += 2) sum += get_u16(bytes, i);
  if (bytes.size() % 2 == 1) sum += std::to_integer<uint32_t>(bytes.back()) << 8;
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

uint32_t pseudo_header(uint32_t source, uint32_t target, uint8_t protocol, size_t size) {
  return (source >> 16) + (source & 0xffff) + (target >> 16) + (target & 0xffff) + protocol +
         static_cast<uint32_t>(size);
}

Bytes ip_frame(uint32_t source, uint32_t target, uint8_t protocol, ByteView payload) {
  Packet ip;
  ip.u8(0x45).u8(0).u16(static_cast<uint16_t>(kIpHead + payload.size())).u32(0);
  ip.u8(64).u8(protocol).u16(0).u32(source).u32(target);
  ip.put_u16(10, checksum(ip.bytes));
  Packet frame;
  frame.mac(kEverybody).mac(kMac).u16(kEtherIpv4).append(ip.bytes).append(payload);
  return frame.bytes;
}

Bytes udp_frame(uint32_t source, uint32_t target, uint16_t source_port, uint16_t target_port,
                ByteView payload) {
  Packet datagram;
  datagram.u16(source_port).u16(target_port).u16(static_cast<uint16_t>(8 + payload.size())).u16(0);
  datagram.append(payload);
  datagram.put_u16(
      6, checksum(datagram.bytes, pseudo_header(source, target, kUdp, datagram.bytes.size())));
  return ip_frame(source, target, kUdp, datagram.bytes);
}

Packet arp_packet(uint16_t operation, const std::array<uint8_t, 6>& target_mac, uint32_t target) {
  Packet frame;
  frame.mac(kEverybody).mac(kMac).u16(kEtherArp);
  frame.u16(1).u16(kEtherIpv4).u8(6).u8(4).u16(operation);
  frame.mac(kMac).u32(kGuestAddress).mac(target_mac).u32(target);
  return frame;
}

}  // namespace

Bytes FakeGuest::dhcp_discover() const {
  Packet message;
  message.u8(1).u8(1).u8(6).u8(0).u32(0x1234).zeros(20).mac(kMac).zeros(10 + 64 + 128);
  message.u32(0x63825363).u8(53).u8(1).u8(1).u8(255).zeros(60);
  return udp_frame(0, 0xffffffff, 68, 67, message.bytes);
}

Bytes FakeGuest::arp_request(uint32_t address) const {
  return arp_packet(1, {}, address).bytes;
}

Bytes FakeGuest::ping(uint32_t address, uint16_t sequence) const {
  Packet echo;
  echo.u8(8).u8(0).u16(0).u16(77).u16(sequence).append(as_byte_view("payload of a ping"));
  echo.put_u16(2, checksum(echo.bytes));
  return ip_frame(kGuestAddress, address, kIcmp, echo.bytes);
}

Bytes FakeGuest::udp(uint32_t address, uint16_t target_port, uint16_t source_port,
                     std::string_view payload) const {
  return udp_frame(kGuestAddress, address, source_port, target_port, as_byte_view(payload));
}

std::vector<Bytes> FakeGuest::receive(ByteView frame) {
  if (frame.size() < kEtherHead + kIpHead) return {};
  const ByteView packet = frame.subspan(kEtherHead);
  if (get_u16(frame, 12) == kEtherArp) return receive_arp(packet);
  if (get_u16(frame, 12) != kEtherIpv4) return {};
  const size_t size = get_u16(packet, 2);
  if (size > packet.size() || size < kIpHead) return {};
  const uint32_t source = get_u32(packet, 12);
  const ByteView payload = packet.subspan(kIpHead, size - kIpHead);
  switch (std::to_integer<uint8_t>(packet[9])) {
    case kIcmp:
      if (payload.size() >= 8 && payload[0] == std::byte{0}) {
        ping_replies.push_back(get_u16(payload, 6));
      }
      return {};
    case kUdp:
      receive_udp(source, payload);
      return {};
    case kTcp:
      return receive_tcp(source, payload);
    default:
      return {};
  }
}

std::vector<Bytes> FakeGuest::receive_arp(ByteView packet) {
  if (packet.size() < 28) return {};
  if (get_u16(packet, 6) == 2) {
    ++arp_replies;
    return {};
  }
  if (get_u32(packet, 24) != kGuestAddress) return {};
  std::array<uint8_t, 6> asker{};
  for (size_t i = 0; i < 6; ++i) asker[i] = std::to_integer<uint8_t>(packet[8 + i]);
  return {arp_packet(2, asker, get_u32(packet, 14)).bytes};
}

void FakeGuest::receive_udp(uint32_t source, ByteView datagram) {
  if (datagram.size() < 8) return;
  const uint16_t target_port = get_u16(datagram, 2);
  const ByteView payload = datagram.subspan(8);
  if (target_port == 68 && payload.size() >= 20) {
    offered_address = get_u32(payload, 16);
    return;
  }
  datagrams.push_back({source, get_u16(datagram, 0), target_port, std::string(as_text(payload))});
}

Bytes FakeGuest::tcp(uint32_t address, uint16_t source_port, uint16_t target_port,
                     const Connection& connection, uint8_t flags, ByteView payload) const {
  Packet segment;
  segment.u16(source_port).u16(target_port).u32(connection.next_send);
  segment.u32(connection.next_receive).u8(5 << 4).u8(flags).u16(0xffff).u16(0).u16(0);
  segment.append(payload);
  segment.put_u16(16, checksum(segment.bytes,
                               pseudo_header(kGuestAddress, address, kTcp, segment.bytes.size())));
  return ip_frame(kGuestAddress, address, kTcp, segment.bytes);
}

std::vector<Bytes> FakeGuest::receive_tcp(uint32_t source, ByteView segment) {
  if (segment.size() < 20) return {};
  const uint16_t peer = get_u16(segment, 0);
  const uint16_t port = get_u16(segment, 2);
  const uint32_t sequence = get_u32(segment, 4);
  const auto flags = std::to_integer<uint8_t>(segment[13]);
  const size_t head = size_t{std::to_integer<uint8_t>(segment[12])} / 16 * 4;
  if ((flags & kReset) != 0 || head > segment.size()) {
    tcp_.erase(peer);
    return {};
  }
  if ((flags & kSyn) != 0) {
    Connection& connection = tcp_[peer];
    connection = {.next_receive = sequence + 1, .next_send = 1000};
    ++connections;
    std::vector<Bytes> answer = {tcp(source, port, peer, connection, kSyn | kAck, {})};
    ++connection.next_send;
    return answer;
  }
  const auto found = tcp_.find(peer);
  if (found == tcp_.end()) return {};
  Connection& connection = found->second;
  const ByteView payload = segment.subspan(head);
  if (sequence != connection.next_receive) {
    return {tcp(source, port, peer, connection, kAck, {})};
  }
  std::vector<Bytes> answers;
  if (!payload.empty()) {
    tcp_payload += as_text(payload);
    connection.next_receive += static_cast<uint32_t>(payload.size());
    answers.push_back(tcp(source, port, peer, connection, kAck | kPush, payload));
    connection.next_send += static_cast<uint32_t>(payload.size());
  }
  if ((flags & kFin) != 0) {
    ++connection.next_receive;
    answers.push_back(tcp(source, port, peer, connection, kAck | kFin, {}));
    ++connection.next_send;
  }
  return answers;
}

}  // namespace lockstep::gateway
