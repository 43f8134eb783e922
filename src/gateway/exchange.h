// The gateway's rules: who is heard, what each output and input is worth, what is kept. No I/O.
//
// Replicas are connections; the network and the console clients are the outside. One connection at
// most is live: the one that announced the newest epoch. Its outputs go outside once each, and it
// is fed the inputs, which are kept until it says that they are safe.
//
// Invariants
//   1. The live epoch only grows.
//   2. Nothing of a connection that is not live reaches the outside (design R5).
//   3. An output reaches the outside at most once, whoever emits it.
//   4. Inputs reach the live replica in order and without gaps, from the number it asked for on.
//
// Pure state. Owner: the gateway's loop thread. Source: docs/formats/gateway.md, "Rules".
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/types.h"
#include "gateway/held_inputs.h"
#include "io/gateway_protocol.h"

namespace lockstep::gateway {

using ConnectionId = Ordinal<struct ConnectionIdTag>;

// What the exchange does to the world. A call may come from inside any call on the exchange. Only
// frame_to_network may call back, and only frame_from_network: a network may answer at once.
class ExchangeOutside {
 public:
  virtual ~ExchangeOutside() = default;
  // False: the connection has no room; the message is not taken.
  virtual bool send(ConnectionId connection, const GatewayMessage& message) = 0;
  // Ends it, after what has been sent. The exchange has forgotten it already.
  virtual void disconnect(ConnectionId connection) = 0;
  virtual void frame_to_network(DeviceIndex nic, ByteView frame) = 0;
  virtual void console_to_clients(DeviceIndex port, ByteView bytes) = 0;
};

struct ExchangeSettings {
  std::string vm;
  std::bitset<kMaxNics> nics;  // those whose outside is this gateway
  std::bitset<kMaxConsolePorts> console_ports;
};

// Counted since the gateway's start.
struct ExchangeStatistics {
  uint64_t frames_out = 0;  // to the network
  uint64_t frame_bytes_out = 0;
  uint64_t frames_duplicate = 0;
  uint64_t frames_dropped_stale = 0;   // of a connection or an epoch that is not live
  uint64_t frames_dropped_no_nic = 0;  // of a NIC that this gateway was not given
  uint64_t frame_gaps = 0;
  uint64_t frames_in = 0;  // from the network
  uint64_t frame_bytes_in = 0;
  uint64_t frames_dropped_full = 0;
  uint64_t console_bytes_out = 0;
  uint64_t console_bytes_duplicate = 0;
  uint64_t console_bytes_dropped_stale = 0;
  uint64_t console_gaps = 0;
  uint64_t console_bytes_in = 0;
  uint64_t inputs_sent = 0;    // to a live replica, each time
  uint64_t inputs_resent = 0;  // of them, those sent before
  uint64_t inputs_lost = 0;    // asked for, and forgotten already
  uint64_t lives_accepted = 0;
  uint64_t lives_superseded = 0;
  uint64_t connections_refused = 0;
};

class Exchange {
 public:
  Exchange(ExchangeSettings settings, ExchangeOutside& outside);

  void connected(ConnectionId connection);
  void disconnected(ConnectionId connection);
  // One message as it arrived. One that breaks the format or a rule ends the connection.
  void received(ConnectionId connection, ByteView message);

  // False: dropped, nothing more can be kept.
  bool frame_from_network(DeviceIndex nic, ByteView frame);
  // At most kMaxConsoleBytes. False: no room; ask room_for_console() first and lose nothing.
  bool console_from_client(DeviceIndex port, ByteView bytes);
  bool room_for_console() const { return held_.has_room(kMaxConsoleBytes); }

  // Sends the live replica what it has not been sent, as far as there is room. Call when a batch of
  // inputs is in, and when there may be room again.
  void feed();

  const ExchangeStatistics& statistics() const { return statistics_; }
  Epoch live_epoch() const { return live_epoch_; }
  // The connection that is live now, and the node that was last.
  std::optional<ConnectionId> live_connection() const { return live_; }
  const std::string& live_node() const { return live_node_; }
  const HeldInputs& held() const { return held_; }

 private:
  struct Connection {
    bool welcomed = false;
    std::string node;
  };

  void on(ConnectionId id, const Hello& hello);
  void on(ConnectionId id, const Live& live);
  void on(ConnectionId id, const FrameOut& out);
  void on(ConnectionId id, const ConsoleOut& out);
  void on(ConnectionId id, const InputHeld& held);

  void refuse(ConnectionId id, const std::string& reason);
  void supersede(ConnectionId id, Epoch epoch);
  bool is_heard(ConnectionId id, Epoch epoch) const { return live_ == id && epoch == live_epoch_; }
  bool may_go_live(ConnectionId id, Epoch epoch) const;

  ExchangeSettings settings_;
  ExchangeOutside& outside_;
  std::map<ConnectionId, Connection> connections_;

  std::optional<ConnectionId> live_;
  Epoch live_epoch_;
  std::string live_node_;
  InputSequence fed_;       // the live replica has been sent all below
  InputSequence ever_fed_;  // some live replica has been sent all below

  HeldInputs held_;
  std::array<FrameIndex, kMaxNics> next_frame_;
  std::array<ConsoleOffset, kMaxConsolePorts> next_console_;
  ExchangeStatistics statistics_;
};

}  // namespace lockstep::gateway
