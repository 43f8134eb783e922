// Numbers and bits of the control and status registers that this hart has, and of causes.
// Source: RISC-V privileged specification, "Control and Status Registers" and "Supervisor-Level
// ISA".
#pragma once

#include <cstdint>

namespace lockstep::riscv {

enum class Csr : uint16_t {
  kFflags = 0x001,
  kFrm = 0x002,
  kFcsr = 0x003,
  kSstatus = 0x100,
  kSie = 0x104,
  kStvec = 0x105,
  kScounteren = 0x106,
  kSenvcfg = 0x10A,
  kSscratch = 0x140,
  kSepc = 0x141,
  kScause = 0x142,
  kStval = 0x143,
  kSip = 0x144,
  kStimecmp = 0x14D,
  kSatp = 0x180,
  kCycle = 0xC00,
  kTime = 0xC01,
  kInstret = 0xC02,
};

inline constexpr uint64_t kStatusSie = uint64_t{1} << 1;
inline constexpr uint64_t kStatusSpie = uint64_t{1} << 5;
inline constexpr uint64_t kStatusSpp = uint64_t{1} << 8;
inline constexpr uint64_t kStatusFs = uint64_t{3} << 13;
inline constexpr uint64_t kStatusSum = uint64_t{1} << 18;
inline constexpr uint64_t kStatusMxr = uint64_t{1} << 19;
inline constexpr uint64_t kStatusUxl64 = uint64_t{2} << 32;
inline constexpr uint64_t kStatusSd = uint64_t{1} << 63;

// senvcfg.
inline constexpr uint64_t kEnvironmentFiom = uint64_t{1} << 0;
inline constexpr uint64_t kEnvironmentCbze = uint64_t{1} << 7;  // cbo.zero in U-mode

inline constexpr uint64_t kSoftwareInterrupt = uint64_t{1} << 1;
inline constexpr uint64_t kTimerInterrupt = uint64_t{1} << 5;
inline constexpr uint64_t kExternalInterrupt = uint64_t{1} << 9;

// scause without its interrupt bit.
enum class Cause : uint64_t {
  kFetchAccess = 1,
  kIllegalInstruction = 2,
  kBreakpoint = 3,
  kLoadMisaligned = 4,
  kLoadAccess = 5,
  kStoreMisaligned = 6,
  kStoreAccess = 7,
  kUserCall = 8,
  kFetchPage = 12,
  kLoadPage = 13,
  kStorePage = 15,
};
inline constexpr uint64_t kCauseInterrupt = uint64_t{1} << 63;

enum class Privilege : uint8_t { kUser = 0, kSupervisor = 1 };

inline constexpr uint64_t kSatpModeBare = 0;
inline constexpr uint64_t kSatpModeSv39 = 8;
inline constexpr unsigned kSatpModeShift = 60;
inline constexpr uint64_t kSatpPpnMask = (uint64_t{1} << 44) - 1;

}  // namespace lockstep::riscv
