// virtio over MMIO, version 2 (virtio 1.2 §4.2): the registers in front of a Model.
//
// Invariants
//   1. Features change only before FEATURES_OK, which is set only for a subset of what is offered
//      that holds VIRTIO_F_VERSION_1.
//   2. The model hears of a queue only between DRIVER_OK and a reset, and not once it has failed.
//   3. The interrupt line is asserted exactly while InterruptStatus is not zero.
//
// There are no shared-memory regions: their length reads as all ones (§4.2.2).
//
// Owner: the vCPU thread.
#pragma once

#include <vector>

#include "devices/device.h"
#include "devices/virtio/model.h"
#include "devices/virtio/virtqueue.h"

namespace lockstep::devices::virtio {

class MmioTransport : public MmioDevice, private Transport {
 public:
  static constexpr uint64_t kWindowSize = 0x1000;

  // All outlive this.
  MmioTransport(riscv::PhysicalMemory& memory, InterruptLine& line, Model& model);
  MmioTransport(const MmioTransport&) = delete;
  MmioTransport& operator=(const MmioTransport&) = delete;

  // Registers below 0x100 are 4 bytes wide and aligned; other accesses there read zero and write
  // nothing. The configuration space takes 1, 2, 4 or 8 bytes anywhere.
  uint64_t read(uint64_t offset, AccessSize size) override;
  void write(uint64_t offset, AccessSize size, uint64_t value) override;
  void reset() override;
  // The transport, its queues and the model.
  void visit_state(StateVisitor& visitor) override;

 private:
  struct State {
    uint32_t status = 0;
    uint32_t device_feature_select = 0;
    uint32_t driver_feature_select = 0;
    uint64_t driver_features = 0;
    uint32_t queue_select = 0;
    uint32_t interrupt_status = 0;
    uint32_t configuration_generation = 0;
  };

  riscv::PhysicalMemory& memory() override { return memory_; }
  Virtqueue& queue(uint16_t index) override;
  bool running() const override;
  bool negotiated(uint64_t feature) const override {
    return (state_.driver_features & feature) != 0;
  }
  void signal_used(uint16_t queue_index) override;
  void signal_configuration_change() override;
  void fail_device() override;

  uint64_t offered_features() const;
  uint32_t read_register(uint64_t offset);
  void write_register(uint64_t offset, uint32_t value);
  void write_driver_features(uint32_t value);
  void write_status(uint32_t value);
  void write_queue_register(uint64_t offset, uint32_t value);
  void write_queue_ready(Virtqueue& selected, uint32_t value);
  Virtqueue* selected_queue();
  void apply_features();
  void raise(uint32_t interrupt_bit);

  riscv::PhysicalMemory& memory_;
  InterruptLine& line_;
  Model& model_;
  State state_;
  std::vector<Virtqueue> queues_;
};

}  // namespace lockstep::devices::virtio
