#include "devices/virtio/entropy/entropy.h"

#include <algorithm>
#include <utility>

namespace lockstep::devices::virtio {
namespace {

constexpr uint16_t kRequestQueue = 0;

}  // namespace

void Entropy::read_configuration(uint64_t, std::span<std::byte> out) const {
  std::ranges::fill(out, std::byte{0});  // §5.4.4: there is none
}

void Entropy::notified(uint16_t) {
  submit_available();
}

void Entropy::submit_available() {
  if (at_limit() || !transport_->running()) return;
  drain(*transport_, kRequestQueue, [this](Chain& chain) {
    if (chain.writable.empty()) {
      transport_->fail_device();
      return false;
    }
    const auto wanted =
        static_cast<uint32_t>(std::min<uint64_t>(total_length(chain.writable), kMaxRequestBytes));
    outstanding_.push_back({chain.head, wanted, std::move(chain.writable)});
    sink_.entropy_request(wanted);
    return !at_limit();
  });
  transport_->queue(kRequestQueue).request_notification();
}

void Entropy::provide(ByteView bytes) {
  const bool had_stopped = at_limit();
  if (abandoned_ != 0) {
    --abandoned_;
  } else if (!outstanding_.empty()) {
    const Request request = std::move(outstanding_.front());
    outstanding_.pop_front();
    answer(request, bytes);
  }
  if (had_stopped) submit_available();
}

void Entropy::answer(const Request& request, ByteView bytes) {
  if (!transport_->running()) return;
  const ByteView used = bytes.first(std::min<size_t>(bytes.size(), request.wanted_bytes));
  scatter(transport_->memory(), request.writable, 0, used);
  transport_->queue(kRequestQueue).push(request.head, static_cast<uint32_t>(used.size()));
  transport_->signal_used(kRequestQueue);
}

std::vector<uint32_t> Entropy::outstanding() const {
  std::vector<uint32_t> wanted(abandoned_, 1);
  for (const Request& request : outstanding_) wanted.push_back(request.wanted_bytes);
  return wanted;
}

void Entropy::abandon_outstanding() {
  abandoned_ += outstanding_.size();
  outstanding_.clear();
}

void Entropy::queue_stopped(uint16_t) {
  abandon_outstanding();
}

void Entropy::reset() {
  abandon_outstanding();
}

void Entropy::visit_state(StateVisitor& visitor) {
  visitor.enter("virtio-rng", 0);
  abandoned_ = visitor.count("abandoned", abandoned_, kMaxOwedAnswers);
  outstanding_.resize(visitor.count("outstanding", outstanding_.size(), kQueueSize));
  for (Request& request : outstanding_) {
    visitor.field("head", request.head);
    visitor.field("wanted_bytes", request.wanted_bytes);
    visit_segments(visitor, "writable", transport_->memory(), request.writable);
  }
  visitor.leave();
}

}  // namespace lockstep::devices::virtio
