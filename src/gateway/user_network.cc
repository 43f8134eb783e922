#include "gateway/user_network.h"

#include <arpa/inet.h>
#include <charconv>
#include <fmt/format.h>
#include <limits>
#include <optional>
#include <slirp/libslirp.h>
#include <utility>

#include "base/check.h"
#include "base/diagnostics.h"
#include "io/gateway_protocol.h"
#include "io/posix/poll_set.h"

namespace lockstep::gateway {
namespace {

using posix::EventLoop;
using posix::PollSet;
using posix::Transport;

constexpr int kFreePortTries = 8;
constexpr uint32_t kFirstSubnet = 2;
constexpr uint32_t kNoTimeout = std::numeric_limits<uint32_t>::max();
constexpr uint64_t kNsPerMs = 1'000'000;

static_assert(int{PollSet::kIn} == int{SLIRP_POLL_IN} && int{PollSet::kOut} == int{SLIRP_POLL_OUT});
static_assert(int{PollSet::kPriority} == int{SLIRP_POLL_PRI});
static_assert(int{PollSet::kError} == int{SLIRP_POLL_ERR});
static_assert(int{PollSet::kHangUp} == int{SLIRP_POLL_HUP});

// 10.0.(2 + nic).host
in_addr address_in(DeviceIndex nic, uint32_t host) {
  return {htonl((10u << 24) | ((kFirstSubnet + nic.value) << 8) | host)};
}

bool parse_port(std::string_view text, uint16_t& port) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

}  // namespace

Result<Forward> Forward::parse(std::string_view text) {
  const auto invalid = [&](std::string why) {
    return fail(ErrorCode::kInvalid, "cannot read the forward", std::string(text),
                fmt::format("{}; write tcp:HOST:HOST_PORT:GUEST_PORT or udp:…", why));
  };
  std::vector<std::string_view> fields;
  std::string_view rest = text;
  for (size_t colon = rest.find(':'); colon != std::string_view::npos; colon = rest.find(':')) {
    fields.push_back(rest.substr(0, colon));
    rest.remove_prefix(colon + 1);
  }
  fields.push_back(rest);
  if (fields.size() != 4) return invalid(fmt::format("it has {} fields, not 4", fields.size()));
  Forward forward;
  if (fields[0] != "tcp" && fields[0] != "udp") {
    return invalid(fmt::format("'{}' is neither tcp nor udp", fields[0]));
  }
  forward.transport = fields[0] == "tcp" ? Transport::kTcp : Transport::kUdp;
  forward.host = fields[1];
  if (!posix::is_ipv4_address(forward.host)) {
    return invalid(
        fmt::format("'{}' is not an IPv4 address (127.0.0.1 for this host only, 0.0.0.0 "
                    "for everybody)",
                    forward.host));
  }
  if (!parse_port(fields[2], forward.host_port)) {
    return invalid(fmt::format("'{}' is not a host port from 0 to 65535", fields[2]));
  }
  if (!parse_port(fields[3], forward.guest_port) || forward.guest_port == 0) {
    return invalid(fmt::format("'{}' is not a guest port from 1 to 65535", fields[3]));
  }
  return forward;
}

std::string Forward::text() const {
  return fmt::format("{}:{}:{}:{}", transport == Transport::kTcp ? "tcp" : "udp", host, host_port,
                     guest_port);
}

struct UserNetwork::Impl {
  Impl(EventLoop& event_loop, UserNetworkSettings wanted, FrameCallback frame_callback)
      : loop(event_loop), settings(std::move(wanted)), on_frame(std::move(frame_callback)) {}

  // A timer that libslirp asked for; it frees it, too.
  struct SlirpTimer {
    Impl* impl;
    SlirpTimerCb callback;
    void* opaque;
    std::optional<EventLoop::TimerId> pending;

    void stop() {
      if (pending) impl->loop.cancel(*pending);
      pending.reset();
    }
  };

  EventLoop& loop;
  UserNetworkSettings settings;
  FrameCallback on_frame;
  PollSet polls;
  SlirpCb callbacks{};  // libslirp keeps a pointer to it
  Slirp* slirp = nullptr;

  bool sockets_ready = false;  // the loop has seen that some descriptor is ready
  bool timer_expired = false;  // libslirp's own time has come
  bool guest_active = false;   // the guest sent something: other descriptors may be wanted
  std::optional<EventLoop::TimerId> timer;
  HostTime timer_due;

  static Impl& self(void* opaque) { return *static_cast<Impl*>(opaque); }

  void fill_callbacks() {
    callbacks.send_packet = [](const void* frame, size_t size, void* opaque) -> ssize_t {
      self(opaque).on_frame({static_cast<const std::byte*>(frame), size});
      return static_cast<ssize_t>(size);
    };
    callbacks.guest_error = [](const char* message, void* opaque) {
      diagnose(Severity::kDebug, "NIC {}: {}", self(opaque).settings.nic.value, message);
    };
    callbacks.clock_get_ns = [](void*) { return static_cast<int64_t>(EventLoop::now().value); };
    callbacks.timer_new = [](SlirpTimerCb callback, void* data, void* opaque) -> void* {
      return new SlirpTimer{&self(opaque), callback, data, std::nullopt};
    };
    callbacks.timer_free = [](void* timer_opaque, void*) {
      auto* slirp_timer = static_cast<SlirpTimer*>(timer_opaque);
      slirp_timer->stop();
      delete slirp_timer;
    };
    callbacks.timer_mod = [](void* timer_opaque, int64_t expire_ms, void* opaque) {
      auto* slirp_timer = static_cast<SlirpTimer*>(timer_opaque);
      slirp_timer->stop();
      const HostTime due(static_cast<uint64_t>(expire_ms) * kNsPerMs);
      slirp_timer->pending = self(opaque).loop.at(due, [slirp_timer] {
        slirp_timer->pending.reset();
        slirp_timer->callback(slirp_timer->opaque);
      });
    };
    callbacks.register_poll_fd = [](int fd, void* opaque) { self(opaque).polls.forget(fd); };
    callbacks.unregister_poll_fd = [](int fd, void* opaque) { self(opaque).polls.forget(fd); };
    callbacks.notify = [](void* opaque) { self(opaque).guest_active = true; };
  }

