#include "devices/virtio/net/net.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace lockstep::devices::virtio {
namespace {

// Feature bits, §5.1.3.
constexpr uint64_t kFeatureChecksum = uint64_t{1} << 0;
constexpr uint64_t kFeatureGuestChecksum = uint64_t{1} << 1;
constexpr uint64_t kFeatureMtu = uint64_t{1} << 3;
constexpr uint64_t kFeatureMac = uint64_t{1} << 5;
constexpr uint64_t kFeatureHostTso4 = uint64_t{1} << 11;
constexpr uint64_t kFeatureHostTso6 = uint64_t{1} << 12;
constexpr uint64_t kFeatureMergeableBuffers = uint64_t{1} << 15;
constexpr uint64_t kFeatureStatus = uint64_t{1} << 16;
constexpr uint64_t kFeatureControlQueue = uint64_t{1} << 17;
constexpr uint64_t kFeatureControlReceive = uint64_t{1} << 18;
constexpr uint64_t kFeatureGuestAnnounce = uint64_t{1} << 21;
constexpr uint64_t kFeatureControlMac = uint64_t{1} << 23;

constexpr uint16_t kReceiveQueue = 0;
constexpr uint16_t kTransmitQueue = 1;
constexpr uint16_t kControlQueue = 2;

// struct virtio_net_hdr, §5.1.6.
constexpr uint8_t kHeaderNeedsChecksum = 1;
constexpr uint8_t kHeaderDataValid = 2;

// Configuration status, §5.1.4.
constexpr uint16_t kStatusLinkUp = 1;
constexpr uint16_t kStatusAnnounce = 2;

// Commands, §5.1.6.5.
constexpr uint8_t kClassReceive = 0;
constexpr uint8_t kClassMac = 1;
constexpr uint8_t kClassAnnounce = 3;
constexpr uint8_t kReceivePromiscuous = 0;
constexpr uint8_t kReceiveAllMulticast = 1;
constexpr uint8_t kMacTableSet = 0;
constexpr uint8_t kMacAddressSet = 1;
constexpr uint8_t kAnnounceAcknowledge = 0;
constexpr std::byte kCommandOk{0};
constexpr std::byte kCommandError{1};

}  // namespace

Net::Net(const Configuration& configuration, OutputSink& sink)
    : configuration_(configuration), sink_(sink), mac_(configuration.mac) {
}

uint64_t Net::features() const {
  return kFeatureChecksum | kFeatureGuestChecksum | kFeatureMtu | kFeatureMac | kFeatureHostTso4 |
         kFeatureHostTso6 | kFeatureMergeableBuffers | kFeatureStatus | kFeatureControlQueue |
         kFeatureControlReceive | kFeatureGuestAnnounce | kFeatureControlMac;
}

void Net::read_configuration(uint64_t offset, std::span<std::byte> out) const {
  // struct virtio_net_config, §5.1.4: mac, status, max_virtqueue_pairs (no VIRTIO_NET_F_MQ), mtu.
  const auto status =
      static_cast<uint16_t>(kStatusLinkUp | (announce_pending_ ? kStatusAnnounce : 0));
  std::array<std::byte, 12> space{};
  std::ranges::copy(mac_, space.begin());
  std::memcpy(space.data() + 6, &status, sizeof(status));
  std::memcpy(space.data() + 10, &configuration_.mtu, sizeof(configuration_.mtu));
  read_from_bytes(space, offset, out);
}

void Net::notified(uint16_t queue_index) {
  switch (queue_index) {
    case kReceiveQueue:
      return deliver_backlog();
    case kTransmitQueue:
      return transmit_available();
    case kControlQueue:
      return handle_commands();
    default:
      break;
  }
}

void Net::transmit_available() {
  drain(*transport_, kTransmitQueue, [this](Chain& chain) {
    if (!transmit(chain)) ++dropped_frames_;
    transport_->queue(kTransmitQueue).push(chain.head, 0);
    return true;
  });
  transport_->queue(kTransmitQueue).request_notification();
  transport_->signal_used(kTransmitQueue);
}

