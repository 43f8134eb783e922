#include "riscv/testing/audit_guest.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>

#include "base/check.h"
#include "base/hash.h"
#include "riscv/testing/instruction_at.h"

namespace lockstep::riscv::testing {
namespace {

constexpr uint64_t kLongestCopy = 64;
constexpr uint64_t kTimerTicks = 256;  // a moved timer comes within so many ticks

// RAM starts at a page of the host, too.
std::span<std::byte> aligned_part(Bytes& storage, uint64_t size) {
  void* start = storage.data();
  size_t room = storage.size();
  return {static_cast<std::byte*>(std::align(kPageSize, size, start, room)), size};
}

uint64_t mix(uint64_t value) {
  return hash64(std::as_bytes(std::span(&value, 1)));
}

}  // namespace

AuditGuest::AuditGuest(const AuditProgram& program, const EngineFactory& make_engine)
    : storage_((kPages + 1) * kPageSize),
      ram(aligned_part(storage_, kPages * kPageSize)),
      memory(kRam, ram),
      engine(make_engine(hart, memory, *this, *this)),
      program_(program) {
  CHECK(memory.write(kRam, program.image));
  hart.pc = kRam.value;
  hart.scounteren = 7;
  hart.isa = program.isa;
}

std::optional<std::string> AuditGuest::run_until(Step target) {
  stop_wanted_.reset();
  engine->run_until(target);
  if (hart.step > target) {
    return fmt::format("ran to step {}, past {}", hart.step.value, target.value);
  }
  if (stop_wanted_) {
    if (hart.step == *stop_wanted_ + 1) return {};
    return fmt::format("was asked to stop by step {} and stopped at step {}", stop_wanted_->value,
                       hart.step.value);
  }
  if (hart.step == target || hart.waiting) return {};
  return fmt::format("stopped at step {} on the way to {} for no reason", hart.step.value,
                     target.value);
}

void AuditGuest::copy_memory(uint64_t random) {
  const auto take = [&](uint64_t limit) {
    const uint64_t taken = random % limit;
    random = mix(random);
    return taken;
  };
  const PageRange& range = program_.writable[take(program_.writable.size())];
  const uint64_t size = range.pages * kPageSize;
  const uint64_t length = range.unit * (1 + take(kLongestCopy / range.unit));
  const uint64_t places = (size - length) / range.unit;
  const GuestAddress start = kRam + range.first_page * kPageSize;
  std::array<std::byte, kLongestCopy> bytes;
  const auto copied = std::span(bytes).first(length);
  CHECK(memory.read(start + range.unit * take(places), copied));
  CHECK(memory.write(start + range.unit * take(places), copied));
}

std::optional<uint32_t> AuditGuest::next_instruction() const {
  return instruction_at(hart.pc, hart.satp, ram);
}

uint64_t AuditGuest::observe(uint64_t what, uint64_t operand) {
  const std::array<uint64_t, 4> words = {seen_, what, operand, hart.step.value};
  seen_ = hash64(std::as_bytes(std::span(words)));
  ++accesses_;
  return seen_;
}

void AuditGuest::stop_run() {
  stop_wanted_ = hart.step;
  engine->request_stop();
}

bool AuditGuest::access(GuestAddress address, uint64_t operand, uint64_t& value) {
  value = observe(address.value, operand);
  if (address >= kController && address - kController < kControllerSize) {
    hart.external_interrupt = false;
    return true;
  }
  const bool in_device = address >= kDevice && address - kDevice < kPageSize;
  if (!in_device && (address < kClock || address - kClock >= kPageSize)) return false;
  switch (static_cast<DeviceEffect>(address.value >> kDeviceEffectShift & (kDeviceEffects - 1))) {
    case DeviceEffect::kNone:
    case DeviceEffect::kNoneEither:
      return true;
    case DeviceEffect::kRaiseLine:
      hart.external_interrupt = true;
      return true;
    case DeviceEffect::kLowerLine:
      hart.external_interrupt = false;
      return true;
    case DeviceEffect::kStop:
      stop_run();
      return true;
    case DeviceEffect::kCopy:
      copy_memory(value);
      return true;
    case DeviceEffect::kTimer:
      hart.stimecmp = hart.time.at(hart.step) + value % kTimerTicks;
      return true;
    case DeviceEffect::kAbsent:
      return false;
  }
  return false;
}

bool AuditGuest::read(GuestAddress address, unsigned size, uint64_t& value) {
  return access(address, size, value);
}

bool AuditGuest::write(GuestAddress address, unsigned size, uint64_t value) {
  const uint64_t stored = size == 8 ? value : value & ((uint64_t{1} << 8 * size) - 1);
  uint64_t ignored = 0;
  return access(address, mix(stored) + size, ignored);
}

void AuditGuest::call(Hart& caller) {
  uint64_t value = 0;
  for (uint8_t i = 10; i < 18; ++i) value = observe(caller.x[i], i);
  switch (static_cast<DeviceEffect>(caller.x[10] % kDeviceEffects)) {
    case DeviceEffect::kNone:
    case DeviceEffect::kNoneEither:
      break;
    case DeviceEffect::kRaiseLine:
      caller.software_interrupt = true;
      break;
    case DeviceEffect::kLowerLine:
      caller.software_interrupt = false;
      break;
    case DeviceEffect::kStop:
      stop_run();
      break;
    case DeviceEffect::kCopy:
    case DeviceEffect::kAbsent:
      copy_memory(value);
      break;
    case DeviceEffect::kTimer:
      caller.stimecmp = caller.time.at(caller.step) + value % kTimerTicks;
      break;
  }
  caller.x[10] = value;
  caller.x[11] = caller.time.at(caller.step).value;
}

void AuditGuest::visit_state(StateVisitor& visitor) {
  hart.visit_state(visitor);
  visitor.enter("device", 0);
  visitor.field("seen", seen_);
  visitor.field("accesses", accesses_);
  visitor.leave();
}

}  // namespace lockstep::riscv::testing