  void start() {
    fill_callbacks();
    const DeviceIndex nic = settings.nic;
    SlirpConfig config{};
    config.version = 4;
    config.restricted = settings.restricted ? 1 : 0;
    config.in_enabled = true;
    config.vnetwork = address_in(nic, 0);
    config.vnetmask = {htonl(0xffffff00)};
    config.vhost = address_in(nic, 2);
    config.vdhcp_start = address_in(nic, 15);
    config.vnameserver = address_in(nic, 3);
    config.vhostname = settings.host_name.empty() ? nullptr : settings.host_name.c_str();
    config.disable_host_loopback = !settings.host_loopback;
    slirp = slirp_new(&config, &callbacks, this);
    CHECK(slirp != nullptr);  // it refuses only a configuration out of range
    loop.watch(polls.fd(), EventLoop::kReadable, [this](uint32_t) { sockets_ready = true; });
  }

  ~Impl() {
    if (slirp == nullptr) return;
    loop.unwatch(polls.fd());
    if (timer) loop.cancel(*timer);
    slirp_cleanup(slirp);
  }

  Status add(Forward& forward) {
    in_addr host{};
    CHECK(::inet_pton(AF_INET, forward.host.c_str(), &host) == 1);
    for (int i = 0; i < kFreePortTries; ++i) {
      // libslirp lets two UDP sockets share a port and does not tell which port it got: probed.
      const Result<uint16_t> port =
          posix::probe_host_port(forward.transport, forward.host, forward.host_port);
      if (!port) {
        return fail(
            port.error().code, fmt::format("NIC {} cannot have the forward", settings.nic.value),
            forward.text(),
            fmt::format("{}; stop what has the port or choose another", port.error().text()));
      }
      const int udp = forward.transport == Transport::kUdp ? 1 : 0;
      if (slirp_add_hostfwd(slirp, udp, host, *port, address_in(settings.nic, 15),
                            forward.guest_port) == 0) {
        forward.host_port = *port;
        return {};
      }
      if (forward.host_port != 0) break;  // a free one may have been taken meanwhile: next try
    }
    return fail(ErrorCode::kInUse,
                fmt::format("NIC {} cannot have the forward", settings.nic.value), forward.text(),
                "another process has just taken the port; try again");
  }

  void set_timer(uint32_t timeout_ms) {
    if (timeout_ms == kNoTimeout) return;
    const HostTime due = EventLoop::now() + timeout_ms * kNsPerMs;
    if (timer && timer_due <= due) return;  // to wake early does no harm
    if (timer) loop.cancel(*timer);
    timer_due = due;
    timer = loop.at(due, [this] {
      timer.reset();
      timer_expired = true;
    });
  }

  void serve_sockets() {
    if (sockets_ready) polls.collect();
    sockets_ready = timer_expired = guest_active = false;
    slirp_pollfds_poll(
        slirp, 0,
        [](int index, void* opaque) {
          return static_cast<int>(self(opaque).polls.revents(static_cast<size_t>(index)));
        },
        this);
  }

  void ask_interest() {
    uint32_t timeout_ms = kNoTimeout;
    polls.begin();
    slirp_pollfds_fill(
        slirp, &timeout_ms,
        [](int fd, int events, void* opaque) {
          return static_cast<int>(self(opaque).polls.add(fd, static_cast<uint32_t>(events)));
        },
        this);
    polls.end();
    set_timer(timeout_ms);
  }
};

UserNetwork::UserNetwork(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {
}

UserNetwork::~UserNetwork() = default;

Result<std::unique_ptr<UserNetwork>> UserNetwork::create(EventLoop& loop,
                                                         UserNetworkSettings settings,
                                                         FrameCallback on_frame) {
  CHECK(settings.nic.value < kMaxNics && settings.forwards.size() <= kMaxForwards);
  auto impl = std::make_unique<Impl>(loop, std::move(settings), std::move(on_frame));
  impl->start();
  for (Forward& forward : impl->settings.forwards) {
    if (Status added = impl->add(forward); !added) {
      return std::unexpected(std::move(added.error()));
    }
  }
  impl->ask_interest();
  return std::unique_ptr<UserNetwork>(new UserNetwork(std::move(impl)));
}

void UserNetwork::frame_from_guest(ByteView frame) {
  impl_->guest_active = true;
  if (frame.size() > kMaxFrameBytes) return;
  // SAFETY: uint8_t is unsigned char, which may alias any object.
  slirp_input(impl_->slirp, reinterpret_cast<const uint8_t*>(frame.data()),
              static_cast<int>(frame.size()));
}

void UserNetwork::before_wait() {
  if (!impl_->sockets_ready && !impl_->timer_expired && !impl_->guest_active) return;
  // Also when only the guest did something: frames that waited for its ARP answer leave here.
  impl_->serve_sockets();
  impl_->ask_interest();
}

const std::vector<Forward>& UserNetwork::forwards() const {
  return impl_->settings.forwards;
}

}  // namespace lockstep::gateway
