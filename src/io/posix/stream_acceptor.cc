#include "io/posix/stream_acceptor.h"

#include <utility>

#include "base/diagnostics.h"

namespace lockstep::posix {
namespace {

constexpr uint64_t kRetryPauseNs = 200'000'000;

}  // namespace

StreamAcceptor::StreamAcceptor(EventLoop& loop, StreamListener listener,
                               std::function<void(Fd)> on_connection)
    : loop_(loop), listener_(std::move(listener)), on_connection_(std::move(on_connection)) {
  watch();
}

StreamAcceptor::~StreamAcceptor() {
  if (retry_) {
    loop_.cancel(*retry_);
  } else {
    loop_.unwatch(listener_.fd());
  }
}

void StreamAcceptor::watch() {
  loop_.watch(listener_.fd(), EventLoop::kReadable, [this](uint32_t) { accept_all(); });
}

void StreamAcceptor::accept_all() {
  for (;;) {
    Result<std::optional<Fd>> accepted = listener_.accept();
    if (!accepted) {
      diagnose(Severity::kError, "{}; trying again", accepted.error().text());
      loop_.unwatch(listener_.fd());
      retry_ = loop_.at(EventLoop::now() + kRetryPauseNs, [this] {
        retry_.reset();
        watch();
      });
      return;
    }
    if (!accepted->has_value()) return;
    on_connection_(std::move(**accepted));
  }
}

}  // namespace lockstep::posix
