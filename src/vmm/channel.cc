#include "vmm/channel.h"

#include <utility>

#include "base/diagnostics.h"
#include "replication/messages.h"

namespace lockstep::vmm {

using replication::ConnectionId;

Channel::Channel(posix::EventLoop& loop, Callbacks callbacks)
    : loop_(loop), callbacks_(std::move(callbacks)) {
}

Channel::~Channel() {
  if (retry_) loop_.cancel(*retry_);
}

Status Channel::listen(const posix::SocketAddress& address) {
  Result<posix::StreamListener> listener = posix::StreamListener::listen(address);
  if (!listener) return std::unexpected(listener.error());
  acceptor_ = std::make_unique<posix::StreamAcceptor>(
      loop_, std::move(*listener), [this](posix::Fd fd) { adopt(std::move(fd)); });
  return {};
}

void Channel::connect(posix::SocketAddress address) {
  peer_ = std::move(address);
  try_connect();
}

void Channel::try_connect() {
  retry_.reset();
  Result<posix::Fd> fd = posix::start_connect(*peer_);
  if (fd && posix::finish_connect(fd->get(), *peer_)) return adopt(std::move(*fd));
  retry_ = loop_.at(posix::EventLoop::now() + kRetryNs, [this] { try_connect(); });
}

void Channel::adopt(posix::Fd fd) {
  const ConnectionId id = next_id_;
  ++next_id_;
  posix::MessageSocket::Callbacks callbacks;
  callbacks.on_message = [this, id](ByteView message) { on_message(id, message); };
  callbacks.on_closed = [this, id](const Error& reason) { drop(id, reason.text()); };
  callbacks.on_drained = [this, id] {
    if (connections_.at(id).closing) connections_.erase(id);
  };
  callbacks.on_batch_end = callbacks_.on_batch_end;
  connections_[id].socket = std::make_unique<posix::MessageSocket>(
      loop_, std::move(fd), posix::MessageLimits{replication::kMaxMessageBytes, kMaxQueuedBytes},
      std::move(callbacks));
  callbacks_.on_event(replication::PeerConnected{id});
}

void Channel::on_message(ConnectionId id, ByteView bytes) {
  traffic_.received_bytes += posix::kMessageLengthBytes + bytes.size();
  if (connections_.at(id).closing) return;
  Result<replication::Message> message = replication::decode(bytes);
  if (!message) return callbacks_.on_event(replication::MalformedMessage{id, message.error()});
  callbacks_.on_event(replication::MessageReceived{id, std::move(*message)});
}

void Channel::drop(ConnectionId id, const std::string& reason) {
  const auto connection = connections_.find(id);
  if (connection == connections_.end()) return;
  const bool expected = connection->second.closing;
  connections_.erase(connection);
  if (!expected) callbacks_.on_event(replication::PeerDisconnected{id, reason});
}

void Channel::send(ConnectionId id, const replication::Message& message) {
  const auto connection = connections_.find(id);
  if (connection == connections_.end() || connection->second.closing) return;
  const Bytes bytes = replication::encode(message);
  if (connection->second.socket->send(bytes)) {
    traffic_.sent_bytes += posix::kMessageLengthBytes + bytes.size();
    return;
  }
  // Not from inside the core's step: it must finish before it hears of this.
  loop_.post([this, id] { drop(id, "it has closed, or does not read what is sent to it"); });
}

void Channel::close(ConnectionId id, const std::string& reason) {
  const auto connection = connections_.find(id);
  if (connection == connections_.end()) return;
  diagnose(Severity::kInfo, "connection {} is closed: {}", id.value, reason);
  connection->second.closing = true;
  if (connection->second.socket->queued_bytes() > 0) return;  // on_drained or on_closed ends it
  loop_.post([this, id] { connections_.erase(id); });
}

void Channel::pause_reading() {
  for (auto& [id, connection] : connections_) connection.socket->pause_reading();
}

void Channel::resume_reading() {
  for (auto& [id, connection] : connections_) connection.socket->resume_reading();
}

}  // namespace lockstep::vmm
