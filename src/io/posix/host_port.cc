#include "io/posix/host_port.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "io/posix/fd.h"

namespace lockstep::posix {

bool is_ipv4_address(const std::string& text) {
  in_addr address{};
  return ::inet_pton(AF_INET, text.c_str(), &address) == 1;
}

Result<uint16_t> probe_host_port(Transport transport, const std::string& host, uint16_t port) {
  const bool tcp = transport == Transport::kTcp;
  const std::string object = fmt::format("{} port {} of {}", tcp ? "TCP" : "UDP", port, host);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (::inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) {
    return fail(ErrorCode::kInvalid, "cannot use", object, "the host must be an IPv4 address");
  }
  const Fd fd(::socket(AF_INET, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0));
  // Old TCP connections in TIME_WAIT do not hold a port. For UDP the same option would let two
  // sockets share one.
  const int on = 1;
  if (tcp) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  // SAFETY: sockaddr_in is defined to be passed as the sockaddr it begins with.
  auto* raw = reinterpret_cast<sockaddr*>(&address);
  socklen_t length = sizeof address;
  if (!fd.valid() || ::bind(fd.get(), raw, length) != 0 || (tcp && ::listen(fd.get(), 1) != 0) ||
      ::getsockname(fd.get(), raw, &length) != 0) {
    return fail_errno("cannot take", object);
  }
  return ntohs(address.sin_port);
}

}  // namespace lockstep::posix