bool Net::transmit(const Chain& chain) {
  const uint64_t size = total_length(chain.readable);
  if (size < kHeaderBytes || size > kHeaderBytes + kMaxPacketBytes) return false;
  packet_.resize(size);
  gather(transport_->memory(), chain.readable, 0, packet_);
  TransmitOffload offload;
  if (!parse_offload(ByteView(packet_).first(kHeaderBytes), offload)) return false;
  return transmit_with_offload(
      offload, std::span(packet_).subspan(kHeaderBytes), max_frame_bytes(),
      [this](ByteView frame) { sink_.frame_output(configuration_.nic, frame); });
}

bool Net::parse_offload(ByteView header, TransmitOffload& offload) const {
  ByteReader reader(header);
  const auto flags = reader.fixed<uint8_t>();
  const auto segmentation = reader.fixed<uint8_t>();
  reader.fixed<uint16_t>();  // hdr_len, a hint
  offload.segment_bytes = reader.fixed<uint16_t>();
  offload.checksum_start = reader.fixed<uint16_t>();
  offload.checksum_offset = reader.fixed<uint16_t>();
  offload.fill_checksum = (flags & kHeaderNeedsChecksum) != 0;
  if (offload.fill_checksum && !transport_->negotiated(kFeatureChecksum)) return false;
  switch (segmentation) {
    case static_cast<uint8_t>(Segmentation::kNone):
      return true;
    case static_cast<uint8_t>(Segmentation::kTcp4):
      offload.segmentation = Segmentation::kTcp4;
      return transport_->negotiated(kFeatureHostTso4);
    case static_cast<uint8_t>(Segmentation::kTcp6):
      offload.segmentation = Segmentation::kTcp6;
      return transport_->negotiated(kFeatureHostTso6);
    default:
      return false;
  }
}

void Net::receive(ByteView frame) {
  if (!transport_->running()) return;
  if (frame.size() < kEthernetHeaderBytes || frame.size() > max_frame_bytes()) {
    ++dropped_frames_;
    return;
  }
  if (transport_->negotiated(kFeatureControlReceive) && !filter_.accepts(frame, mac_)) return;
  if (backlog_.empty() && deliver(frame) == Delivery::kDone) {
    transport_->signal_used(kReceiveQueue);
  } else if (backlog_.size() < kBacklogFrames) {
    backlog_.emplace_back(frame.begin(), frame.end());
  } else {
    ++dropped_frames_;
  }
}

void Net::deliver_backlog() {
  while (!backlog_.empty() && transport_->running()) {
    if (deliver(backlog_.front()) == Delivery::kNoBuffers) break;
    backlog_.pop_front();
  }
  if (!transport_->running()) backlog_.clear();
  transport_->signal_used(kReceiveQueue);
}

// Takes chains that hold `wanted` bytes together into buffers_. False when the frame is not to be
// written, for the reason in `outcome`.
bool Net::collect_buffers(uint64_t wanted, Delivery& outcome) {
  Virtqueue& queue = transport_->queue(kReceiveQueue);
  const bool mergeable = transport_->negotiated(kFeatureMergeableBuffers);
  uint64_t room = 0;
  buffers_used_ = 0;
  while (room < wanted) {
    if (buffers_used_ == buffers_.size()) buffers_.emplace_back();
    Chain& chain = buffers_[buffers_used_];
    const PopResult result = buffers_used_ < queue.size() ? queue.pop(chain) : PopResult::kEmpty;
    if (result == PopResult::kEmpty) {
      queue.unpop(static_cast<uint16_t>(buffers_used_));
      queue.request_notification();
      outcome = Delivery::kNoBuffers;
      return false;
    }
    // A buffer that the device cannot write has no business here.
    if (result == PopResult::kBroken || chain.writable.empty()) {
      transport_->fail_device();
      outcome = Delivery::kDone;
      return false;
    }
    ++buffers_used_;
    room += total_length(chain.writable);
    if (!mergeable && room < wanted) {
      // §5.1.6.3.1 asks the driver for buffers that hold a whole frame: this frame is lost.
      queue.unpop(1);
      ++dropped_frames_;
      outcome = Delivery::kDone;
      return false;
    }
  }
  return true;
}

