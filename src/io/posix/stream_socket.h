// Stream sockets between the processes of one VM: Unix sockets on one machine, TCP between hosts.
//
//   unix:PATH         PATH may be longer than the kernel's 107 bytes, its last component may not
//   tcp:HOST:PORT     HOST is a name, an IPv4 address or [an IPv6 address]; port 0 asks for a free
//                     one when listening
//
// Every descriptor handed out is non-blocking and closed on exec; a TCP one has TCP_NODELAY.
// Unix sockets are made with mode 0600, and a peer of another user than ours is refused unless it
// is root. TCP peers are not checked: the layer above authenticates them.
//
// Owner: whoever holds it; nothing here is shared between threads. Errors: kInvalid for an address
// that cannot be, kInUse when somebody else listens there, kUnavailable when nobody does.
// Source: unix(7), tcp(7).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <sys/types.h>

#include "base/bytes.h"
#include "base/error.h"
#include "io/posix/fd.h"

namespace lockstep::posix {

struct SocketAddress {
  enum class Kind : uint8_t { kUnix, kTcp };

  static Result<SocketAddress> parse(std::string_view text);
  static SocketAddress unix_path(std::string path);

  // The form that parse() reads.
  std::string text() const;
  bool operator==(const SocketAddress&) const = default;

  Kind kind = Kind::kUnix;
  std::string path;   // kUnix
  std::string host;   // kTcp, without brackets
  uint16_t port = 0;  // kTcp
};

// A socket that listens. On destruction the file of a Unix socket is removed, if it is still ours.
class StreamListener {
 public:
  // Replaces the file of a Unix socket on which nobody listens any more; any other file there is
  // an error.
  static Result<StreamListener> listen(const SocketAddress& address);

  StreamListener(StreamListener&& other) noexcept = default;
  StreamListener& operator=(StreamListener&& other) noexcept;
  ~StreamListener();

  // The next connection that waits; nothing when there is none. Peers of other users are turned
  // away here, with a diagnostic. Does not wait.
  Result<std::optional<Fd>> accept();

  // Readable when a connection waits.
  int fd() const { return fd_.get(); }
  // With the port that the kernel chose.
  const SocketAddress& address() const { return address_; }

 private:
  StreamListener() = default;
  void remove_file();

  Fd fd_;
  Fd directory_;      // kUnix: where the file is, whatever becomes of its path
  std::string name_;  // kUnix: the file's name in it
  dev_t device_ = 0;
  ino_t inode_ = 0;
  SocketAddress address_;
};

// Connects and waits for it, at most `timeout`. Names are resolved by the system's resolver, whose
// waiting is not bounded by it.
Result<Fd> connect_stream(const SocketAddress& address, std::chrono::milliseconds timeout);

// The same in two halves, for an event loop: start, and when the descriptor is writable (at once
// for a Unix socket), finish.
Result<Fd> start_connect(const SocketAddress& address);
Status finish_connect(int fd, const SocketAddress& address);

// The user of the process at the other end of a Unix socket, when it connected. Fails on TCP.
Result<uid_t> peer_uid(int fd);

// Two connected Unix stream sockets, non-blocking.
Result<std::pair<Fd, Fd>> stream_socket_pair();

// As much as the kernel takes or has at once: 0 from send_some means that it would wait.
Result<size_t> send_some(int fd, ByteView bytes);

// Nothing: it would wait. 0: the peer has closed.
Result<std::optional<size_t>> receive_some(int fd, std::span<std::byte> buffer);

}  // namespace lockstep::posix
