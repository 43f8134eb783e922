// A guest for tests, seen from its NIC: it answers ARP and runs a TCP server that sends back what
// it gets; it can ask for an address and send pings and UDP. Deterministic: what it sends follows
// from what it has received, as from a guest that is replayed.
//
// Frames follow RFC 826 (ARP), 791 (IPv4), 792 (ICMP), 768 (UDP), 9293 (TCP), 2131 (DHCP). Owner:
// the test.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace lockstep::gateway {

inline constexpr uint32_t kGuestAddress = 0x0a00020f;    // 10.0.2.15
inline constexpr uint32_t kGatewayAddress = 0x0a000202;  // 10.0.2.2

// What a test wants to know of a frame that came in.
struct ReceivedDatagram {
  uint32_t source = 0;
  uint16_t source_port = 0;
  uint16_t target_port = 0;
  std::string payload;
};

class FakeGuest {
 public:
  // The frames that it sends in answer to one that came in.
  std::vector<Bytes> receive(ByteView frame);

  Bytes dhcp_discover() const;
  Bytes arp_request(uint32_t address) const;
  Bytes ping(uint32_t address, uint16_t sequence) const;
  Bytes udp(uint32_t address, uint16_t target_port, uint16_t source_port,
            std::string_view payload) const;

  // What has come in since power-on.
  std::optional<uint32_t> offered_address;
  std::vector<uint16_t> ping_replies;  // their sequence numbers
  std::vector<ReceivedDatagram> datagrams;
  uint64_t arp_replies = 0;
  uint64_t connections = 0;
  std::string tcp_payload;  // of all connections

 private:
  struct Connection {
    uint32_t next_receive = 0;
    uint32_t next_send = 0;
  };

  std::vector<Bytes> receive_arp(ByteView packet);
  std::vector<Bytes> receive_tcp(uint32_t source, ByteView segment);
  void receive_udp(uint32_t source, ByteView datagram);
  Bytes tcp(uint32_t address, uint16_t source_port, uint16_t target_port,
            const Connection& connection, uint8_t flags, ByteView payload) const;

  std::map<uint16_t, Connection> tcp_;  // by the peer's port
};

}  // namespace lockstep::gateway
