#include "io/posix/terminal.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <poll.h>
#include <span>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

namespace lockstep::posix {
namespace {

// Standard input in raw mode while this lives, if it is a terminal.
class RawTerminal {
 public:
  RawTerminal() {
    if (::isatty(STDIN_FILENO) == 0 || ::tcgetattr(STDIN_FILENO, &saved_) != 0) return;
    termios raw = saved_;
    ::cfmakeraw(&raw);
    active_ = ::tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
  }
  ~RawTerminal() {
    if (active_) ::tcsetattr(STDIN_FILENO, TCSADRAIN, &saved_);
  }
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;

  bool active() const { return active_; }

 private:
  termios saved_{};
  bool active_ = false;
};

Status write_fully(int fd, std::span<const char> bytes, const char* name) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EAGAIN) {
      pollfd waiting{fd, POLLOUT, 0};
      ::poll(&waiting, 1, -1);
      continue;
    }
    if (written < 0) return fail_errno("cannot write to", name);
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return {};
}

Status send_fully(const Fd& peer, std::span<const char> bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(peer.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return fail_errno("cannot write to", "the console");
    bytes = bytes.subspan(static_cast<size_t>(sent));
  }
  return {};
}

// An empty result: go on.
Result<std::optional<RelayEnd>> forward_typed(const Fd& peer, bool terminal) {
  std::array<char, 4096> buffer;
  const ssize_t got = ::read(STDIN_FILENO, buffer.data(), buffer.size());
  if (got < 0 && errno == EINTR) return std::nullopt;
  if (got <= 0) return RelayEnd::kInputEnded;
  std::span<const char> typed(buffer.data(), static_cast<size_t>(got));
  const auto escape = std::find(typed.begin(), typed.end(), kConsoleEscape);
  const bool leave = terminal && escape != typed.end();
  if (leave) typed = typed.first(static_cast<size_t>(escape - typed.begin()));
  if (Status sent = send_fully(peer, typed); !sent) return std::unexpected(sent.error());
  if (leave) return RelayEnd::kEscape;
  return std::nullopt;
}

Result<std::optional<RelayEnd>> forward_shown(const Fd& peer) {
  std::array<char, 65536> buffer;
  const ssize_t got = ::recv(peer.get(), buffer.data(), buffer.size(), 0);
  if (got < 0 && errno == EINTR) return std::nullopt;
  if (got <= 0) return RelayEnd::kPeerClosed;
  Status shown = write_fully(STDOUT_FILENO, std::span(buffer).first(static_cast<size_t>(got)),
                             "standard output");
  if (!shown) return std::unexpected(shown.error());
  return std::nullopt;
}

}  // namespace

bool output_is_terminal() {
  return ::isatty(STDOUT_FILENO) != 0;
}

Result<RelayEnd> relay_terminal(const Fd& peer, const Interrupts& interrupts,
                                const std::function<bool()>& go_on) {
  const RawTerminal raw;
  bool input_open = true;
  while (true) {
    std::array<pollfd, 3> waiting{{{peer.get(), POLLIN, 0},
                                   {interrupts.fd(), POLLIN, 0},
                                   {input_open ? STDIN_FILENO : -1, POLLIN, 0}}};
    if (::poll(waiting.data(), waiting.size(), kRelayCheckMs) < 0 && errno != EINTR) {
      return fail_errno("cannot wait for", "the console");
    }
    if (waiting[1].revents != 0) return RelayEnd::kInterrupted;
    if (waiting[0].revents != 0) {
      const auto end = forward_shown(peer);
      if (!end) return std::unexpected(end.error());
      if (end->has_value()) return **end;
    } else if (!go_on()) {
      return RelayEnd::kStopped;  // only when everything shown so far has been read
    }
    if (waiting[2].revents != 0) {
      const auto end = forward_typed(peer, raw.active());
      if (!end) return std::unexpected(end.error());
      if (*end == RelayEnd::kInputEnded && !raw.active()) {
        input_open = false;
      } else if (end->has_value()) {
        return **end;
      }
    }
  }
}

}  // namespace lockstep::posix
