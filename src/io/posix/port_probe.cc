#include "io/posix/port_probe.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "io/posix/fd.h"

namespace lockstep::posix {

Status check_port_free(TransportProtocol protocol, const std::string& address, uint16_t port) {
  const bool tcp = protocol == TransportProtocol::kTcp;
  const std::string object = fmt::format("{}:{}:{}", tcp ? "tcp" : "udp", address, port);
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(port);
  if (::inet_pton(AF_INET, address.c_str(), &where.sin_addr) != 1) {
    return fail(ErrorCode::kInvalid, "cannot listen on", object, "not an IPv4 address");
  }
  const Fd fd(::socket(AF_INET, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return fail_errno("cannot listen on", object);
  const int on = 1;
  // Else connections of the last run, in TIME_WAIT, would make the port look taken.
  if (tcp) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  // SAFETY: the socket interface takes every address family through sockaddr.
  const auto* generic = reinterpret_cast<const sockaddr*>(&where);
  if (::bind(fd.get(), generic, sizeof where) != 0 || (tcp && ::listen(fd.get(), 1) != 0)) {
    return fail_errno("cannot listen on", object);
  }
  return {};
}

}  // namespace lockstep::posix
