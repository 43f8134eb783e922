#include "io/posix/stream_socket.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>
#include <utility>

#include "base/diagnostics.h"

namespace lockstep::posix {
namespace {

constexpr int kBacklog = 64;
constexpr int kDirectoryLockTries = 100;
constexpr std::chrono::milliseconds kDirectoryLockPause{10};

// Any family's address with its length, as the system calls take it.
struct RawAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;

  const sockaddr* get() const {
    // SAFETY: sockaddr_storage is defined to be read through the sockaddr of any family.
    return reinterpret_cast<const sockaddr*>(&storage);
  }
  sockaddr* get() {
    // SAFETY: as above.
    return reinterpret_cast<sockaddr*>(&storage);
  }
};

// The directory of a Unix socket, and an address of the file: its path, or where that is too long
// for the kernel, a short one through the directory's descriptor.
struct UnixPlace {
  Fd directory;
  std::string name;
  RawAddress raw;
};

Result<UnixPlace> locate(const SocketAddress& address) {
  const std::filesystem::path path(address.path);
  UnixPlace place;
  place.name = path.filename().string();
  const std::string parent = path.has_parent_path() ? path.parent_path().string() : ".";
  place.directory.reset(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!place.directory.valid()) {
    return fail_errno("cannot open the directory of the Unix socket", address.path,
                      "create the directory first");
  }
  sockaddr_un un{};
  un.sun_family = AF_UNIX;
  const std::string reach =
      address.path.size() < sizeof un.sun_path
          ? address.path
          : fmt::format("/proc/self/fd/{}/{}", place.directory.get(), place.name);
  if (reach.size() >= sizeof un.sun_path) {
    return fail(
        ErrorCode::kInvalid, "cannot use the Unix socket path", address.path,
        fmt::format("its last component has {} bytes; give it at most {}", place.name.size(),
                    sizeof un.sun_path - 1 - (reach.size() - place.name.size())));
  }
  reach.copy(un.sun_path, reach.size());
  std::memcpy(&place.raw.storage, &un, sizeof un);
  place.raw.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + reach.size() + 1);
  return place;
}

struct AddressInfoDeleter {
  void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};

Result<RawAddress> resolve(const SocketAddress& address, bool to_listen) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | (to_listen ? AI_PASSIVE : 0);
  addrinfo* found = nullptr;
  const std::string service = std::to_string(address.port);
  const int outcome = ::getaddrinfo(address.host.c_str(), service.c_str(), &hints, &found);
  if (outcome != 0) {
    return fail(ErrorCode::kNotFound, "cannot resolve the host of the address", address.text(),
                ::gai_strerror(outcome));
  }
  const std::unique_ptr<addrinfo, AddressInfoDeleter> list(found);
  RawAddress raw;
  std::memcpy(&raw.storage, list->ai_addr, list->ai_addrlen);
  raw.length = list->ai_addrlen;
  return raw;
}

