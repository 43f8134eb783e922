#include "devices/goldfish_rtc/goldfish_rtc.h"

namespace lockstep::devices {
namespace {

constexpr uint64_t kTimeLow = 0x00;
constexpr uint64_t kTimeHigh = 0x04;
constexpr uint64_t kAlarmLow = 0x08;   // a write arms the alarm
constexpr uint64_t kAlarmHigh = 0x0c;  // written before ALARM_LOW
constexpr uint64_t kInterruptEnabled = 0x10;
constexpr uint64_t kClearAlarm = 0x14;
constexpr uint64_t kAlarmStatus = 0x18;
constexpr uint64_t kClearInterrupt = 0x1c;

constexpr uint64_t kLowMask = 0xffffffff;

constexpr uint64_t joined(uint64_t high, uint64_t low) {
  return high << 32 | (low & kLowMask);
}

}  // namespace

void GoldfishRtc::reset() {
  state_ = {};
  update_line();
}

uint32_t GoldfishRtc::read_time_low() {
  const uint64_t now_ns = clock_.read_ns() + state_.offset_ns;
  state_.read_high = static_cast<uint32_t>(now_ns >> 32);
  if (state_.alarm_armed && now_ns >= state_.alarm_ns) {
    state_.alarm_armed = false;
    state_.interrupt_pending = true;
    update_line();
  }
  return static_cast<uint32_t>(now_ns);
}

uint64_t GoldfishRtc::read(uint64_t offset, AccessSize size) {
  if (size != AccessSize::k4) return 0;
  switch (offset) {
    case kTimeLow:
      return read_time_low();
    case kTimeHigh:
      return state_.read_high;
    case kAlarmLow:
      return state_.alarm_ns & kLowMask;
    case kAlarmHigh:
      return state_.alarm_ns >> 32;
    case kInterruptEnabled:
      return state_.interrupt_enabled ? 1 : 0;
    case kAlarmStatus:
      return state_.alarm_armed ? 1 : 0;
    default:
      return 0;
  }
}

void GoldfishRtc::write(uint64_t offset, AccessSize size, uint64_t value) {
  if (size != AccessSize::k4) return;
  switch (offset) {
    case kTimeLow:
      state_.offset_ns = joined(state_.write_high, value) - clock_.read_ns();
      break;
    case kTimeHigh:
      state_.write_high = static_cast<uint32_t>(value);
      break;
    case kAlarmLow:
      state_.alarm_ns = joined(state_.alarm_ns >> 32, value);
      state_.alarm_armed = true;
      break;
    case kAlarmHigh:
      state_.alarm_ns = joined(value & kLowMask, state_.alarm_ns);
      break;
    case kInterruptEnabled:
      state_.interrupt_enabled = (value & 1) != 0;
      break;
    case kClearAlarm:
      state_.alarm_armed = false;
      break;
    case kClearInterrupt:
      state_.interrupt_pending = false;
      break;
    default:
      break;
  }
  update_line();
}

void GoldfishRtc::visit_state(StateVisitor& visitor) {
  visitor.enter("goldfish-rtc", 0);
  visitor.field("offset_ns", state_.offset_ns);
  visitor.field("alarm_ns", state_.alarm_ns);
  visitor.field("read_high", state_.read_high);
  visitor.field("write_high", state_.write_high);
  visitor.field("alarm_armed", state_.alarm_armed);
  visitor.field("interrupt_enabled", state_.interrupt_enabled);
  visitor.field("interrupt_pending", state_.interrupt_pending);
  visitor.leave();
}

}  // namespace lockstep::devices
