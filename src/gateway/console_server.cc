#include "gateway/console_server.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "base/diagnostics.h"

namespace lockstep::gateway {

using posix::EventLoop;
using posix::Fd;

ConsoleServer::ConsoleServer(EventLoop& loop, Callbacks callbacks)
    : loop_(loop), callbacks_(std::move(callbacks)) {
}

Result<std::unique_ptr<ConsoleServer>> ConsoleServer::create(EventLoop& loop,
                                                             const ConsoleSettings& settings,
                                                             Callbacks callbacks) {
  std::unique_ptr<ConsoleServer> server(new ConsoleServer(loop, std::move(callbacks)));
  if (!settings.log_path.empty()) {
    Result<posix::AppendFile> file =
        posix::AppendFile::open(settings.log_path, kMaxConsoleLogBytes);
    if (!file) return std::unexpected(std::move(file.error()));
    server->log_ = std::move(*file);
  }
  Result<posix::StreamListener> listener =
      posix::StreamListener::listen(posix::SocketAddress::unix_path(settings.socket_path));
  if (!listener) return std::unexpected(std::move(listener.error()));
  server->acceptor_.emplace(loop, std::move(*listener),
                            [raw = server.get()](Fd fd) { raw->add_client(std::move(fd)); });
  return server;
}

ConsoleServer::~ConsoleServer() {
  before_wait();
  while (!clients_.empty()) remove(clients_.begin()->first);
}

void ConsoleServer::add_client(Fd fd) {
  if (clients_.size() >= kMaxConsoleClients) {
    diagnose(Severity::kWarning, "turned a console client away: {} are connected already",
             kMaxConsoleClients);
    return;
  }
  const int number = fd.get();
  Client& client = clients_[number];
  client.fd = std::move(fd);
  const size_t size = std::min(scrollback_.size(), kScrollbackBytes);
  client.queue.assign(scrollback_.end() - static_cast<std::ptrdiff_t>(size), scrollback_.end());
  update_interest(client);
}

void ConsoleServer::update_interest(Client& client) {
  uint32_t wanted = input_paused_ ? 0 : uint32_t{EventLoop::kReadable};
  if (!client.queue.empty()) wanted |= EventLoop::kWritable;
  if (wanted == client.watched) return;
  const int fd = client.fd.get();
  // Unwatched rather than watched for nothing: a hang-up would be reported again and again.
  if (client.watched == 0) {
    loop_.watch(fd, wanted, [this, fd](uint32_t readiness) { on_ready(fd, readiness); });
  } else if (wanted == 0) {
    loop_.unwatch(fd);
  } else {
    loop_.set_interest(fd, wanted);
  }
  client.watched = wanted;
}

void ConsoleServer::on_ready(int fd, uint32_t readiness) {
  Client& client = clients_.at(fd);
  const bool reads = (readiness & EventLoop::kReadable) != 0 && !input_paused_;
  const bool writes = (readiness & EventLoop::kWritable) != 0;
  if ((writes && !write_to(client)) || (reads && !read_from(client))) {
    remove(fd);
    return;
  }
  update_interest(client);
}

bool ConsoleServer::read_from(Client& client) {
  if (!callbacks_.has_room()) {
    input_paused_ = true;
    for (auto& [fd, other] : clients_) update_interest(other);
    return true;
  }
  std::array<std::byte, kMaxTypedBytes> buffer;
  const Result<std::optional<size_t>> got = posix::receive_some(client.fd.get(), buffer);
  if (!got || got->value_or(1) == 0) return false;
  if (got->has_value()) callbacks_.on_input(ByteView(buffer).first(**got));
  return true;
}

bool ConsoleServer::write_to(Client& client) {
  size_t sent = 0;
  while (sent < client.queue.size()) {
    const Result<size_t> taken =
        posix::send_some(client.fd.get(), ByteView(client.queue).subspan(sent));
    if (!taken) return false;
    if (*taken == 0) break;
    sent += *taken;
  }
  client.queue.erase(client.queue.begin(),
                     client.queue.begin() + static_cast<std::ptrdiff_t>(sent));
  return true;
}

void ConsoleServer::remove(int fd) {
  const auto found = clients_.find(fd);
  if (found->second.watched != 0) loop_.unwatch(fd);
  clients_.erase(found);
}

void ConsoleServer::output(ByteView bytes) {
  gathered_.insert(gathered_.end(), bytes.begin(), bytes.end());
}

void ConsoleServer::log(ByteView bytes) {
  if (!log_ || log_failed_) return;
  if (const Status appended = log_->append(bytes); !appended) {
    diagnose(Severity::kError, "the console is logged no more: {}", appended.error().text());
    log_failed_ = true;
  }
}

void ConsoleServer::before_wait() {
  if (input_paused_ && callbacks_.has_room()) {
    input_paused_ = false;
    for (auto& [fd, client] : clients_) update_interest(client);
  }
  if (gathered_.empty()) return;
  log(gathered_);
  std::vector<int> gone;
  for (auto& [fd, client] : clients_) {
    client.queue.insert(client.queue.end(), gathered_.begin(), gathered_.end());
    const bool connected = write_to(client);
    if (connected && client.queue.size() <= kMaxClientQueueBytes) {
      update_interest(client);
      continue;
    }
    if (connected) diagnose(Severity::kWarning, "disconnected a console client that does not read");
    gone.push_back(fd);
  }
  for (const int fd : gone) remove(fd);
  scrollback_.insert(scrollback_.end(), gathered_.begin(), gathered_.end());
  if (scrollback_.size() > 2 * kScrollbackBytes) {
    scrollback_.erase(scrollback_.begin(),
                      scrollback_.end() - static_cast<std::ptrdiff_t>(kScrollbackBytes));
  }
  gathered_.clear();
}

}  // namespace lockstep::gateway
