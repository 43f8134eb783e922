#include "devices/virtio/console/console.h"

#include <algorithm>

namespace lockstep::devices::virtio {
namespace {

constexpr uint16_t kReceiveQueue = 0;
constexpr uint16_t kTransmitQueue = 1;

}  // namespace

void Console::read_configuration(uint64_t, std::span<std::byte> out) const {
  // Every field of §5.3.4 belongs to a feature that is not offered.
  std::ranges::fill(out, std::byte{0});
}

void Console::notified(uint16_t queue_index) {
  if (queue_index == kReceiveQueue) {
    deliver();
  } else {
    transmit_available();
  }
}

void Console::transmit_available() {
  drain(*transport_, kTransmitQueue, [this](Chain& chain) {
    Bytes output(std::min<uint64_t>(total_length(chain.readable), kMaxOutputBytes));
    gather(transport_->memory(), chain.readable, 0, output);
    if (!output.empty()) sink_.console_output(port_, output);
    transport_->queue(kTransmitQueue).push(chain.head, 0);
    return true;
  });
  transport_->queue(kTransmitQueue).request_notification();
  transport_->signal_used(kTransmitQueue);
}

void Console::receive(ByteView bytes) {
  if (!transport_->running()) return;
  const size_t taken = std::min(bytes.size(), kBacklogLimit - backlog_.size());
  const ByteView kept = bytes.first(taken);
  backlog_.insert(backlog_.end(), kept.begin(), kept.end());
  deliver();
}

void Console::deliver() {
  if (backlog_.empty()) return;
  size_t delivered = 0;
  drain(*transport_, kReceiveQueue, [&](Chain& chain) {
    if (chain.writable.empty()) {
      transport_->fail_device();
      return false;
    }
    const size_t written =
        scatter(transport_->memory(), chain.writable, 0, ByteView(backlog_).subspan(delivered));
    delivered += written;
    transport_->queue(kReceiveQueue).push(chain.head, static_cast<uint32_t>(written));
    return delivered < backlog_.size();
  });
  backlog_.erase(backlog_.begin(), backlog_.begin() + static_cast<std::ptrdiff_t>(delivered));
  if (!backlog_.empty()) transport_->queue(kReceiveQueue).request_notification();
  transport_->signal_used(kReceiveQueue);
}

void Console::queue_stopped(uint16_t queue_index) {
  if (queue_index == kReceiveQueue) backlog_.clear();
}

void Console::reset() {
  backlog_.clear();
}

void Console::visit_state(StateVisitor& visitor) {
  visitor.enter("virtio-console", port_.value);
  visitor.blob("backlog", backlog_, kBacklogLimit);
  visitor.leave();
}

}  // namespace lockstep::devices::virtio