Fd new_socket(int family) {
  return Fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

void set_no_delay(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

// Serialises everybody who makes a socket in this directory, so that a stale file is never
// confused with one that another process has bound but not yet listened on.
Status lock_directory(int directory, const SocketAddress& address) {
  for (int i = 0; i < kDirectoryLockTries; ++i) {
    if (::flock(directory, LOCK_EX | LOCK_NB) == 0) return {};
    if (errno != EWOULDBLOCK) break;
    std::this_thread::sleep_for(kDirectoryLockPause);
  }
  return fail_errno("cannot lock the directory of the Unix socket", address.path,
                    "another process holds a lock on it");
}

// There is a file where the socket is to be. Removes it if it is a socket nobody listens on.
Status remove_stale(const UnixPlace& place, const SocketAddress& address) {
  struct stat status{};
  if (::fstatat(place.directory.get(), place.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return {};
    return fail_errno("cannot look at the Unix socket", address.path);
  }
  if (!S_ISSOCK(status.st_mode)) {
    return fail(ErrorCode::kInUse, "cannot listen on", address.text(),
                "a file that is not a socket is there; remove it or choose another path");
  }
  const Fd probe = new_socket(AF_UNIX);
  if (!probe.valid()) return fail_errno("cannot make a socket for", address.text());
  if (::connect(probe.get(), place.raw.get(), place.raw.length) == 0 || errno != ECONNREFUSED) {
    return fail(ErrorCode::kInUse, "cannot listen on", address.text(),
                "another process listens there; stop it or choose another path");
  }
  if (::unlinkat(place.directory.get(), place.name.c_str(), 0) != 0 && errno != ENOENT) {
    return fail_errno("cannot remove the stale Unix socket", address.path);
  }
  return {};
}

Result<Fd> listen_unix(const UnixPlace& place, const SocketAddress& address) {
  if (Status locked = lock_directory(place.directory.get(), address); !locked) {
    return std::unexpected(std::move(locked.error()));
  }
  Status status = remove_stale(place, address);
  Fd fd = new_socket(AF_UNIX);
  // The socket's own mode becomes the file's: nobody else can connect, not even for a moment.
  if (status && (!fd.valid() || ::fchmod(fd.get(), S_IRUSR | S_IWUSR) != 0 ||
                 ::bind(fd.get(), place.raw.get(), place.raw.length) != 0 ||
                 ::listen(fd.get(), kBacklog) != 0)) {
    status = fail_errno("cannot listen on", address.text());
  }
  ::flock(place.directory.get(), LOCK_UN);
  if (!status) return std::unexpected(std::move(status.error()));
  return fd;
}

Result<Fd> listen_tcp(SocketAddress& address) {
  Result<RawAddress> raw = resolve(address, true);
  if (!raw) return std::unexpected(std::move(raw.error()));
  Fd fd = new_socket(raw->storage.ss_family);
  const int on = 1;
  if (!fd.valid() || ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      ::bind(fd.get(), raw->get(), raw->length) != 0 || ::listen(fd.get(), kBacklog) != 0) {
    return fail_errno("cannot listen on", address.text(), "choose another port");
  }
  RawAddress bound;
  bound.length = sizeof bound.storage;
  if (::getsockname(fd.get(), bound.get(), &bound.length) != 0) {
    return fail_errno("cannot read the address of the socket", address.text());
  }
  if (bound.storage.ss_family == AF_INET6) {
    sockaddr_in6 in6{};
    std::memcpy(&in6, &bound.storage, sizeof in6);
    address.port = ntohs(in6.sin6_port);
  } else {
    sockaddr_in in{};
    std::memcpy(&in, &bound.storage, sizeof in);
    address.port = ntohs(in.sin_port);
  }
  return fd;
}

std::unexpected<Error> fail_connect(const SocketAddress& address) {
  const bool nobody = errno == ECONNREFUSED || errno == ENOENT || errno == ETIMEDOUT ||
                      errno == EHOSTUNREACH || errno == ENETUNREACH || errno == ECONNRESET ||
                      errno == EAGAIN;
  std::unexpected<Error> failure = fail_errno("cannot connect to", address.text());
  if (nobody) failure.error().code = ErrorCode::kUnavailable;
  return failure;
}

Result<SocketAddress> parse_tcp(std::string_view text, std::string_view rest) {
  constexpr const char* kForm = "write tcp:HOST:PORT, with an IPv6 address in brackets";
  const auto invalid = [&](std::string advice) {
    return fail(ErrorCode::kInvalid, "cannot read the socket address", std::string(text),
                std::move(advice));
  };
  const size_t colon = rest.rfind(':');
  if (colon == std::string_view::npos) return invalid(fmt::format("it has no port; {}", kForm));
  std::string_view host = rest.substr(0, colon);
  const std::string_view port = rest.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']') && host.size() > 2) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find_first_of(":[]") != std::string_view::npos) {
    return invalid(fmt::format("its host is not one; {}", kForm));
  }
  if (host.empty()) return invalid(fmt::format("it has no host; {}", kForm));
  SocketAddress address;
  address.kind = SocketAddress::Kind::kTcp;
  address.host = host;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (error != std::errc() || end != port.data() + port.size()) {
    return invalid(fmt::format("'{}' is not a port from 0 to 65535", port));
  }
  return address;
}

}  // namespace

Result<SocketAddress> SocketAddress::parse(std::string_view text) {
  if (text.find('\0') != std::string_view::npos) {
    return fail(ErrorCode::kInvalid, "cannot read the socket address", "with a NUL byte");
  }
  if (text.starts_with("tcp:")) return parse_tcp(text, text.substr(4));
  if (!text.starts_with("unix:")) {
    return fail(ErrorCode::kInvalid, "cannot read the socket address", std::string(text),
                "write unix:PATH or tcp:HOST:PORT");
  }
  const std::string_view path = text.substr(5);
  if (path.empty() || path.ends_with('/')) {
    return fail(ErrorCode::kInvalid, "cannot read the socket address", std::string(text),
                "the path names no file");
  }
  return unix_path(std::string(path));
}

SocketAddress SocketAddress::unix_path(std::string path) {
  SocketAddress address;
  address.path = std::move(path);
  return address;
}

std::string SocketAddress::text() const {
  if (kind == Kind::kUnix) return "unix:" + path;
  const bool brackets = host.find(':') != std::string::npos;
  return brackets ? fmt::format("tcp:[{}]:{}", host, port) : fmt::format("tcp:{}:{}", host, port);
}

