// The logging channel's connections: a primary listens, a backup connects.
//
// A stranger that connects costs one descriptor and a little memory until the core turns it away.
//
// Owner: the loop's thread. Callbacks come from the loop.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "io/posix/event_loop.h"
#include "io/posix/message_socket.h"
#include "io/posix/stream_acceptor.h"
#include "io/posix/stream_socket.h"
#include "replication/events.h"

namespace lockstep::vmm {

class Channel {
 public:
  struct Callbacks {
    // PeerConnected, PeerDisconnected, MessageReceived, MalformedMessage.
    std::function<void(replication::Event)> on_event;
    std::function<void()> on_batch_end;  // every message at hand has been handed out
  };

  Channel(posix::EventLoop& loop, Callbacks callbacks);
  ~Channel();

  Status listen(const posix::SocketAddress& address);
  // Keeps trying until it is connected, once.
  void connect(posix::SocketAddress address);

  void send(replication::ConnectionId connection, const replication::Message& message);
  // What was sent before leaves first.
  void close(replication::ConnectionId connection, const std::string& reason);
  struct Traffic {
    uint64_t sent_bytes = 0;
    uint64_t received_bytes = 0;
  };
  // Of all connections so far, as on the socket.
  const Traffic& traffic() const { return traffic_; }

  // Back pressure: the messages of every connection wait in the kernel.
  void pause_reading();
  void resume_reading();

 private:
  static constexpr size_t kMaxQueuedBytes = size_t{160} << 20;  // beyond what may be unacknowledged
  static constexpr uint64_t kRetryNs = 10'000'000;

  struct Connection {
    std::unique_ptr<posix::MessageSocket> socket;
    bool closing = false;  // until what was sent has left
  };

  void adopt(posix::Fd fd);
  void try_connect();
  void on_message(replication::ConnectionId id, ByteView bytes);
  void drop(replication::ConnectionId id, const std::string& reason);

  posix::EventLoop& loop_;
  Callbacks callbacks_;
  std::unique_ptr<posix::StreamAcceptor> acceptor_;
  std::optional<posix::SocketAddress> peer_;
  std::optional<posix::EventLoop::TimerId> retry_;
  std::map<replication::ConnectionId, Connection> connections_;
  replication::ConnectionId next_id_{1};
  Traffic traffic_;
};

}  // namespace lockstep::vmm
