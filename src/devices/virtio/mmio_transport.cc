#include "devices/virtio/mmio_transport.h"

#include <cstring>

#include "base/check.h"

namespace lockstep::devices::virtio {
namespace {

// Registers, §4.2.2.
constexpr uint64_t kMagicValue = 0x000;
constexpr uint64_t kVersion = 0x004;
constexpr uint64_t kDeviceId = 0x008;
constexpr uint64_t kVendorId = 0x00c;
constexpr uint64_t kDeviceFeatures = 0x010;
constexpr uint64_t kDeviceFeaturesSelect = 0x014;
constexpr uint64_t kDriverFeatures = 0x020;
constexpr uint64_t kDriverFeaturesSelect = 0x024;
constexpr uint64_t kQueueSelect = 0x030;
constexpr uint64_t kQueueSizeMax = 0x034;
constexpr uint64_t kQueueSize = 0x038;
constexpr uint64_t kQueueReady = 0x044;
constexpr uint64_t kQueueNotify = 0x050;
constexpr uint64_t kInterruptStatus = 0x060;
constexpr uint64_t kInterruptAcknowledge = 0x064;
constexpr uint64_t kStatus = 0x070;
constexpr uint64_t kDescriptorsLow = 0x080;
constexpr uint64_t kDescriptorsHigh = 0x084;
constexpr uint64_t kAvailableLow = 0x090;
constexpr uint64_t kAvailableHigh = 0x094;
constexpr uint64_t kUsedLow = 0x0a0;
constexpr uint64_t kUsedHigh = 0x0a4;
constexpr uint64_t kSharedMemoryLengthLow = 0x0b0;
constexpr uint64_t kSharedMemoryBaseHigh = 0x0bc;
constexpr uint64_t kConfigurationGeneration = 0x0fc;
constexpr uint64_t kConfiguration = 0x100;

constexpr uint32_t kMagic = 0x74726976;   // "virt"
constexpr uint32_t kVendor = 0x4b434f4c;  // "LOCK"
constexpr uint32_t kModernVersion = 2;

// Device status, §2.1.
constexpr uint32_t kStatusDriverOk = 4;
constexpr uint32_t kStatusFeaturesOk = 8;
constexpr uint32_t kStatusNeedsReset = 64;
constexpr uint32_t kStatusDriverBits = 1 | 2 | kStatusDriverOk | kStatusFeaturesOk | 128;

constexpr uint32_t kInterruptUsed = 1;
constexpr uint32_t kInterruptConfiguration = 2;
constexpr uint32_t kInterruptMask = kInterruptUsed | kInterruptConfiguration;

constexpr uint64_t with_low(uint64_t address, uint32_t value) {
  return (address & ~uint64_t{0xffffffff}) | value;
}
constexpr uint64_t with_high(uint64_t address, uint32_t value) {
  return (address & 0xffffffff) | uint64_t{value} << 32;
}

}  // namespace

void read_from_bytes(ByteView space, uint64_t offset, std::span<std::byte> out) {
  for (std::byte& byte : out) {
    byte = offset < space.size() ? space[offset] : std::byte{0};
    ++offset;
  }
}

MmioTransport::MmioTransport(riscv::PhysicalMemory& memory, InterruptLine& line, Model& model)
    : memory_(memory), line_(line), model_(model) {
  for (const uint16_t size : model.queue_sizes()) queues_.emplace_back(memory, size);
  model.attach(*this);
}

Virtqueue& MmioTransport::queue(uint16_t index) {
  CHECK(index < queues_.size());
  return queues_[index];
}

bool MmioTransport::running() const {
  return (state_.status & (kStatusDriverOk | kStatusNeedsReset)) == kStatusDriverOk;
}

uint64_t MmioTransport::offered_features() const {
  return model_.features() | kFeatureIndirectDescriptors | kFeatureEventIndex | kFeatureVersion1;
}

void MmioTransport::raise(uint32_t interrupt_bit) {
  state_.interrupt_status |= interrupt_bit;
  line_.set(true);
}

void MmioTransport::signal_used(uint16_t queue_index) {
  if (queue(queue_index).take_interrupt_wanted()) raise(kInterruptUsed);
}

void MmioTransport::signal_configuration_change() {
  ++state_.configuration_generation;
  if ((state_.status & kStatusDriverOk) != 0) raise(kInterruptConfiguration);
}

void MmioTransport::fail_device() {
  state_.status |= kStatusNeedsReset;
  // §2.1.2: a driver that runs already is told by a configuration change.
  if ((state_.status & kStatusDriverOk) != 0) raise(kInterruptConfiguration);
}

void MmioTransport::reset() {
  state_ = {};
  for (Virtqueue& each : queues_) each.reset();
  model_.reset();
  line_.set(false);
}

uint64_t MmioTransport::read(uint64_t offset, AccessSize size) {
  if (offset < kConfiguration) {
    return size == AccessSize::k4 ? read_register(offset) : 0;
  }
  uint64_t value = 0;
  model_.read_configuration(
      offset - kConfiguration,
      std::as_writable_bytes(std::span(&value, 1)).first(static_cast<size_t>(size)));
  return value;
}

void MmioTransport::write(uint64_t offset, AccessSize size, uint64_t value) {
  if (offset < kConfiguration) {
    if (size == AccessSize::k4) write_register(offset, static_cast<uint32_t>(value));
    return;
  }
  model_.write_configuration(offset - kConfiguration,
                             std::as_bytes(std::span(&value, 1)).first(static_cast<size_t>(size)));
}

Virtqueue* MmioTransport::selected_queue() {
  return state_.queue_select < queues_.size() ? &queues_[state_.queue_select] : nullptr;
}

uint32_t MmioTransport::read_register(uint64_t offset) {
  if (offset >= kSharedMemoryLengthLow && offset <= kSharedMemoryBaseHigh) return ~uint32_t{0};
  Virtqueue* selected = selected_queue();
  switch (offset) {
    case kMagicValue:
      return kMagic;
    case kVersion:
      return kModernVersion;
    case kDeviceId:
      return static_cast<uint32_t>(model_.type());
    case kVendorId:
      return kVendor;
    case kDeviceFeatures:
      if (state_.device_feature_select > 1) return 0;
      return static_cast<uint32_t>(offered_features() >> (state_.device_feature_select * 32));
    case kQueueSizeMax:
      return selected != nullptr ? selected->max_size() : 0;
    case kQueueReady:
      return selected != nullptr && selected->ready() ? 1 : 0;
    case kInterruptStatus:
      return state_.interrupt_status;
    case kStatus:
      return state_.status;
    case kConfigurationGeneration:
      return state_.configuration_generation;
    default:
      return 0;
  }
}

void MmioTransport::write_register(uint64_t offset, uint32_t value) {
  switch (offset) {
    case kDeviceFeaturesSelect:
      state_.device_feature_select = value;
      break;
    case kDriverFeatures:
      write_driver_features(value);
      break;
    case kDriverFeaturesSelect:
      state_.driver_feature_select = value;
      break;
    case kQueueSelect:
      state_.queue_select = value;
      break;
    case kQueueNotify:
      if (running() && value < queues_.size() && queues_[value].ready()) {
        model_.notified(static_cast<uint16_t>(value));
      }
      break;
    case kInterruptAcknowledge:
      state_.interrupt_status &= ~value;
      line_.set(state_.interrupt_status != 0);
      break;
    case kStatus:
      write_status(value);
      break;
    default:
      write_queue_register(offset, value);
      break;
  }
}

void MmioTransport::write_driver_features(uint32_t value) {
  if ((state_.status & kStatusFeaturesOk) != 0) return;
  if (state_.driver_feature_select == 0) {
    state_.driver_features = with_low(state_.driver_features, value);
  } else if (state_.driver_feature_select == 1) {
    state_.driver_features = with_high(state_.driver_features, value);
  }
}

void MmioTransport::write_status(uint32_t value) {
  if (value == 0) return reset();
  // §2.1.1: bits are only ever added; the driver does not own DEVICE_NEEDS_RESET.
  uint32_t added = value & kStatusDriverBits & ~state_.status;
  if ((added & kStatusFeaturesOk) != 0) {
    const bool acceptable =
        (state_.driver_features & ~offered_features()) == 0 && negotiated(kFeatureVersion1);
    if (!acceptable) added &= ~kStatusFeaturesOk;
  }
  // §3.1.1: without FEATURES_OK the driver must not go on, and the device does not.
  if (((state_.status | added) & kStatusFeaturesOk) == 0) added &= ~kStatusDriverOk;
  state_.status |= added;
  apply_features();
}

void MmioTransport::apply_features() {
  const bool accepted = (state_.status & kStatusFeaturesOk) != 0;
  for (Virtqueue& each : queues_) {
    each.negotiated(accepted && negotiated(kFeatureIndirectDescriptors),
                    accepted && negotiated(kFeatureEventIndex));
  }
}

void MmioTransport::write_queue_register(uint64_t offset, uint32_t value) {
  Virtqueue* selected = selected_queue();
  if (selected == nullptr) return;
  if (offset == kQueueReady) return write_queue_ready(*selected, value);
  if (selected->ready()) return;
  Virtqueue::Layout& layout = selected->layout();
  switch (offset) {
    case kQueueSize:
      layout.size = value;
      break;
    case kDescriptorsLow:
      layout.descriptors = with_low(layout.descriptors, value);
      break;
    case kDescriptorsHigh:
      layout.descriptors = with_high(layout.descriptors, value);
      break;
    case kAvailableLow:
      layout.available = with_low(layout.available, value);
      break;
    case kAvailableHigh:
      layout.available = with_high(layout.available, value);
      break;
    case kUsedLow:
      layout.used = with_low(layout.used, value);
      break;
    case kUsedHigh:
      layout.used = with_high(layout.used, value);
      break;
    default:
      break;
  }
}

void MmioTransport::write_queue_ready(Virtqueue& selected, uint32_t value) {
  const bool wanted = (value & 1) != 0;
  if (wanted == selected.ready()) return;
  if (wanted) {
    if (!selected.make_ready()) fail_device();
    return;
  }
  selected.reset();
  apply_features();
  model_.queue_stopped(static_cast<uint16_t>(state_.queue_select));
}

void MmioTransport::visit_state(StateVisitor& visitor) {
  visitor.enter("virtio-mmio", 0);
  visitor.field("status", state_.status);
  visitor.field("device_feature_select", state_.device_feature_select);
  visitor.field("driver_feature_select", state_.driver_feature_select);
  visitor.field("driver_features", state_.driver_features);
  visitor.field("queue_select", state_.queue_select);
  visitor.field("interrupt_status", state_.interrupt_status);
  visitor.field("configuration_generation", state_.configuration_generation);
  if (visitor.restoring() && (state_.interrupt_status & ~kInterruptMask) != 0) {
    state_.interrupt_status = 0;
    visitor.reject("interrupt_status");
  }
  for (uint32_t i = 0; i < queues_.size(); ++i) {
    visitor.enter("queue", i);
    queues_[i].visit_state(visitor);
    visitor.leave();
  }
  if (visitor.restoring()) apply_features();
  model_.visit_state(visitor);
  visitor.leave();
}

}  // namespace lockstep::devices::virtio