Result<StreamListener> StreamListener::listen(const SocketAddress& address) {
  StreamListener listener;
  listener.address_ = address;
  if (address.kind == SocketAddress::Kind::kTcp) {
    Result<Fd> fd = listen_tcp(listener.address_);
    if (!fd) return std::unexpected(std::move(fd.error()));
    listener.fd_ = std::move(*fd);
    return listener;
  }
  Result<UnixPlace> place = locate(address);
  if (!place) return std::unexpected(std::move(place.error()));
  Result<Fd> fd = listen_unix(*place, address);
  if (!fd) return std::unexpected(std::move(fd.error()));
  struct stat status{};
  if (::fstatat(place->directory.get(), place->name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
    listener.device_ = status.st_dev;
    listener.inode_ = status.st_ino;
  }
  listener.fd_ = std::move(*fd);
  listener.directory_ = std::move(place->directory);
  listener.name_ = std::move(place->name);
  return listener;
}

StreamListener& StreamListener::operator=(StreamListener&& other) noexcept {
  if (this == &other) return *this;
  remove_file();
  fd_ = std::move(other.fd_);
  directory_ = std::move(other.directory_);
  name_ = std::move(other.name_);
  device_ = other.device_;
  inode_ = other.inode_;
  address_ = std::move(other.address_);
  return *this;
}

StreamListener::~StreamListener() {
  remove_file();
}

void StreamListener::remove_file() {
  if (!directory_.valid()) return;
  struct stat status{};
  if (::fstatat(directory_.get(), name_.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
      status.st_dev == device_ && status.st_ino == inode_) {
    ::unlinkat(directory_.get(), name_.c_str(), 0);
  }
  directory_.reset();
}

Result<std::optional<Fd>> StreamListener::accept() {
  for (;;) {
    Fd fd(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd.valid()) {
      if (errno == EAGAIN) return std::nullopt;
      if (errno == ECONNABORTED || errno == EINTR) continue;
      return fail_errno("cannot accept a connection on", address_.text());
    }
    if (address_.kind == SocketAddress::Kind::kTcp) {
      set_no_delay(fd.get());
      return fd;
    }
    const Result<uid_t> uid = peer_uid(fd.get());
    if (uid && (*uid == ::geteuid() || *uid == 0)) return fd;
    diagnose(Severity::kWarning, "refused a connection on {}: {}", address_.text(),
             uid ? fmt::format("user {} is neither us nor root", *uid) : uid.error().text());
  }
}

Result<Fd> start_connect(const SocketAddress& address) {
  UnixPlace place;  // its directory stays open until connect() has walked the path
  RawAddress raw;
  if (address.kind == SocketAddress::Kind::kUnix) {
    Result<UnixPlace> located = locate(address);
    if (!located) return std::unexpected(std::move(located.error()));
    place = std::move(*located);
    raw = place.raw;
  } else {
    Result<RawAddress> resolved = resolve(address, false);
    if (!resolved) return std::unexpected(std::move(resolved.error()));
    raw = *resolved;
  }
  Fd fd = new_socket(raw.storage.ss_family);
  if (!fd.valid()) return fail_errno("cannot make a socket for", address.text());
  if (address.kind == SocketAddress::Kind::kTcp) set_no_delay(fd.get());
  if (::connect(fd.get(), raw.get(), raw.length) != 0 && errno != EINPROGRESS) {
    return fail_connect(address);
  }
  return fd;
}

Status finish_connect(int fd, const SocketAddress& address) {
  int reason = 0;
  socklen_t length = sizeof reason;
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &reason, &length) != 0) reason = errno;
  if (reason == 0) return {};
  errno = reason;
  return fail_connect(address);
}

Result<Fd> connect_stream(const SocketAddress& address, std::chrono::milliseconds timeout) {
  Result<Fd> fd = start_connect(address);
  if (!fd) return fd;
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    pollfd poll{fd->get(), POLLOUT, 0};
    const int ready = ::poll(&poll, 1, std::max(0, static_cast<int>(left.count())));
    if (ready > 0) break;
    if (ready < 0 && errno == EINTR) continue;
    errno = ETIMEDOUT;
    return fail_connect(address);
  }
  if (Status done = finish_connect(fd->get(), address); !done) {
    return std::unexpected(std::move(done.error()));
  }
  return fd;
}

Result<uid_t> peer_uid(int fd) {
  ucred credentials{};
  socklen_t length = sizeof credentials;
  int domain = AF_UNSPEC;
  socklen_t domain_length = sizeof domain;
  if (::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &domain_length) != 0 ||
      ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) {
    return fail_errno("cannot read the credentials of the peer of", fmt::format("socket {}", fd));
  }
  if (domain != AF_UNIX) {
    return fail(ErrorCode::kInvalid, "cannot read the credentials of the peer of",
                fmt::format("socket {}", fd), "only a Unix socket has them");
  }
  return credentials.uid;
}

Result<std::pair<Fd, Fd>> stream_socket_pair() {
  int pair[2] = {-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) {
    return fail_errno("cannot make", "a pair of sockets");
  }
  return std::pair(Fd(pair[0]), Fd(pair[1]));
}

Result<size_t> send_some(int fd, ByteView bytes) {
  for (;;) {
    const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) return static_cast<size_t>(sent);
    if (errno == EAGAIN) return 0;
    if (errno != EINTR) return fail_errno("cannot send to the peer of", std::to_string(fd));
  }
}

Result<std::optional<size_t>> receive_some(int fd, std::span<std::byte> buffer) {
  for (;;) {
    const ssize_t got = ::recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got >= 0) return static_cast<size_t>(got);
    if (errno == EAGAIN) return std::nullopt;
    if (errno != EINTR) return fail_errno("cannot receive from the peer of", std::to_string(fd));
  }
}

}  // namespace lockstep::posix
