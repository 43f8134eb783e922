#include "riscv/sbi.h"

#include <algorithm>
#include <array>

namespace lockstep::riscv {
namespace {

constexpr size_t kA0 = 10;
constexpr size_t kA1 = 11;
constexpr size_t kA2 = 12;
constexpr size_t kFunctionRegister = 16;   // a6
constexpr size_t kExtensionRegister = 17;  // a7

enum class Extension : uint64_t {
  kBase = 0x10,
  kTime = 0x54494D45,
  kIpi = 0x735049,
  kRemoteFence = 0x52464E43,
  kHartState = 0x48534D,
  kSystemReset = 0x53525354,
  kDebugConsole = 0x4442434E,
};

constexpr std::array kExtensions = {Extension::kBase,        Extension::kTime,
                                    Extension::kIpi,         Extension::kRemoteFence,
                                    Extension::kHartState,   Extension::kSystemReset,
                                    Extension::kDebugConsole};

constexpr uint64_t kSpecificationVersion = uint64_t{2} << 24;  // 2.0
constexpr uint64_t kImplementationId = 0x4C53;                 // not a registered number
constexpr uint64_t kImplementationVersion = 1;
constexpr uint64_t kRemoteFenceFunctions = 3;  // fence.i, sfence.vma, sfence.vma with an ASID

// SBI §3.1: a mask of harts from a base; base -1 means all harts.
bool names_hart_zero(const Hart& hart) {
  const uint64_t mask = hart.x[kA0];
  const uint64_t base = hart.x[kA1];
  return base == ~uint64_t{0} || (base == 0 && (mask & 1) != 0);
}

bool names_only_existing_harts(const Hart& hart) {
  const uint64_t mask = hart.x[kA0];
  const uint64_t base = hart.x[kA1];
  return base == ~uint64_t{0} || mask == 0 || (base == 0 && (mask & ~uint64_t{1}) == 0);
}

}  // namespace

void Sbi::call(Hart& hart) {
  const uint64_t function = hart.x[kFunctionRegister];
  Answer answer{Code::kNotSupported, 0};
  switch (static_cast<Extension>(hart.x[kExtensionRegister])) {
    case Extension::kBase:
      answer = base(function, hart.x[kA0]);
      break;
    case Extension::kTime:
      if (function == 0) {
        hart.stimecmp = GuestTicks(hart.x[kA0]);
        answer = {};
      }
      break;
    case Extension::kIpi:
      answer = inter_processor_interrupt(hart, function);
      break;
    case Extension::kRemoteFence:
      if (function < kRemoteFenceFunctions) {
        answer = {names_only_existing_harts(hart) ? Code::kSuccess : Code::kInvalidParameter, 0};
      }
      break;
    case Extension::kHartState:
      answer = hart_state(hart, function);
      break;
    case Extension::kSystemReset:
      if (function == 0) answer = system_reset(hart.x[kA0], hart.x[kA1]);
      break;
    case Extension::kDebugConsole:
      answer = debug_console(hart, function);
      break;
  }
  hart.x[kA0] = static_cast<uint64_t>(answer.code);
  hart.x[kA1] = answer.value;
}

Sbi::Answer Sbi::base(uint64_t function, uint64_t argument) const {
  switch (function) {
    case 0:
      return {Code::kSuccess, kSpecificationVersion};
    case 1:
      return {Code::kSuccess, kImplementationId};
    case 2:
      return {Code::kSuccess, kImplementationVersion};
    case 3: {
      const bool present = std::ranges::any_of(kExtensions, [&](Extension extension) {
        return static_cast<uint64_t>(extension) == argument;
      });
      return {Code::kSuccess, present ? 1u : 0u};
    }
    case 4:
    case 5:
    case 6:
      return {Code::kSuccess, 0};  // vendor, architecture and implementation: none
    default:
      return {Code::kNotSupported, 0};
  }
}

Sbi::Answer Sbi::inter_processor_interrupt(Hart& hart, uint64_t function) const {
  if (function != 0) return {Code::kNotSupported, 0};
  if (!names_only_existing_harts(hart)) return {Code::kInvalidParameter, 0};
  if (names_hart_zero(hart)) hart.software_interrupt = true;
  return {};
}

// SBI §9. With one hart there is none to start, and none may stop.
Sbi::Answer Sbi::hart_state(Hart& hart, uint64_t function) const {
  constexpr uint64_t kStarted = 0;
  constexpr uint64_t kDefaultRetentiveSuspend = 0;
  constexpr uint64_t kDefaultNonRetentiveSuspend = 0x80000000;
  switch (function) {
    case 0:
      return {hart.x[kA0] == 0 ? Code::kAlreadyAvailable : Code::kInvalidParameter, 0};
    case 1:
      return {Code::kFailed, 0};
    case 2:
      if (hart.x[kA0] != 0) return {Code::kInvalidParameter, 0};
      return {Code::kSuccess, kStarted};
    case 3:
      if (hart.x[kA0] == kDefaultNonRetentiveSuspend) return {Code::kNotSupported, 0};
      if (hart.x[kA0] != kDefaultRetentiveSuspend) return {Code::kInvalidParameter, 0};
      hart.waiting = true;
      return {};
    default:
      return {Code::kNotSupported, 0};
  }
}

Sbi::Answer Sbi::system_reset(uint64_t type, uint64_t reason) {
  constexpr uint64_t kShutdownType = 0;
  constexpr uint64_t kColdReboot = 1;
  constexpr uint64_t kWarmReboot = 2;
  constexpr uint64_t kSystemFailure = 1;
  if (type > kWarmReboot || reason > kSystemFailure) return {Code::kInvalidParameter, 0};
  if (type == kColdReboot || type == kWarmReboot) {
    host_.system_reset(SbiReset::kReboot);
  } else if (type == kShutdownType) {
    host_.system_reset(reason == kSystemFailure ? SbiReset::kFailure : SbiReset::kShutdown);
  }
  return {};
}

// SBI §12.
Sbi::Answer Sbi::debug_console(const Hart& hart, uint64_t function) {
  switch (function) {
    case 0: {
      const uint64_t count = std::min(hart.x[kA0], kMaxConsoleWrite);
      const GuestAddress address(hart.x[kA1]);
      if (hart.x[kA2] != 0 || !memory_.contains(address, count)) {
        return {Code::kInvalidParameter, 0};
      }
      std::array<std::byte, kMaxConsoleWrite> bytes;
      memory_.read(address, std::span(bytes).first(count));
      host_.debug_console_write(std::span(bytes).first(count));
      return {Code::kSuccess, count};
    }
    case 1:
      return {Code::kSuccess, 0};  // input comes by the UART
    case 2: {
      const auto byte = static_cast<std::byte>(hart.x[kA0]);
      host_.debug_console_write(std::span(&byte, 1));
      return {};
    }
    default:
      return {Code::kNotSupported, 0};
  }
}

}  // namespace lockstep::riscv
