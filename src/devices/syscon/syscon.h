// Power off and reset: the register that QEMU's `virt` board calls sifive_test.
//
// A write asks the OutputSink; what becomes of the machine is the machine's business. The device
// has no state.
//
// Owner: the vCPU thread. Source: device-tree bindings sifive,test1 and syscon-poweroff.
#pragma once

#include "devices/device.h"

namespace lockstep::devices {

class Syscon : public MmioDevice {
 public:
  static constexpr uint64_t kWindowSize = 0x1000;
  // Values of the low 16 bits, for the device tree, too.
  static constexpr uint32_t kFailure = 0x3333;
  static constexpr uint32_t kPowerOff = 0x5555;
  static constexpr uint32_t kReset = 0x7777;

  explicit Syscon(OutputSink& sink) : sink_(sink) {}

  uint64_t read(uint64_t offset, AccessSize size) override;
  // 2 or 4 bytes at offset 0; anything else does nothing.
  void write(uint64_t offset, AccessSize size, uint64_t value) override;
  void reset() override {}
  void visit_state(StateVisitor& visitor) override;

 private:
  OutputSink& sink_;
};

}  // namespace lockstep::devices
