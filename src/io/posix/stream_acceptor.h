// Accepts connections from an event loop and hands them on.
//
// Owner: the loop's thread. The callback may not destroy the acceptor. When the process runs out of
// descriptors it says so and tries again a moment later.
#pragma once

#include <functional>
#include <optional>

#include "io/posix/event_loop.h"
#include "io/posix/stream_socket.h"

namespace lockstep::posix {

class StreamAcceptor {
 public:
  StreamAcceptor(EventLoop& loop, StreamListener listener, std::function<void(Fd)> on_connection);
  ~StreamAcceptor();
  StreamAcceptor(const StreamAcceptor&) = delete;
  StreamAcceptor& operator=(const StreamAcceptor&) = delete;

  const SocketAddress& address() const { return listener_.address(); }

 private:
  void watch();
  void accept_all();

  EventLoop& loop_;
  StreamListener listener_;
  std::function<void(Fd)> on_connection_;
  std::optional<EventLoop::TimerId> retry_;  // set: not watched until then
};

}  // namespace lockstep::posix
