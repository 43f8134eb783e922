#include "console.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/bytes.h"
#include "io/posix/host_clock.h"

namespace lockstep::bench {
namespace {

constexpr size_t kQuotedBytes = 600;
constexpr uint64_t kNsPerMs = 1'000'000;
constexpr uint64_t kMaxPollMs = 60'000;

}  // namespace

Result<Console::Sighting> Console::wait_for(std::string_view wanted,
                                            std::chrono::seconds patience) {
  const auto patience_ns = std::chrono::nanoseconds(patience).count();
  const HostTime deadline = posix::monotonic_now() + static_cast<uint64_t>(patience_ns);
  while (true) {
    if (auto before = text_.take_until(wanted)) {
      return Sighting{.when = last_received_, .before = std::move(*before)};
    }
    if (Status status = receive(deadline, wanted); !status) return std::unexpected(status.error());
  }
}

Status Console::receive(HostTime deadline, std::string_view wanted) {
  const auto never_shown = [&](std::string_view why) {
    return fail(ErrorCode::kUnavailable, "the guest's console did not show",
                fmt::format("{:?}", wanted),
                fmt::format("{}; it ended with: {:?}", why, text_.tail(kQuotedBytes)));
  };
  const HostTime now = posix::monotonic_now();
  if (now >= deadline) return never_shown("no more patience");
  const uint64_t left_ms = std::min((deadline - now) / kNsPerMs + 1, kMaxPollMs);
  std::array<pollfd, 2> waiting{{{socket_.get(), POLLIN, 0}, {interrupts_->fd(), POLLIN, 0}}};
  if (::poll(waiting.data(), waiting.size(), static_cast<int>(left_ms)) < 0) {
    if (errno == EINTR) return {};
    return posix::fail_errno("cannot wait for", "the guest's console");
  }
  if (waiting[1].revents != 0) return never_shown("interrupted");
  if (waiting[0].revents == 0) return {};
  std::array<std::byte, 65536> buffer;
  const ssize_t got = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
  if (got < 0 && errno == EINTR) return {};
  if (got <= 0) return never_shown("it was closed");
  last_received_ = posix::monotonic_now();
  text_.add(as_text(std::span(buffer).first(static_cast<size_t>(got))));
  return {};
}

Status Console::type(std::string_view text) {
  while (!text.empty()) {
    const ssize_t sent = ::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return posix::fail_errno("cannot type at", "the guest's console");
    text.remove_prefix(static_cast<size_t>(sent));
  }
  return {};
}

}  // namespace lockstep::bench
