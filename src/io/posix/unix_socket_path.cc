#include "io/posix/unix_socket_path.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "io/posix/event_loop.h"

namespace lockstep::posix {
namespace {

constexpr size_t kMaxPath = sizeof(sockaddr_un::sun_path) - 1;

}  // namespace

Result<UnixSocketPath> UnixSocketPath::open(const std::string& path) {
  if (path.size() <= kMaxPath) return UnixSocketPath(Fd(), path);
  const std::filesystem::path whole(path);
  Fd directory(::open(whole.parent_path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid()) {
    return fail_errno("cannot open the directory of the socket", path);
  }
  std::string usable =
      fmt::format("/proc/self/fd/{}/{}", directory.get(), whole.filename().string());
  if (usable.size() > kMaxPath) {
    return fail(ErrorCode::kInvalid, "cannot use the socket", path,
                fmt::format("its name alone is longer than the {} bytes that fit", kMaxPath));
  }
  return UnixSocketPath(std::move(directory), std::move(usable));
}

Result<Fd> connect_unix_socket(const std::string& path) {
  Result<UnixSocketPath> reachable = UnixSocketPath::open(path);
  if (!reachable) return std::unexpected(reachable.error());
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, reachable->usable().data(), reachable->usable().size());
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return fail_errno("cannot open a socket for", path);
  // SAFETY: the socket interface takes every address family through sockaddr.
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno == ECONNREFUSED) {
      return fail(ErrorCode::kUnavailable, "cannot connect to", path, "nobody listens there");
    }
    return fail_errno("cannot connect to", path);
  }
  return fd;
}

Status remove_stale_socket(const std::string& path) {
  const Result<Fd> connected = connect_unix_socket(path);
  if (connected) {
    return fail(ErrorCode::kInUse, "cannot replace the socket", path,
                "a process listens on it; stop that process first");
  }
  if (connected.error().code == ErrorCode::kNotFound) return {};
  if (connected.error().code != ErrorCode::kUnavailable) {
    return std::unexpected(connected.error());
  }
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return fail_errno("cannot remove", path);
  return {};
}

Result<std::string> read_unix_socket(const std::string& path, int timeout_ms, size_t limit) {
  Result<Fd> fd = connect_unix_socket(path);
  if (!fd) return std::unexpected(fd.error());
  const HostTime deadline = EventLoop::now() + static_cast<uint64_t>(timeout_ms) * 1'000'000;
  std::string text;
  std::array<char, 4096> buffer;
  while (text.size() < limit) {
    const HostTime now = EventLoop::now();
    const int left_ms = now < deadline ? static_cast<int>((deadline - now) / 1'000'000) + 1 : 0;
    pollfd waiting{fd->get(), POLLIN, 0};
    const int ready = ::poll(&waiting, 1, left_ms);
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) {
      return fail(ErrorCode::kUnavailable, "no answer from", path,
                  fmt::format("it did not finish within {} ms", timeout_ms));
    }
    const ssize_t got = ::read(fd->get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("cannot read from", path);
    if (got == 0) return text;
    text.append(buffer.data(), static_cast<size_t>(got));
  }
  return fail(ErrorCode::kCorrupt, "cannot use the answer from", path,
              fmt::format("it is longer than {} bytes", limit));
}

}  // namespace lockstep::posix
