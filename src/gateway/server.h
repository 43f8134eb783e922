// The gateway as a whole: the exchange's rules between sockets, networks and consoles.
//
// Everything that can be taken (host ports, socket paths) is taken by create(), or nothing is.
// After that no peer and no guest can end it; it ends with its loop.
//
// Per round of the loop: frames and bytes come in, outputs go straight on, inputs gather; before
// the loop waits, the gathered inputs leave for the live replica in one write.
//
// Owner: the loop's thread.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "gateway/configuration.h"
#include "gateway/console_server.h"
#include "gateway/exchange.h"
#include "gateway/user_network.h"
#include "io/posix/event_loop.h"
#include "io/posix/message_socket.h"
#include "io/posix/stream_acceptor.h"

namespace lockstep::gateway {

// A stopped replica keeps its connection: far more than are ever alive.
inline constexpr size_t kMaxReplicaConnections = 64;
inline constexpr size_t kMaxReplicaQueueBytes = size_t{1024} * 1024;

class Server : private ExchangeOutside {
 public:
  static Result<std::unique_ptr<Server>> create(posix::EventLoop& loop,
                                                const Configuration& configuration);
  ~Server() override;
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // One JSON object, without a line end: what the status socket answers. The fields are described
  // in the room's README.
  std::string status() const;

 private:
  Server(posix::EventLoop& loop, const Configuration& configuration);

  Status start_networks(const Configuration& configuration);
  Status start_consoles(const Configuration& configuration);
  Status start_sockets(const Configuration& configuration);

  void add_replica(posix::Fd fd);
  void answer_status(posix::Fd fd) const;
  void before_wait();

  bool send(ConnectionId connection, const GatewayMessage& message) override;
  void disconnect(ConnectionId connection) override;
  void frame_to_network(DeviceIndex nic, ByteView frame) override;
  void console_to_clients(DeviceIndex port, ByteView bytes) override;

  posix::EventLoop& loop_;
  std::string vm_;
  Exchange exchange_;
  std::array<std::unique_ptr<UserNetwork>, kMaxNics> networks_;
  std::array<std::unique_ptr<ConsoleServer>, kMaxConsolePorts> consoles_;
  std::map<ConnectionId, std::unique_ptr<posix::MessageSocket>> replicas_;
  ConnectionId next_connection_;
  std::optional<posix::StreamAcceptor> replica_acceptor_;
  std::optional<posix::StreamAcceptor> status_acceptor_;
};

}  // namespace lockstep::gateway
