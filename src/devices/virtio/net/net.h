// virtio-net (virtio 1.2 §5.1): one queue pair and the control queue.
//
// Transmit: a notification drains the whole ring, with one interrupt at most. Checksums are filled
// in and large TCP packets are cut up here, so that what leaves through
// OutputSink::frame_output is plain Ethernet frames of at most the MTU plus kLinkOverheadBytes. A
// packet that cannot be sent as asked is dropped.
//
// Receive: a frame goes into the guest's buffers when it is applied; while there are too few
// it waits, behind others that wait, in a bounded backlog that the next receive notification
// drains; a frame beyond the bound is lost, as on any network. TCP and UDP checksums of received
// frames are verified here, at native speed, and marked as valid (VIRTIO_NET_F_GUEST_CSUM).
//
// Invariants
//   1. While frames wait in the backlog, no later frame overtakes them.
//   2. The backlog holds at most kBacklogFrames frames, and none while the device is not running.
//
// Owner: the vCPU thread.
#pragma once

#include <array>
#include <deque>
#include <vector>

#include "devices/device.h"
#include "devices/virtio/model.h"
#include "devices/virtio/net/offload.h"
#include "devices/virtio/net/receive_filter.h"

namespace lockstep::devices::virtio {

class Net : public Model {
 public:
  static constexpr uint16_t kQueueSize = 256;
  static constexpr uint16_t kControlQueueSize = 64;
  static constexpr size_t kHeaderBytes = 12;  // struct virtio_net_hdr with num_buffers
  static constexpr size_t kLinkOverheadBytes = kEthernetHeaderBytes + kVlanTagBytes;
  static constexpr size_t kBacklogFrames = 1024;
  // A 64 KiB IP packet behind Ethernet with two VLAN tags; longer packets are dropped.
  static constexpr size_t kMaxPacketBytes = 65535 + kEthernetHeaderBytes + 2 * kVlanTagBytes;
  // A command with two tables that overflow the filter many times over; longer ones are refused.
  static constexpr size_t kMaxCommandBytes = 16 * 1024;

  struct Configuration {
    DeviceIndex nic;
    MacAddress mac{};
    uint16_t mtu = 1500;
  };

  Net(const Configuration& configuration, OutputSink& sink);

  DeviceType type() const override { return DeviceType::kNetwork; }
  uint64_t features() const override;
  std::vector<uint16_t> queue_sizes() const override {
    return {kQueueSize, kQueueSize, kControlQueueSize};
  }
  void attach(Transport& transport) override { transport_ = &transport; }
  void read_configuration(uint64_t offset, std::span<std::byte> out) const override;
  void notified(uint16_t queue_index) override;
  void queue_stopped(uint16_t queue_index) override;
  void reset() override;
  void visit_state(StateVisitor& visitor) override;

  // A frame from the network: applies a log::FrameIn. A frame that no network of this MTU carries,
  // or for another station, is dropped.
  void receive(ByteView frame);
  // Asks the guest to announce itself (§5.1.6.5.4), after it has moved to another host. Changes
  // the guest's state: a machine calls it as the effect of a log entry.
  void announce();

  // Frames of either direction lost for want of room or form. A statistic: the guest cannot see
  // it, so it is not state.
  uint64_t dropped_frames() const { return dropped_frames_; }

 private:
  enum class Delivery : uint8_t { kDone, kNoBuffers };

  size_t max_frame_bytes() const { return configuration_.mtu + kLinkOverheadBytes; }
  void transmit_available();
  bool transmit(const Chain& chain);
  bool parse_offload(ByteView header, TransmitOffload& offload) const;
  Delivery deliver(ByteView frame);
  bool collect_buffers(uint64_t wanted, Delivery& outcome);
  void deliver_backlog();
  void handle_commands();
  bool run_command(ByteView command);

  Configuration configuration_;
  OutputSink& sink_;
  Transport* transport_ = nullptr;
  MacAddress mac_;
  bool announce_pending_ = false;
  ReceiveFilter filter_;
  std::deque<Bytes> backlog_;

  uint64_t dropped_frames_ = 0;
  Bytes packet_;                // scratch: the packet being sent
  std::vector<Chain> buffers_;  // scratch: where the frame being received goes
  size_t buffers_used_ = 0;
};

}  // namespace lockstep::devices::virtio
