// What the host's processor offers beyond x86-64, of what translated code can use. Each has an
// exact fallback, so that features change speed only.
//
// Owner: none (values).
#pragma once

#include <cstdint>

namespace lockstep::jit {

struct HostFeatures {
  bool fma = false;   // FMA3, with AVX state enabled by the system
  bool bmi2 = false;  // SHLX, SHRX, SARX (VEX-coded)
  bool bmi1 = false;  // ANDN, TZCNT
  bool lzcnt = false;
  bool popcnt = false;

  // What this host has. LOCKSTEP_HOST_FEATURES=none in the environment masks everything off, for
  // tests; a list such as "fma,bmi2" masks off what it does not name.
  static HostFeatures probe();
};

// How a processor is made to forget what it fetched before.
enum class Serialization : uint8_t {
  kInstruction,      // SERIALIZE
  kInterruptReturn,  // IRET to the next instruction; does not leave a virtual machine as CPUID does
};
// What this host has: SERIALIZE, where CPUID says so.
Serialization host_serialization();

// After code was written at one address that is going to run at another: nothing that the processor
// fetched before is executed. Source: Intel 64 SDM, volume 3, "Handling Self- and Cross-Modifying
// Code".
void serialize_processor(Serialization by = host_serialization());

}  // namespace lockstep::jit
