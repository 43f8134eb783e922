#include "devices/virtio/net/offload.h"

#include <algorithm>
#include <optional>

namespace lockstep::devices::virtio {
namespace {

constexpr uint16_t kEtherTypeIpv4 = 0x0800;
constexpr uint16_t kEtherTypeIpv6 = 0x86dd;
constexpr uint16_t kEtherTypeVlan = 0x8100;
constexpr uint16_t kEtherTypeServiceVlan = 0x88a8;
constexpr int kMaxVlanTags = 2;

constexpr uint8_t kProtocolTcp = 6;
constexpr uint8_t kProtocolUdp = 17;

constexpr size_t kIpv4HeaderBytes = 20;
constexpr size_t kIpv6HeaderBytes = 40;
constexpr size_t kTcpHeaderBytes = 20;
constexpr size_t kUdpHeaderBytes = 8;
constexpr size_t kTcpChecksumOffset = 16;
constexpr size_t kUdpChecksumOffset = 6;

constexpr uint8_t kTcpFin = 0x01;
constexpr uint8_t kTcpPush = 0x08;
constexpr uint8_t kTcpWindowReduced = 0x80;

uint8_t load8(ByteView bytes, size_t at) {
  return std::to_integer<uint8_t>(bytes[at]);
}

uint16_t load16(ByteView bytes, size_t at) {
  return static_cast<uint16_t>(load8(bytes, at) << 8 | load8(bytes, at + 1));
}

uint32_t load32(ByteView bytes, size_t at) {
  return uint32_t{load16(bytes, at)} << 16 | load16(bytes, at + 2);
}

void store16(std::span<std::byte> bytes, size_t at, uint16_t value) {
  bytes[at] = static_cast<std::byte>(value >> 8);
  bytes[at + 1] = static_cast<std::byte>(value);
}

void store32(std::span<std::byte> bytes, size_t at, uint32_t value) {
  store16(bytes, at, static_cast<uint16_t>(value >> 16));
  store16(bytes, at + 2, static_cast<uint16_t>(value));
}

uint16_t fold(uint64_t sum) {
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

// The ones' complement sum, in network order. RFC 1071 §2(B): the sum may be taken in the host's
// order and swapped at the end.
uint16_t ones_sum(ByteView bytes) {
  uint64_t sum = 0;
  while (bytes.size() >= 4) {
    uint32_t word;
    std::memcpy(&word, bytes.data(), 4);
    sum += word;
    bytes = bytes.subspan(4);
  }
  uint32_t tail = 0;
  if (!bytes.empty()) std::memcpy(&tail, bytes.data(), bytes.size());
  sum += tail;
  const uint16_t host_order = fold(sum);
  return static_cast<uint16_t>(host_order << 8 | host_order >> 8);
}

uint16_t ones_add(uint16_t left, uint16_t right) {
  return fold(uint64_t{left} + right);
}

// Where the network header starts, and its EtherType, behind the VLAN tags.
struct LinkLayer {
  size_t network_offset = 0;
  uint16_t ether_type = 0;
};

std::optional<LinkLayer> parse_link_layer(ByteView frame) {
  size_t offset = kEthernetHeaderBytes;
  if (frame.size() < offset) return std::nullopt;
  for (int tags = 0; tags <= kMaxVlanTags; ++tags) {
    const uint16_t type = load16(frame, offset - 2);
    if (type != kEtherTypeVlan && type != kEtherTypeServiceVlan) return LinkLayer{offset, type};
    offset += kVlanTagBytes;
    if (frame.size() < offset) return std::nullopt;
  }
  return std::nullopt;
}

// The pseudo header of RFC 9293 §3.1 and RFC 8200 §8.1, for a network header that has been parsed.
uint16_t pseudo_header_sum(ByteView frame, const LinkLayer& link, uint8_t protocol, size_t length) {
  const bool is_v4 = link.ether_type == kEtherTypeIpv4;
  const ByteView addresses = is_v4 ? frame.subspan(link.network_offset + 12, 8)
                                   : frame.subspan(link.network_offset + 8, 32);
  return ones_add(ones_sum(addresses), fold(uint64_t{length} + protocol));
}

bool fill_checksum(const TransmitOffload& offload, std::span<std::byte> frame) {
  const size_t field = size_t{offload.checksum_start} + offload.checksum_offset;
  if (field + 2 > frame.size()) return false;
  // The driver has put the pseudo header's sum into the field (§5.1.6.2).
  auto checksum = static_cast<uint16_t>(~ones_sum(frame.subspan(offload.checksum_start)));
  // RFC 768: a UDP checksum of zero means none. For TCP the two zeroes are equal.
  if (checksum == 0) checksum = 0xffff;
  store16(frame, field, checksum);
  return true;
}

// The headers of a large TCP packet, all found to be inside it.
struct TcpPacket {
  LinkLayer link;
  size_t tcp_offset = 0;
  size_t payload_offset = 0;
};

std::optional<TcpPacket> parse_large_packet(const TransmitOffload& offload, ByteView frame) {
  const std::optional<LinkLayer> link = parse_link_layer(frame);
  if (!link || !offload.fill_checksum || offload.checksum_offset != kTcpChecksumOffset) {
    return std::nullopt;
  }
  TcpPacket packet{*link, offload.checksum_start, 0};
  const size_t network = link->network_offset;
  if (offload.segmentation == Segmentation::kTcp4) {
    if (link->ether_type != kEtherTypeIpv4 || frame.size() < network + kIpv4HeaderBytes) {
      return std::nullopt;
    }
    const size_t header_bytes = size_t{4} * (load8(frame, network) & 0x0f);
    if (load8(frame, network) >> 4 != 4 || header_bytes < kIpv4HeaderBytes ||
        packet.tcp_offset != network + header_bytes || load8(frame, network + 9) != kProtocolTcp) {
      return std::nullopt;
    }
  } else {
    // Extension headers may stand between; the driver says where TCP starts.
    if (link->ether_type != kEtherTypeIpv6 || packet.tcp_offset < network + kIpv6HeaderBytes) {
      return std::nullopt;
    }
  }
  if (frame.size() < packet.tcp_offset + kTcpHeaderBytes) return std::nullopt;
  const size_t tcp_bytes = size_t{4} * (load8(frame, packet.tcp_offset + 12) >> 4);
  packet.payload_offset = packet.tcp_offset + tcp_bytes;
  if (tcp_bytes < kTcpHeaderBytes || packet.payload_offset > frame.size()) return std::nullopt;
  return packet;
}

// Turns a copy of the large packet's headers, with payload behind them, into one frame.
void finish_segment(std::span<std::byte> frame, const TcpPacket& packet, size_t index,
                    size_t payload_before, bool is_last) {
  const size_t network = packet.link.network_offset;
  const size_t tcp = packet.tcp_offset;
  if (packet.link.ether_type == kEtherTypeIpv4) {
    store16(frame, network + 2, static_cast<uint16_t>(frame.size() - network));
    store16(frame, network + 4, static_cast<uint16_t>(load16(frame, network + 4) + index));
    store16(frame, network + 10, 0);
    store16(frame, network + 10,
            static_cast<uint16_t>(~ones_sum(frame.subspan(network, tcp - network))));
  } else {
    store16(frame, network + 4, static_cast<uint16_t>(frame.size() - network - kIpv6HeaderBytes));
  }
  store32(frame, tcp + 4, load32(frame, tcp + 4) + static_cast<uint32_t>(payload_before));
  uint8_t flags = load8(frame, tcp + 13);
  if (!is_last) flags &= static_cast<uint8_t>(~(kTcpFin | kTcpPush));
  if (index != 0) flags &= static_cast<uint8_t>(~kTcpWindowReduced);
  frame[tcp + 13] = std::byte{flags};
  store16(frame, tcp + kTcpChecksumOffset, 0);
  const uint16_t sum =
      ones_add(pseudo_header_sum(frame, packet.link, kProtocolTcp, frame.size() - tcp),
               ones_sum(frame.subspan(tcp)));
  store16(frame, tcp + kTcpChecksumOffset, static_cast<uint16_t>(~sum));
}

bool transmit_segments(const TransmitOffload& offload, ByteView large, size_t max_frame_bytes,
                       const FrameHandler& emit) {
  const std::optional<TcpPacket> packet = parse_large_packet(offload, large);
  if (!packet || offload.segment_bytes == 0) return false;
  const ByteView headers = large.first(packet->payload_offset);
  ByteView payload = large.subspan(packet->payload_offset);
  const size_t step = offload.segment_bytes;
  if (payload.size() > step * kMaxSegmentsPerPacket) return false;
  if (headers.size() + std::min(step, payload.size()) > max_frame_bytes) return false;

  Bytes frame;
  size_t index = 0;
  size_t payload_before = 0;
  do {
    const ByteView part = payload.first(std::min(step, payload.size()));
    payload = payload.subspan(part.size());
    frame.assign(headers.begin(), headers.end());
    frame.insert(frame.end(), part.begin(), part.end());
    finish_segment(frame, *packet, index, payload_before, payload.empty());
    emit(frame);
    ++index;
    payload_before += part.size();
  } while (!payload.empty());
  return true;
}

// The transport header of a frame whose network header has been checked.
struct TransportPart {
  uint8_t protocol = 0;
  size_t offset = 0;
  size_t length = 0;  // header and payload, without link-layer padding
};

std::optional<TransportPart> find_transport(ByteView frame, const LinkLayer& link) {
  const size_t network = link.network_offset;
  if (link.ether_type == kEtherTypeIpv4) {
    if (frame.size() < network + kIpv4HeaderBytes) return std::nullopt;
    const size_t header_bytes = size_t{4} * (load8(frame, network) & 0x0f);
    const size_t total = load16(frame, network + 2);
    const bool is_fragment = (load16(frame, network + 6) & 0x3fff) != 0;
    if (load8(frame, network) >> 4 != 4 || header_bytes < kIpv4HeaderBytes || is_fragment ||
        total < header_bytes || network + total > frame.size()) {
      return std::nullopt;
    }
    return TransportPart{load8(frame, network + 9), network + header_bytes, total - header_bytes};
  }
  if (link.ether_type == kEtherTypeIpv6) {
    if (frame.size() < network + kIpv6HeaderBytes) return std::nullopt;
    const size_t length = load16(frame, network + 4);
    const size_t offset = network + kIpv6HeaderBytes;
    if (load8(frame, network) >> 4 != 6 || offset + length > frame.size()) return std::nullopt;
    return TransportPart{load8(frame, network + 6), offset, length};
  }
  return std::nullopt;
}

}  // namespace

bool transmit_with_offload(const TransmitOffload& offload, std::span<std::byte> frame,
                           size_t max_frame_bytes, const FrameHandler& emit) {
  if (frame.size() < kEthernetHeaderBytes) return false;
  if (offload.segmentation != Segmentation::kNone) {
    return transmit_segments(offload, frame, max_frame_bytes, emit);
  }
  if (frame.size() > max_frame_bytes) return false;
  if (offload.fill_checksum && !fill_checksum(offload, frame)) return false;
  emit(frame);
  return true;
}

bool transport_checksum_is_right(ByteView frame) {
  const std::optional<LinkLayer> link = parse_link_layer(frame);
  if (!link) return false;
  const std::optional<TransportPart> part = find_transport(frame, *link);
  if (!part) return false;
  if (part->protocol == kProtocolTcp) {
    if (part->length < kTcpHeaderBytes) return false;
  } else if (part->protocol == kProtocolUdp) {
    if (part->length < kUdpHeaderBytes) return false;
    if (load16(frame, part->offset + kUdpChecksumOffset) == 0) return false;
  } else {
    return false;
  }
  const uint16_t sum = ones_add(pseudo_header_sum(frame, *link, part->protocol, part->length),
                                ones_sum(frame.subspan(part->offset, part->length)));
  return sum == 0xffff;
}

}  // namespace lockstep::devices::virtio
