// The real-time clock: goldfish RTC, as QEMU's `virt` board has it.
//
// Time is the wall clock plus an offset that the guest may set. The wall clock is asked only when
// the guest reads TIME_LOW or commits a new time by writing TIME_LOW; each such access is one log
// entry. TIME_HIGH is latched: a read of TIME_LOW latches the high half for the read of TIME_HIGH
// that follows, and a write to TIME_HIGH waits for the write to TIME_LOW that commits both.
//
// Alarm: no time passes in a device, so an armed alarm fires when the guest next looks at the time
// (reads TIME_LOW) at or after the moment it was set for, and never by itself. Arming one asks
// nobody for the time. A guest that sleeps until an alarm must use its timer (stimecmp).
//
// Owner: the vCPU thread. Source: "Goldfish Timer" in the Android emulator's hardware description
// (GOLDFISH-VIRTUAL-HARDWARE.TXT §IX.E); binding google,goldfish-rtc.
#pragma once

#include "devices/device.h"

namespace lockstep::devices {

class GoldfishRtc : public MmioDevice {
 public:
  static constexpr uint64_t kWindowSize = 0x1000;

  GoldfishRtc(InterruptLine& line, WallClock& clock) : line_(line), clock_(clock) {}

  // Registers are 4 bytes wide and aligned; other accesses read zero and write nothing.
  uint64_t read(uint64_t offset, AccessSize size) override;
  void write(uint64_t offset, AccessSize size, uint64_t value) override;
  void reset() override;
  void visit_state(StateVisitor& visitor) override;

 private:
  struct State {
    uint64_t offset_ns = 0;  // guest time minus wall time, modulo 2^64
    uint64_t alarm_ns = 0;
    uint32_t read_high = 0;   // latched by a read of TIME_LOW
    uint32_t write_high = 0;  // waiting for a write to TIME_LOW
    bool alarm_armed = false;
    bool interrupt_enabled = false;
    bool interrupt_pending = false;
  };

  uint32_t read_time_low();
  void update_line() { line_.set(state_.interrupt_enabled && state_.interrupt_pending); }

  InterruptLine& line_;
  WallClock& clock_;
  State state_;
};

}  // namespace lockstep::devices
