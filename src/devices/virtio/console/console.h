// virtio-console (virtio 1.2 §5.3): a single port, bytes both ways.
//
// Input waits in a bounded backlog until the guest offers buffers; what exceeds the bound is lost,
// and so is what arrives before the driver runs. Output leaves at the notification.
//
// Owner: the vCPU thread.
#pragma once

#include <vector>

#include "devices/device.h"
#include "devices/virtio/model.h"

namespace lockstep::devices::virtio {

class Console : public Model {
 public:
  static constexpr uint16_t kQueueSize = 64;
  static constexpr size_t kBacklogLimit = 64 * 1024;
  // Of one buffer of the guest's; the rest of a longer one is not sent.
  static constexpr size_t kMaxOutputBytes = 64 * 1024;

  Console(DeviceIndex port, OutputSink& sink) : port_(port), sink_(sink) {}

  DeviceType type() const override { return DeviceType::kConsole; }
  uint64_t features() const override { return 0; }
  std::vector<uint16_t> queue_sizes() const override { return {kQueueSize, kQueueSize}; }
  void attach(Transport& transport) override { transport_ = &transport; }
  void read_configuration(uint64_t offset, std::span<std::byte> out) const override;
  void notified(uint16_t queue_index) override;
  void queue_stopped(uint16_t queue_index) override;
  void reset() override;
  void visit_state(StateVisitor& visitor) override;

  // Bytes from the terminal: applies a log::ConsoleInput.
  void receive(ByteView bytes);

 private:
  void deliver();
  void transmit_available();

  DeviceIndex port_;
  OutputSink& sink_;
  Transport* transport_ = nullptr;
  Bytes backlog_;
};

}  // namespace lockstep::devices::virtio
