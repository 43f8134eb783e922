// The board put together. Internal to src/machine.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "devices/goldfish_rtc/goldfish_rtc.h"
#include "devices/plic/plic.h"
#include "devices/syscon/syscon.h"
#include "devices/uart16550/uart16550.h"
#include "devices/virtio/block/block.h"
#include "devices/virtio/console/console.h"
#include "devices/virtio/entropy/entropy.h"
#include "devices/virtio/mmio_transport.h"
#include "devices/virtio/net/net.h"
#include "machine/boot.h"
#include "machine/machine.h"
#include "machine/memory_digest.h"
#include "riscv/bus.h"
#include "riscv/engine.h"
#include "riscv/sbi.h"

namespace lockstep::machine {

class Machine::Impl final : public riscv::Bus,
                            public riscv::SbiHost,
                            public devices::OutputSink,
                            public devices::WallClock {
 public:
  Impl(BoardDescription board, std::span<std::byte> ram, Outside& outside);

  Status make_engine(const EngineChoice& choice);
  Status power_on();
  Result<StopReason> run_until(Step target);
  Status apply(const log::Entry& entry);
  Hash128 digest();
  void visit_state(StateVisitor& visitor);

  // riscv::Bus
  bool read(GuestAddress address, unsigned size, uint64_t& value) override;
  bool write(GuestAddress address, unsigned size, uint64_t value) override;
  // riscv::SbiHost
  void debug_console_write(ByteView bytes) override { console_output(kUartPort, bytes); }
  void system_reset(riscv::SbiReset reset) override;
  // devices::OutputSink
  void console_output(DeviceIndex port, ByteView bytes) override;
  void frame_output(DeviceIndex nic, ByteView frame) override;
  void disk_request(devices::DiskRequest request) override;
  void entropy_request(uint32_t count) override { outside_.entropy_request(count); }
  void power_request(devices::PowerRequest request) override;
  // devices::WallClock
  uint64_t read_ns() override;

 private:
  friend class Machine;

  static constexpr uint32_t kConsolePorts = 2;

  struct Window {
    GuestAddress base;
    uint64_t size;
    devices::MmioDevice* device;
  };

  // The wire from the interrupt controller to the hart.
  class HartLine final : public devices::InterruptLine {
   public:
    explicit HartLine(riscv::Hart& hart) : hart_(hart) {}
    void set(bool asserted) override { hart_.external_interrupt = asserted; }

   private:
    riscv::Hart& hart_;
  };

  devices::virtio::MmioTransport& add_virtio(devices::virtio::Model& model);
  const Window* find_window(GuestAddress address, unsigned size) const;
  Status restart();
  void clear_ram();
  Status refuse(const log::Entry& entry, std::string reason) const;
  Status apply_time(const log::Entry& entry, GuestTicks ticks, uint64_t rate_q32);
  Status apply_frame(const log::Entry& entry, const log::FrameIn& frame);
  Status apply_disk(const log::Entry& entry, const log::DiskCompletion& completion);
  Status apply_entropy(const log::Entry& entry, const log::Entropy& answer);
  Status apply_console(const log::Entry& entry, const log::ConsoleInput& input);
  Status apply_control(const log::Entry& entry, log::ControlOperation operation);
  Status apply_digest(const log::Entry& entry, const log::Digest& expected);

  BoardDescription board_;
  std::span<std::byte> ram_;
  Outside& outside_;
  BootPlan boot_plan_;

  riscv::Hart hart_;
  riscv::PhysicalMemory memory_;
  riscv::Sbi sbi_;
  EngineKind engine_kind_ = EngineKind::kTranslator;
  std::unique_ptr<riscv::Engine> engine_;
  MemoryDigest memory_digest_;

  HartLine hart_line_;
  devices::Plic plic_;
  devices::Uart16550 uart_;
  devices::GoldfishRtc rtc_;
  devices::Syscon syscon_;
  std::vector<std::unique_ptr<devices::virtio::Block>> disks_;
  std::vector<std::unique_ptr<devices::virtio::Net>> nics_;
  devices::virtio::Console console_;
  devices::virtio::Entropy entropy_;
  std::vector<std::unique_ptr<devices::virtio::MmioTransport>> slots_;
  std::vector<Window> windows_;

  // State that is not a device's.
  PowerState power_ = PowerState::kOn;
  bool restart_wanted_ = false;
  std::optional<Error> restart_error_;  // not state: with one, there is none
  bool interrupted_ = false;            // not state: where a run is cut changes nothing
  std::array<uint64_t, kConsolePorts> console_bytes_{};
  std::vector<uint64_t> frames_sent_;
  uint64_t inputs_applied_ = 0;
  // A WallClockRead that was applied and not yet read: for the instruction at its step only.
  std::optional<Step> wall_clock_step_;
  uint64_t wall_clock_ns_ = 0;
};

}  // namespace lockstep::machine
