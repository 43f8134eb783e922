#include "devices/uart16550/uart16550.h"

namespace lockstep::devices {
namespace {

// Offsets. Some name two registers, by direction or by DLAB.
constexpr uint64_t kData = 0;             // RBR, THR; DLL
constexpr uint64_t kInterruptEnable = 1;  // IER; DLM
constexpr uint64_t kIdentityOrFifo = 2;   // IIR when read, FCR when written
constexpr uint64_t kLineControl = 3;
constexpr uint64_t kModemControl = 4;
constexpr uint64_t kLineStatus = 5;
constexpr uint64_t kModemStatus = 6;
constexpr uint64_t kScratch = 7;

constexpr uint8_t kEnableReceive = 0x01;
constexpr uint8_t kEnableTransmitEmpty = 0x02;
constexpr uint8_t kEnableLineStatus = 0x04;
constexpr uint8_t kEnableModemStatus = 0x08;
constexpr uint8_t kEnableMask = 0x0f;

constexpr uint8_t kIdentityNone = 0x01;
constexpr uint8_t kIdentityModemStatus = 0x00;
constexpr uint8_t kIdentityTransmitEmpty = 0x02;
constexpr uint8_t kIdentityReceive = 0x04;
constexpr uint8_t kIdentityLineStatus = 0x06;
constexpr uint8_t kIdentityTimeout = 0x0c;
constexpr uint8_t kIdentityFifoEnabled = 0xc0;

constexpr uint8_t kFifoEnable = 0x01;
constexpr uint8_t kFifoClearReceive = 0x02;
constexpr uint8_t kFifoTriggerMask = 0xc0;

constexpr uint8_t kDivisorAccess = 0x80;  // LCR

constexpr uint8_t kModemDtr = 0x01;
constexpr uint8_t kModemRts = 0x02;
constexpr uint8_t kModemOut1 = 0x04;
constexpr uint8_t kModemOut2 = 0x08;
constexpr uint8_t kModemLoopback = 0x10;
constexpr uint8_t kModemControlMask = 0x1f;

constexpr uint8_t kStatusDataReady = 0x01;
constexpr uint8_t kStatusOverrun = 0x02;
constexpr uint8_t kStatusTransmitEmpty = 0x60;  // THRE and TEMT

constexpr uint8_t kLineCts = 0x10;
constexpr uint8_t kLineDsr = 0x20;
constexpr uint8_t kLineRing = 0x40;
constexpr uint8_t kLineDcd = 0x80;

}  // namespace

Uart16550::Uart16550(DeviceIndex port, InterruptLine& line, OutputSink& sink)
    : port_(port), line_(line), sink_(sink) {
}

void Uart16550::reset() {
  state_ = {};
  backlog_.clear();
  update_line();
}

bool Uart16550::divisor_access() const {
  return (state_.line_control & kDivisorAccess) != 0;
}

bool Uart16550::loopback() const {
  return (state_.modem_control & kModemLoopback) != 0;
}

size_t Uart16550::receiver_capacity() const {
  return (state_.fifo_control & kFifoEnable) != 0 ? kFifoSize : 1;
}

size_t Uart16550::trigger_level() const {
  constexpr size_t kLevels[] = {1, 4, 8, 14};
  return (state_.fifo_control & kFifoEnable) != 0 ? kLevels[state_.fifo_control >> 6] : 1;
}

uint64_t Uart16550::read(uint64_t offset, AccessSize) {
  const uint8_t value = read_register(offset);
  update_line();
  return value;
}

void Uart16550::write(uint64_t offset, AccessSize, uint64_t value) {
  write_register(offset, static_cast<uint8_t>(value));
  update_line();
}

uint8_t Uart16550::read_register(uint64_t offset) {
  switch (offset) {
    case kData:
      return divisor_access() ? state_.divisor_low : take_received();
    case kInterruptEnable:
      return divisor_access() ? state_.divisor_high : state_.interrupt_enable;
    case kIdentityOrFifo: {
      const uint8_t identity = interrupt_identity();
      // Reading IIR acknowledges a THR-empty interrupt, if that is the one it reports.
      if (identity == kIdentityTransmitEmpty) state_.transmit_empty_pending = false;
      const bool fifo = (state_.fifo_control & kFifoEnable) != 0;
      return static_cast<uint8_t>(identity | (fifo ? kIdentityFifoEnabled : 0));
    }
    case kLineControl:
      return state_.line_control;
    case kModemControl:
      return state_.modem_control;
    case kLineStatus: {
      const uint8_t status = line_status();
      state_.line_errors = 0;
      return status;
    }
    case kModemStatus: {
      const auto status = static_cast<uint8_t>(modem_lines() | state_.modem_deltas);
      state_.modem_deltas = 0;
      return status;
    }
    case kScratch:
      return state_.scratch;
    default:
      return 0;
  }
}

void Uart16550::write_register(uint64_t offset, uint8_t value) {
  switch (offset) {
    case kData:
      if (divisor_access()) {
        state_.divisor_low = value;
      } else {
        transmit(value);
      }
      break;
    case kInterruptEnable:
      if (divisor_access()) {
        state_.divisor_high = value;
        break;
      }
      // Enabling the THR-empty interrupt while THR is empty, as it always is, raises it.
      if ((value & kEnableTransmitEmpty) != 0 &&
          (state_.interrupt_enable & kEnableTransmitEmpty) == 0) {
        state_.transmit_empty_pending = true;
      }
      state_.interrupt_enable = value & kEnableMask;
      break;
    case kIdentityOrFifo:
      write_fifo_control(value);
      break;
    case kLineControl:
      state_.line_control = value;
      break;
    case kModemControl:
      write_modem_control(value);
      break;
    case kScratch:
      state_.scratch = value;
      break;
    default:
      break;  // LSR and MSR are read-only
  }
}

uint8_t Uart16550::take_received() {
  if (state_.fifo_count == 0) return 0;
  const uint8_t byte = state_.fifo[state_.fifo_first];
  state_.fifo_first = static_cast<uint8_t>((state_.fifo_first + 1) % kFifoSize);
  --state_.fifo_count;
  refill();
  return byte;
}

void Uart16550::transmit(uint8_t byte) {
  if (loopback()) {
    const uint8_t looped[] = {byte};
    receive(std::as_bytes(std::span(looped)));
  } else {
    const std::byte sent[] = {std::byte{byte}};
    sink_.console_output(port_, sent);
  }
  state_.transmit_empty_pending = true;
}

void Uart16550::write_fifo_control(uint8_t value) {
  const bool toggled = ((value ^ state_.fifo_control) & kFifoEnable) != 0;
  if (toggled || (value & kFifoClearReceive) != 0) {
    state_.fifo_first = 0;
    state_.fifo_count = 0;
  }
  // The other bits are ignored unless the enable bit is written with them; the clear bits clear
  // themselves.
  state_.fifo_control = (value & kFifoEnable) != 0 ? value & (kFifoEnable | kFifoTriggerMask) : 0;
  refill();
}

void Uart16550::write_modem_control(uint8_t value) {
  const uint8_t before = modem_lines();
  state_.modem_control = value & kModemControlMask;
  const uint8_t after = modem_lines();
  const auto changed = static_cast<uint8_t>(before ^ after);
  uint8_t deltas = 0;
  if ((changed & kLineCts) != 0) deltas |= 0x01;
  if ((changed & kLineDsr) != 0) deltas |= 0x02;
  if ((changed & kLineRing) != 0 && (after & kLineRing) == 0) deltas |= 0x04;  // trailing edge
  if ((changed & kLineDcd) != 0) deltas |= 0x08;
  state_.modem_deltas |= deltas;
}

void Uart16550::receive(ByteView bytes) {
  for (const std::byte byte : bytes) {
    if (state_.fifo_count < receiver_capacity()) {
      put_received(std::to_integer<uint8_t>(byte));
    } else if (backlog_.size() < kBacklogLimit) {
      backlog_.push_back(byte);
    } else {
      state_.line_errors |= kStatusOverrun;
      break;
    }
  }
  update_line();
}

void Uart16550::put_received(uint8_t byte) {
  state_.fifo[(state_.fifo_first + state_.fifo_count) % kFifoSize] = byte;
  ++state_.fifo_count;
}

void Uart16550::refill() {
  size_t moved = 0;
  while (moved < backlog_.size() && state_.fifo_count < receiver_capacity()) {
    put_received(std::to_integer<uint8_t>(backlog_[moved]));
    ++moved;
  }
  backlog_.erase(backlog_.begin(), backlog_.begin() + static_cast<std::ptrdiff_t>(moved));
}

uint8_t Uart16550::line_status() const {
  return static_cast<uint8_t>(kStatusTransmitEmpty | state_.line_errors |
                              (state_.fifo_count != 0 ? kStatusDataReady : 0));
}

uint8_t Uart16550::modem_lines() const {
  // A terminal is always there; in loopback the outputs feed the inputs.
  if (!loopback()) return kLineDcd | kLineDsr | kLineCts;
  uint8_t lines = 0;
  if ((state_.modem_control & kModemRts) != 0) lines |= kLineCts;
  if ((state_.modem_control & kModemDtr) != 0) lines |= kLineDsr;
  if ((state_.modem_control & kModemOut1) != 0) lines |= kLineRing;
  if ((state_.modem_control & kModemOut2) != 0) lines |= kLineDcd;
  return lines;
}

uint8_t Uart16550::interrupt_identity() const {
  const uint8_t enabled = state_.interrupt_enable;
  if ((enabled & kEnableLineStatus) != 0 && state_.line_errors != 0) return kIdentityLineStatus;
  if ((enabled & kEnableReceive) != 0 && state_.fifo_count != 0) {
    return state_.fifo_count >= trigger_level() ? kIdentityReceive : kIdentityTimeout;
  }
  if ((enabled & kEnableTransmitEmpty) != 0 && state_.transmit_empty_pending) {
    return kIdentityTransmitEmpty;
  }
  if ((enabled & kEnableModemStatus) != 0 && state_.modem_deltas != 0) return kIdentityModemStatus;
  return kIdentityNone;
}

void Uart16550::update_line() {
  line_.set(interrupt_identity() != kIdentityNone);
}

void Uart16550::visit_state(StateVisitor& visitor) {
  visitor.enter("uart16550", port_.value);
  visitor.field("interrupt_enable", state_.interrupt_enable);
  visitor.field("fifo_control", state_.fifo_control);
  visitor.field("line_control", state_.line_control);
  visitor.field("modem_control", state_.modem_control);
  visitor.field("line_errors", state_.line_errors);
  visitor.field("modem_deltas", state_.modem_deltas);
  visitor.field("scratch", state_.scratch);
  visitor.field("divisor_low", state_.divisor_low);
  visitor.field("divisor_high", state_.divisor_high);
  visitor.field("transmit_empty_pending", state_.transmit_empty_pending);
  visitor.raw("fifo", std::as_writable_bytes(std::span(state_.fifo)));
  visitor.field("fifo_first", state_.fifo_first);
  visitor.field("fifo_count", state_.fifo_count);
  visitor.blob("backlog", backlog_, kBacklogLimit);
  if (visitor.restoring() && (state_.fifo_first >= kFifoSize || state_.fifo_count > kFifoSize)) {
    state_.fifo_first = 0;
    state_.fifo_count = 0;
    visitor.reject("fifo_count");
  }
  visitor.leave();
}

}  // namespace lockstep::devices
