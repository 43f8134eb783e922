// Messages over a stream socket: a 32-bit little-endian length, then that many bytes.
//
// Sending never waits: what the kernel does not take at once is queued, up to a limit, and a
// message that would pass the limit is not taken at all. Receiving hands out messages in place, a
// batch per wake-up; pause_reading() is the back pressure: the kernel's buffer fills, and the peer
// sees its own sends queue up.
//
// Invariants
//   1. A message is sent whole or not at all, in the order of send().
//   2. queued_bytes() <= limits.max_queued_bytes.
//   3. Everything that arrived before the end of the stream is handed out before on_closed, even
//      when sending has failed already. While reading is paused the end is not looked for.
//   4. on_closed is called at most once, from the loop, never from inside a call on this object;
//      nothing is called after it.
//
// Owner: the loop's thread. A callback may call anything here and may destroy the object.
// Units: bytes. Errors given to on_closed: kUnavailable (the peer has closed or is gone), kCorrupt
// (a message longer than allowed, or a stream that ends inside one), kSystem.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>

#include "base/bytes.h"
#include "base/error.h"
#include "io/posix/event_loop.h"
#include "io/posix/fd.h"

namespace lockstep::posix {

inline constexpr size_t kMessageLengthBytes = 4;

struct MessageLimits {
  size_t max_message_bytes = 0;  // either way, without the length field
  size_t max_queued_bytes = 0;   // at least one message of the largest size, with its length
};

class MessageSocket {
 public:
  struct Callbacks {
    // The bytes are valid until it returns.
    std::function<void(ByteView message)> on_message = {};
    std::function<void(const Error& reason)> on_closed = {};
    std::function<void()> on_drained = {};    // optional: the queue has become empty, from the loop
    std::function<void()> on_batch_end = {};  // optional: every message at hand has been handed out
  };

  // `fd` is a connected, non-blocking stream socket.
  MessageSocket(EventLoop& loop, Fd fd, MessageLimits limits, Callbacks callbacks);
  ~MessageSocket();
  MessageSocket(const MessageSocket&) = delete;
  MessageSocket& operator=(const MessageSocket&) = delete;

  // One message, made of the parts in order. False: not taken, the queue has no room or the socket
  // can send no more. Does not wait.
  bool send(std::span<const ByteView> parts);
  bool send(std::initializer_list<ByteView> parts) {
    return send(std::span(parts.begin(), parts.size()));
  }
  bool send(ByteView message) { return send({message}); }

  // Between hold() and release() messages are only queued; release() sends them with one system
  // call where the kernel has room.
  void hold();
  void release();

  size_t queued_bytes() const;

  void pause_reading();
  // Messages that arrived meanwhile are handed out from the loop, not from inside this call.
  void resume_reading();

  int fd() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace lockstep::posix
