#include "gateway/server.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "base/check.h"
#include "base/diagnostics.h"

namespace lockstep::gateway {

using posix::EventLoop;
using posix::Fd;
using posix::MessageSocket;
using posix::StreamListener;

namespace {

ExchangeSettings exchange_settings(const Configuration& configuration) {
  ExchangeSettings settings;
  settings.vm = configuration.vm;
  for (const auto& nic : configuration.nics) settings.nics.set(nic.nic.value);
  for (const auto& console : configuration.consoles) settings.console_ports.set(console.port.value);
  return settings;
}

static_assert(kMaxTypedBytes <= kMaxConsoleBytes);

}  // namespace

Server::Server(EventLoop& loop, const Configuration& configuration)
    : loop_(loop), vm_(configuration.vm), exchange_(exchange_settings(configuration), *this) {
}

Server::~Server() {
  loop_.before_wait({});
}

Result<std::unique_ptr<Server>> Server::create(EventLoop& loop,
                                               const Configuration& configuration) {
  std::unique_ptr<Server> server(new Server(loop, configuration));
  for (const auto start :
       {&Server::start_networks, &Server::start_consoles, &Server::start_sockets}) {
    if (Status started = (server.get()->*start)(configuration); !started) {
      return std::unexpected(std::move(started.error()));
    }
  }
  loop.before_wait([raw = server.get()] { raw->before_wait(); });
  return server;
}

Status Server::start_networks(const Configuration& configuration) {
  for (const UserNetworkSettings& nic : configuration.nics) {
    Result<std::unique_ptr<UserNetwork>> network = UserNetwork::create(
        loop_, nic,
        [this, index = nic.nic](ByteView frame) { exchange_.frame_from_network(index, frame); });
    if (!network) return std::unexpected(std::move(network.error()));
    networks_.at(nic.nic.value) = std::move(*network);
  }
  return {};
}

Status Server::start_consoles(const Configuration& configuration) {
  for (const ConsoleConfiguration& console : configuration.consoles) {
    const DeviceIndex port = console.port;
    Result<std::unique_ptr<ConsoleServer>> server = ConsoleServer::create(
        loop_, console.settings,
        {.has_room = [this] { return exchange_.room_for_console(); },
         .on_input =
             [this, port](ByteView bytes) { CHECK(exchange_.console_from_client(port, bytes)); }});
    if (!server) return std::unexpected(std::move(server.error()));
    consoles_.at(port.value) = std::move(*server);
  }
  return {};
}

Status Server::start_sockets(const Configuration& configuration) {
  Result<StreamListener> replicas = StreamListener::listen(configuration.socket);
  if (!replicas) return std::unexpected(std::move(replicas.error()));
  replica_acceptor_.emplace(loop_, std::move(*replicas),
                            [this](Fd fd) { add_replica(std::move(fd)); });
  // Last: whoever gets an answer there knows that all the rest is ready.
  Result<StreamListener> status =
      StreamListener::listen(posix::SocketAddress::unix_path(configuration.status_socket_path));
  if (!status) return std::unexpected(std::move(status.error()));
  status_acceptor_.emplace(loop_, std::move(*status),
                           [this](Fd fd) { answer_status(std::move(fd)); });
  return {};
}

void Server::add_replica(Fd fd) {
  if (replicas_.size() >= kMaxReplicaConnections) {
    diagnose(Severity::kWarning, "turned a replica away: {} are connected already",
             kMaxReplicaConnections);
    return;
  }
  const ConnectionId id = next_connection_;
  ++next_connection_;
  exchange_.connected(id);
  replicas_[id] = std::make_unique<MessageSocket>(
      loop_, std::move(fd),
      posix::MessageLimits{.max_message_bytes = kMaxMessageBytes,
                           .max_queued_bytes = kMaxReplicaQueueBytes},
      MessageSocket::Callbacks{
          .on_message = [this, id](ByteView message) { exchange_.received(id, message); },
          .on_closed =
              [this, id](const Error& reason) {
                diagnose(Severity::kInfo, "replica connection {}: {}", id.value, reason.text());
                exchange_.disconnected(id);
                disconnect(id);
              }});
}

// The answer is far smaller than a fresh socket's buffer: one call takes it whole.
void Server::answer_status(Fd fd) const {
  const std::string line = status() + "\n";
  const Result<size_t> sent = posix::send_some(fd.get(), as_byte_view(line));
  if (!sent) diagnose(Severity::kDebug, "status not delivered: {}", sent.error().text());
}

void Server::before_wait() {
  for (const auto& network : networks_) {
    if (network) network->before_wait();
  }
  for (const auto& console : consoles_) {
    if (console) console->before_wait();
  }
  const std::optional<ConnectionId> live = exchange_.live_connection();
  if (!live) return;
  MessageSocket& socket = *replicas_.at(*live);
  socket.hold();
  exchange_.feed();
  socket.release();
}

bool Server::send(ConnectionId connection, const GatewayMessage& message) {
  const EncodedMessage encoded = encode(message);
  const std::array<ByteView, 2> parts = encoded.parts();
  return replicas_.at(connection)->send(parts);
}

void Server::disconnect(ConnectionId connection) {
  replicas_.erase(connection);
}

void Server::frame_to_network(DeviceIndex nic, ByteView frame) {
  networks_.at(nic.value)->frame_from_guest(frame);
}

void Server::console_to_clients(DeviceIndex port, ByteView bytes) {
  consoles_.at(port.value)->output(bytes);
}

std::string Server::status() const {
  using nlohmann::json;
  const ExchangeStatistics& counted = exchange_.statistics();
  json nics = json::array();
  for (uint32_t i = 0; i < kMaxNics; ++i) {
    if (!networks_[i]) continue;
    json forwards = json::array();
    for (const Forward& forward : networks_[i]->forwards()) forwards.push_back(forward.text());
    nics.push_back({{"nic", i}, {"forward", std::move(forwards)}});
  }
  size_t console_clients = 0;
  for (const auto& console : consoles_) {
    if (console) console_clients += console->client_count();
  }
  const json status = {
      {"vm", vm_},
      {"epoch", exchange_.live_epoch().value},
      {"live_node", exchange_.live_node()},
      {"live_connected", exchange_.live_connection().has_value()},
      {"replica_connections", replicas_.size()},
      {"nics", std::move(nics)},
      {"console_clients", console_clients},
      {"held_inputs", exchange_.held().count()},
      {"held_input_bytes", exchange_.held().bytes()},
      {"next_input", exchange_.held().next().value},
      {"frames_out", counted.frames_out},
      {"frame_bytes_out", counted.frame_bytes_out},
      {"frames_duplicate", counted.frames_duplicate},
      {"frames_dropped_stale", counted.frames_dropped_stale},
      {"frames_dropped_no_nic", counted.frames_dropped_no_nic},
      {"frame_gaps", counted.frame_gaps},
      {"frames_in", counted.frames_in},
      {"frame_bytes_in", counted.frame_bytes_in},
      {"frames_dropped_full", counted.frames_dropped_full},
      {"console_bytes_out", counted.console_bytes_out},
      {"console_bytes_duplicate", counted.console_bytes_duplicate},
      {"console_bytes_dropped_stale", counted.console_bytes_dropped_stale},
      {"console_gaps", counted.console_gaps},
      {"console_bytes_in", counted.console_bytes_in},
      {"inputs_sent", counted.inputs_sent},
      {"inputs_resent", counted.inputs_resent},
      {"inputs_lost", counted.inputs_lost},
      {"lives_accepted", counted.lives_accepted},
      {"lives_superseded", counted.lives_superseded},
      {"connections_refused", counted.connections_refused},
  };
  return status.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace lockstep::gateway
