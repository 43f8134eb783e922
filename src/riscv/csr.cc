// The CSRs of a hart that has S-mode and U-mode only. Each register keeps the bits that this hart
// implements (WARL fields keep a legal value).
#include "riscv/hart.h"

namespace lockstep::riscv {
namespace {

constexpr uint64_t kStatusWritable =
    kStatusSie | kStatusSpie | kStatusSpp | kStatusFs | kStatusSum | kStatusMxr;
constexpr uint64_t kInterruptsWritable = kSoftwareInterrupt | kTimerInterrupt | kExternalInterrupt;
constexpr uint64_t kCountersWritable = 7;  // CY, TM, IR

// CSR bits 9:8 are the lowest privilege that may access it, bits 11:10 = 3 make it read-only.
bool privilege_suffices(const Hart& hart, uint16_t number) {
  return ((number >> 8) & 3) <= static_cast<unsigned>(hart.privilege);
}

bool floating_point_on(const Hart& hart) {
  return (hart.sstatus & kStatusFs) != 0;
}

void floating_point_dirty(Hart& hart) {
  hart.sstatus |= kStatusFs;
}

uint64_t environment_writable(const Hart& hart) {
  return kEnvironmentFiom | (hart.isa.has(IsaExtension::kZicboz) ? kEnvironmentCbze : 0);
}

bool counter_readable(const Hart& hart, uint16_t number) {
  return hart.privilege == Privilege::kSupervisor || ((hart.scounteren >> (number & 31)) & 1) != 0;
}

}  // namespace

bool read_csr(const Hart& hart, uint16_t number, uint64_t& value) {
  if (!privilege_suffices(hart, number)) return false;
  switch (static_cast<Csr>(number)) {
    case Csr::kFflags:
      value = hart.fflags;
      return floating_point_on(hart);
    case Csr::kFrm:
      value = hart.frm;
      return floating_point_on(hart);
    case Csr::kFcsr:
      value = static_cast<uint64_t>(hart.frm) << 5 | hart.fflags;
      return floating_point_on(hart);
    case Csr::kSstatus:
      value = hart.sstatus | ((hart.sstatus & kStatusFs) == kStatusFs ? kStatusSd : 0);
      return true;
    case Csr::kSie:
      value = hart.sie;
      return true;
    case Csr::kStvec:
      value = hart.stvec;
      return true;
    case Csr::kScounteren:
      value = hart.scounteren;
      return true;
    case Csr::kSenvcfg:
      value = hart.senvcfg;
      return true;
    case Csr::kSscratch:
      value = hart.sscratch;
      return true;
    case Csr::kSepc:
      value = hart.sepc;
      return true;
    case Csr::kScause:
      value = hart.scause;
      return true;
    case Csr::kStval:
      value = hart.stval;
      return true;
    case Csr::kSip:
      value = hart.pending();
      return true;
    case Csr::kStimecmp:
      value = hart.stimecmp.value;
      return true;
    case Csr::kSatp:
      value = hart.satp;
      return true;
    case Csr::kCycle:
      value = hart.step.value;
      return counter_readable(hart, number);
    case Csr::kTime:
      value = hart.time.at(hart.step).value;
      return counter_readable(hart, number);
    case Csr::kInstret:
      value = hart.step.value - hart.traps;
      return counter_readable(hart, number);
  }
  return false;
}

namespace {

bool write_float_csr(Hart& hart, Csr csr, uint64_t value) {
  if (!floating_point_on(hart)) return false;
  if (csr == Csr::kFflags) hart.fflags = value & 0x1f;
  if (csr == Csr::kFrm) hart.frm = value & 7;
  if (csr == Csr::kFcsr) {
    hart.fflags = value & 0x1f;
    hart.frm = (value >> 5) & 7;
  }
  floating_point_dirty(hart);
  return true;
}

void write_satp(Hart& hart, uint64_t value) {
  const uint64_t mode = value >> kSatpModeShift;
  // A mode that is not there leaves the register as it was (privileged specification, satp).
  if (mode == kSatpModeBare) hart.satp = 0;
  if (mode == kSatpModeSv39) hart.satp = mode << kSatpModeShift | (value & kSatpPpnMask);
}

}  // namespace

bool write_csr(Hart& hart, uint16_t number, uint64_t value) {
  if (!privilege_suffices(hart, number) || (number >> 10) == 3) return false;
  const Csr csr = static_cast<Csr>(number);
  switch (csr) {
    case Csr::kFflags:
    case Csr::kFrm:
    case Csr::kFcsr:
      return write_float_csr(hart, csr, value);
    case Csr::kSstatus:
      hart.sstatus = (hart.sstatus & ~kStatusWritable) | (value & kStatusWritable);
      return true;
    case Csr::kSie:
      hart.sie = value & kInterruptsWritable;
      return true;
    case Csr::kStvec:
      if ((value & 2) == 0) hart.stvec = value;
      return true;
    case Csr::kScounteren:
      hart.scounteren = value & kCountersWritable;
      return true;
    case Csr::kSenvcfg:
      hart.senvcfg = value & environment_writable(hart);
      return true;
    case Csr::kSscratch:
      hart.sscratch = value;
      return true;
    case Csr::kSepc:
      hart.sepc = value & ~uint64_t{1};
      return true;
    case Csr::kScause:
      hart.scause = value;
      return true;
    case Csr::kStval:
      hart.stval = value;
      return true;
    case Csr::kSip:
      hart.software_interrupt = (value & kSoftwareInterrupt) != 0;
      return true;
    case Csr::kStimecmp:
      hart.stimecmp = GuestTicks(value);
      return true;
    case Csr::kSatp:
      write_satp(hart, value);
      return true;
    case Csr::kCycle:
    case Csr::kTime:
    case Csr::kInstret:
      return false;
  }
  return false;
}

}  // namespace lockstep::riscv
