// The serial port: a 16550A, byte registers, as QEMU's `virt` board has it.
//
// Sent bytes leave at once through OutputSink::console_output(port), so the transmitter is always
// empty. Received bytes wait in a bounded backlog behind the 16-byte FIFO, as on a line with flow
// control, and move up as the guest reads. There is no baud rate and no time: the receiver's
// character time-out is immediate, that is, a FIFO that holds fewer bytes than its trigger level
// reports a time-out interrupt instead of none.
//
// Invariants
//   1. The backlog holds bytes only while the receiver is full.
//   2. The interrupt line is asserted exactly while IIR bit 0 is clear.
//
// Owner: the vCPU thread. Source: National Semiconductor PC16550D data sheet, §8 "Registers".
#pragma once

#include <array>

#include "devices/device.h"

namespace lockstep::devices {

class Uart16550 : public MmioDevice {
 public:
  static constexpr uint64_t kWindowSize = 0x100;
  static constexpr size_t kFifoSize = 16;
  // Received bytes that may wait behind the FIFO; a byte more is lost, with an overrun error.
  static constexpr size_t kBacklogLimit = 64 * 1024;

  Uart16550(DeviceIndex port, InterruptLine& line, OutputSink& sink);

  // Any access size acts on the one byte register at `offset`.
  uint64_t read(uint64_t offset, AccessSize size) override;
  void write(uint64_t offset, AccessSize size, uint64_t value) override;
  void reset() override;
  void visit_state(StateVisitor& visitor) override;

  // Bytes from the terminal: applies a log::ConsoleInput.
  void receive(ByteView bytes);

 private:
  struct State {
    uint8_t interrupt_enable = 0;
    uint8_t fifo_control = 0;
    uint8_t line_control = 0;
    uint8_t modem_control = 0;
    uint8_t line_errors = 0;   // LSR error bits, cleared by reading LSR
    uint8_t modem_deltas = 0;  // MSR bits 0 to 3, cleared by reading MSR
    uint8_t scratch = 0;
    uint8_t divisor_low = 12;  // 9600 baud at 1.8432 MHz
    uint8_t divisor_high = 0;
    bool transmit_empty_pending = false;  // a THR-empty interrupt not yet seen in IIR
    std::array<uint8_t, kFifoSize> fifo{};
    uint8_t fifo_first = 0;
    uint8_t fifo_count = 0;
  };

  bool divisor_access() const;
  bool loopback() const;
  size_t receiver_capacity() const;
  size_t trigger_level() const;
  uint8_t interrupt_identity() const;
  uint8_t line_status() const;
  uint8_t modem_lines() const;
  uint8_t read_register(uint64_t offset);
  void write_register(uint64_t offset, uint8_t value);
  uint8_t take_received();
  void transmit(uint8_t byte);
  void write_fifo_control(uint8_t value);
  void write_modem_control(uint8_t value);
  void put_received(uint8_t byte);
  void refill();
  void update_line();

  DeviceIndex port_;
  InterruptLine& line_;
  OutputSink& sink_;
  State state_;
  Bytes backlog_;
};

}  // namespace lockstep::devices
