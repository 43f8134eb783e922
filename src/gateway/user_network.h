// The user-mode network behind one NIC: libslirp's NAT, DHCP, DNS and port forwards, without root.
//
// The guest is 10.0.N.15 (by DHCP), the gateway 10.0.N.2, the name server 10.0.N.3, with N = 2 +
// the NIC's number, so that two NICs never share a subnet. IPv6 is off: its router
// advertisements would be logged inputs that carry nothing.
//
// Invariant: guest connections live here, in libslirp; nothing about which replica is live is
// known here. Owner: the loop's thread. Errors: kInUse when a forward's port is taken.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/types.h"
#include "io/posix/event_loop.h"
#include "io/posix/host_port.h"

namespace lockstep::gateway {

inline constexpr size_t kMaxForwards = 64;  // of one NIC

// A port of the host that leads to a port of the guest: "tcp:127.0.0.1:6379:6379".
struct Forward {
  // Errors name the text. Host port 0: a free one is chosen when the network starts.
  static Result<Forward> parse(std::string_view text);
  std::string text() const;
  bool operator==(const Forward&) const = default;

  posix::Transport transport = posix::Transport::kTcp;
  std::string host;  // IPv4 address
  uint16_t host_port = 0;
  uint16_t guest_port = 0;
};

struct UserNetworkSettings {
  DeviceIndex nic;
  std::vector<Forward> forwards;
  bool restricted = false;    // the guest reaches nothing but what forwards lead to it
  bool host_loopback = true;  // the guest reaches the host's 127.0.0.1 as 10.0.N.2
  std::string host_name;      // of the guest, for DHCP
};

class UserNetwork {
 public:
  // A frame for the guest; the bytes are valid until it returns.
  using FrameCallback = std::function<void(ByteView frame)>;

  // Takes every port or none.
  static Result<std::unique_ptr<UserNetwork>> create(posix::EventLoop& loop,
                                                     UserNetworkSettings settings,
                                                     FrameCallback on_frame);
  ~UserNetwork();
  UserNetwork(const UserNetwork&) = delete;
  UserNetwork& operator=(const UserNetwork&) = delete;

  // Answers may come before it returns.
  void frame_from_guest(ByteView frame);

  // Lets libslirp do what has become due. Once per round of the loop, before it waits.
  void before_wait();

  // With the ports that were taken.
  const std::vector<Forward>& forwards() const;

 private:
  struct Impl;
  explicit UserNetwork(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace lockstep::gateway