Net::Delivery Net::deliver(ByteView frame) {
  Delivery outcome = Delivery::kDone;
  if (!collect_buffers(kHeaderBytes + frame.size(), outcome)) return outcome;

  const bool valid =
      transport_->negotiated(kFeatureGuestChecksum) && transport_checksum_is_right(frame);
  // No segmentation, no checksum to fill in: all the rest of the header is zero (§5.1.6.4).
  const auto buffers = static_cast<uint16_t>(buffers_used_);
  packet_.assign(kHeaderBytes + frame.size(), std::byte{0});
  packet_[0] = std::byte{valid ? kHeaderDataValid : uint8_t{0}};
  std::memcpy(packet_.data() + kHeaderBytes - sizeof(buffers), &buffers, sizeof(buffers));
  std::ranges::copy(frame, packet_.begin() + kHeaderBytes);

  ByteView rest = packet_;
  for (size_t i = 0; i < buffers_used_; ++i) {
    const Chain& chain = buffers_[i];
    const size_t written = scatter(transport_->memory(), chain.writable, 0, rest);
    rest = rest.subspan(written);
    transport_->queue(kReceiveQueue).push(chain.head, static_cast<uint32_t>(written));
  }
  CHECK(rest.empty());
  return Delivery::kDone;
}

void Net::handle_commands() {
  drain(*transport_, kControlQueue, [this](Chain& chain) {
    if (chain.writable.empty()) {
      transport_->fail_device();
      return false;
    }
    const uint64_t size = total_length(chain.readable);
    bool ok = false;
    if (size <= kMaxCommandBytes) {
      Bytes command(size);
      gather(transport_->memory(), chain.readable, 0, command);
      ok = run_command(command);
    }
    const std::byte acknowledgement[] = {ok ? kCommandOk : kCommandError};
    scatter(transport_->memory(), chain.writable, 0, acknowledgement);
    transport_->queue(kControlQueue).push(chain.head, 1);
    return true;
  });
  transport_->queue(kControlQueue).request_notification();
  transport_->signal_used(kControlQueue);
}

bool Net::run_command(ByteView command) {
  ByteReader reader(command);
  const auto command_class = reader.fixed<uint8_t>();
  const auto operation = reader.fixed<uint8_t>();
  if (reader.failed()) return false;
  const ByteView data = command.subspan(2);
  if (command_class == kClassReceive && transport_->negotiated(kFeatureControlReceive)) {
    if (data.size() != 1 || data[0] > std::byte{1}) return false;
    const bool on = data[0] == std::byte{1};
    if (operation == kReceivePromiscuous) {
      filter_.set_promiscuous(on);
    } else if (operation == kReceiveAllMulticast) {
      filter_.set_all_multicast(on);
    } else {
      return false;
    }
    return true;
  }
  if (command_class == kClassMac && operation == kMacTableSet &&
      transport_->negotiated(kFeatureControlReceive)) {
    return filter_.set_tables(data);
  }
  if (command_class == kClassMac && operation == kMacAddressSet &&
      transport_->negotiated(kFeatureControlMac)) {
    if (data.size() != mac_.size()) return false;
    std::ranges::copy(data, mac_.begin());
    return true;
  }
  if (command_class == kClassAnnounce && operation == kAnnounceAcknowledge &&
      transport_->negotiated(kFeatureGuestAnnounce)) {
    announce_pending_ = false;
    return true;
  }
  return false;
}

void Net::announce() {
  if (!transport_->running() || !transport_->negotiated(kFeatureGuestAnnounce)) return;
  announce_pending_ = true;
  transport_->signal_configuration_change();
}

void Net::queue_stopped(uint16_t queue_index) {
  if (queue_index == kReceiveQueue) backlog_.clear();
}

void Net::reset() {
  mac_ = configuration_.mac;
  announce_pending_ = false;
  filter_ = {};
  backlog_.clear();
}

void Net::visit_state(StateVisitor& visitor) {
  visitor.enter("virtio-net", configuration_.nic.value);
  visitor.raw("mac", mac_);
  visitor.field("announce_pending", announce_pending_);
  filter_.visit_state(visitor);
  backlog_.resize(visitor.count("backlog", backlog_.size(), kBacklogFrames));
  for (Bytes& frame : backlog_) visitor.blob("frame", frame, max_frame_bytes());
  visitor.leave();
}

}  // namespace lockstep::devices::virtio
