#include "io/posix/message_socket.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/check.h"
#include "io/posix/stream_socket.h"

namespace lockstep::posix {
namespace {

constexpr size_t kReceiveBufferBytes = size_t{256} * 1024;
constexpr size_t kMaxParts = 8;

}  // namespace

// Shared with the calls it has posted and with its own watch, so that a callback may destroy the
// MessageSocket; `alive` says whether it has.
struct MessageSocket::Impl : std::enable_shared_from_this<Impl> {
  Impl(EventLoop& event_loop, Fd socket, MessageLimits size_limits, Callbacks calls)
      : loop(event_loop), fd(std::move(socket)), limits(size_limits), callbacks(std::move(calls)) {}

  EventLoop& loop;
  Fd fd;
  MessageLimits limits;
  Callbacks callbacks;

  Bytes in;  // [in_begin, in_end) has arrived and is not yet handed out
  size_t in_begin = 0;
  size_t in_end = 0;
  Bytes out;  // [out_begin, size) is queued
  size_t out_begin = 0;

  uint32_t watched = 0;  // the interest that the loop knows
  bool alive = true;
  bool closed = false;
  bool paused = false;
  bool held = false;
  bool send_failed = false;  // the peer takes nothing more; what it has sent is still read
  bool delivering = false;   // on the stack
  bool resume_posted = false;

  size_t queued() const { return out.size() - out_begin; }

  void update_interest() {
    uint32_t wanted = 0;
    if (alive && !closed) {
      if (!paused) wanted |= EventLoop::kReadable;
      if (queued() > 0 && !held && !send_failed) wanted |= EventLoop::kWritable;
    }
    if (wanted == watched) return;
    // A hang-up is reported whatever the interest, so a socket of no interest is not watched at
    // all: the loop would spin on it.
    if (watched == 0) {
      loop.watch(fd.get(), wanted,
                 [self = shared_from_this()](uint32_t readiness) { self->on_ready(readiness); });
    } else if (wanted == 0) {
      loop.unwatch(fd.get());
    } else {
      loop.set_interest(fd.get(), wanted);
    }
    watched = wanted;
  }

  void shut() {
    alive = false;
    update_interest();
    fd.reset();
  }

  void close_with(const Error& reason) {
    closed = true;
    update_interest();
    if (callbacks.on_closed) callbacks.on_closed(reason);
  }

  void on_ready(uint32_t readiness) {
    if ((readiness & EventLoop::kWritable) != 0) write_queued();
    if (alive && !closed && !paused && (readiness & EventLoop::kReadable) != 0) read_batch();
    if (alive) update_interest();
  }

  void write_queued() {
    flush();
    if (queued() == 0 && !send_failed && callbacks.on_drained) callbacks.on_drained();
  }

  // Writes what the kernel takes of the queue.
  void flush() {
    while (queued() > 0 && !send_failed) {
      const Result<size_t> sent = send_some(fd.get(), ByteView(out).subspan(out_begin));
      if (!sent) {
        fail_sending();
        return;
      }
      if (*sent == 0) break;
      out_begin += *sent;
    }
    if (queued() == 0) {
      out.clear();
      out_begin = 0;
    }
  }

  // Shut down, so that reading comes to an end after what has arrived.
  void fail_sending() {
    send_failed = true;
    ::shutdown(fd.get(), SHUT_RDWR);
    out.clear();
    out_begin = 0;
  }

  void make_room_to_read(size_t wanted) {
    if (in_begin > 0) {
      std::memmove(in.data(), in.data() + in_begin, in_end - in_begin);
      in_end -= in_begin;
      in_begin = 0;
    }
    if (in.size() < wanted) in.resize(wanted);
  }

  // The length field of the first message has arrived, and either all of it or too much.
  bool can_deliver() const {
    if (in_end - in_begin < kMessageLengthBytes) return false;
    uint32_t length = 0;
    std::memcpy(&length, in.data() + in_begin, sizeof length);
    return length > limits.max_message_bytes || in_end - in_begin >= kMessageLengthBytes + length;
  }

  void read_batch() {
    // Left from before a pause: goes out first, so that an end of the stream comes after it.
    if (can_deliver()) {
      deliver();
      return;
    }
    if (in.empty()) in.resize(std::min(kReceiveBufferBytes, limits.max_message_bytes + 64));
    if (in_end == in.size()) make_room_to_read(in.size());
    const Result<std::optional<size_t>> got = receive_some(fd.get(), std::span(in).subspan(in_end));
    if (!got) {
      Error reason = got.error();
      reason.code = ErrorCode::kUnavailable;
      close_with(reason);
      return;
    }
    if (!got->has_value()) return;
    if (**got == 0) {
      const bool inside = in_end > in_begin;
      close_with({inside ? ErrorCode::kCorrupt : ErrorCode::kUnavailable,
                  inside ? "the peer closed inside a message on" : "the peer closed",
                  "the connection", ""});
      return;
    }
    in_end += **got;
    deliver();
  }

  // Hands out every whole message at hand.
  void deliver() {
    CHECK(!delivering);
    delivering = true;
    bool any = false;
    while (alive && !closed && !paused && in_end - in_begin >= kMessageLengthBytes) {
      uint32_t length = 0;
      std::memcpy(&length, in.data() + in_begin, sizeof length);
      if (length > limits.max_message_bytes) {
        delivering = false;
        close_with({ErrorCode::kCorrupt,
                    "the peer sent a message of " + std::to_string(length) +
                        " bytes, more than allowed, on",
                    "the connection", "both ends must be of the same version"});
        return;
      }
      const size_t whole = kMessageLengthBytes + length;
      if (in_end - in_begin < whole) {
        if (in.size() - in_begin < whole) make_room_to_read(whole);
        break;
      }
      const ByteView message = ByteView(in).subspan(in_begin + kMessageLengthBytes, length);
      in_begin += whole;
      any = true;
      callbacks.on_message(message);
    }
    delivering = false;
    if (!alive || closed) return;
    if (in_begin == in_end) in_begin = in_end = 0;
    if (any && callbacks.on_batch_end) callbacks.on_batch_end();
  }

  void append(ByteView bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }

  // The queue is empty: straight to the kernel, the rest into the queue.
  void send_at_once(std::span<const ByteView> pieces, size_t total) {
    std::array<iovec, kMaxParts + 1> vectors{};
    for (size_t i = 0; i < pieces.size(); ++i) {
      vectors[i] = {const_cast<std::byte*>(pieces[i].data()), pieces[i].size()};
    }
    msghdr header{};
    header.msg_iov = vectors.data();
    header.msg_iovlen = pieces.size();
    ssize_t sent = 0;
    do {
      sent = ::sendmsg(fd.get(), &header, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0 && errno != EAGAIN) {
      fail_sending();
      return;
    }
    size_t skip = sent < 0 ? 0 : static_cast<size_t>(sent);
    if (skip == total) return;
    for (const ByteView piece : pieces) {
      const size_t taken = std::min(skip, piece.size());
      skip -= taken;
      append(piece.subspan(taken));
    }
  }

  void compact() {
    // Moves at most as many bytes as have been written since the last move.
    if (out_begin < queued()) return;
    out.erase(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(out_begin));
    out_begin = 0;
  }
};

MessageSocket::MessageSocket(EventLoop& loop, Fd fd, MessageLimits limits, Callbacks callbacks)
    : impl_(std::make_shared<Impl>(loop, std::move(fd), limits, std::move(callbacks))) {
  CHECK(limits.max_message_bytes <= UINT32_MAX);
  CHECK(limits.max_queued_bytes >= limits.max_message_bytes + kMessageLengthBytes);
  CHECK(impl_->callbacks.on_message != nullptr);
  impl_->update_interest();
}

MessageSocket::~MessageSocket() {
  impl_->shut();
}

bool MessageSocket::send(std::span<const ByteView> parts) {
  Impl& self = *impl_;
  CHECK(parts.size() <= kMaxParts);
  size_t size = 0;
  for (const ByteView part : parts) size += part.size();
  CHECK(size <= self.limits.max_message_bytes);
  const size_t total = size + kMessageLengthBytes;
  if (self.closed || self.send_failed) return false;
  if (self.queued() + total > self.limits.max_queued_bytes) return false;

  const auto length = static_cast<uint32_t>(size);
  std::array<ByteView, kMaxParts + 1> pieces;
  pieces[0] = std::as_bytes(std::span(&length, 1));
  std::copy(parts.begin(), parts.end(), pieces.begin() + 1);
  const auto used = std::span<const ByteView>(pieces).first(parts.size() + 1);
  if (self.queued() == 0 && !self.held) {
    self.send_at_once(used, total);
  } else {
    self.compact();
    for (const ByteView piece : used) self.append(piece);
  }
  self.update_interest();
  return !self.send_failed;
}

void MessageSocket::hold() {
  impl_->held = true;
}

void MessageSocket::release() {
  impl_->held = false;
  if (impl_->closed) return;
  impl_->flush();
  impl_->update_interest();
}

size_t MessageSocket::queued_bytes() const {
  return impl_->queued();
}

void MessageSocket::pause_reading() {
  impl_->paused = true;
  impl_->update_interest();
}

void MessageSocket::resume_reading() {
  Impl& self = *impl_;
  if (!self.paused) return;
  self.paused = false;
  self.update_interest();
  if (!self.can_deliver() || self.delivering || self.resume_posted) return;
  self.resume_posted = true;
  self.loop.post([impl = impl_] {
    impl->resume_posted = false;
    if (impl->alive && !impl->closed && !impl->paused) impl->deliver();
  });
}

int MessageSocket::fd() const {
  return impl_->fd.get();
}

}  // namespace lockstep::posix
