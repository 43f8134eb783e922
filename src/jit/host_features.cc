#include "jit/host_features.h"

#include <cpuid.h>
#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace lockstep::jit {

HostFeatures HostFeatures::probe() {
  HostFeatures features;
  __builtin_cpu_init();
  features.fma = __builtin_cpu_supports("fma") != 0;
  features.bmi2 = __builtin_cpu_supports("bmi2") != 0 && __builtin_cpu_supports("avx") != 0;
  features.bmi1 = __builtin_cpu_supports("bmi") != 0 && __builtin_cpu_supports("avx") != 0;
  features.lzcnt = __builtin_cpu_supports("lzcnt") != 0;
  features.popcnt = __builtin_cpu_supports("popcnt") != 0;
  const char* mask = std::getenv("LOCKSTEP_HOST_FEATURES");
  if (mask == nullptr) return features;
  const std::string_view named(mask);
  const auto keep = [named](bool& feature, std::string_view name) {
    feature = feature && named.find(name) != std::string_view::npos;
  };
  keep(features.fma, "fma");
  keep(features.bmi2, "bmi2");
  keep(features.bmi1, "bmi1");
  keep(features.lzcnt, "lzcnt");
  keep(features.popcnt, "popcnt");
  return features;
}

Serialization host_serialization() {
  constexpr unsigned kSerializeBit = 1u << 14;  // CPUID leaf 7, EDX
  static const bool has_serialize = [] {
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    unsigned d = 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & kSerializeBit) != 0;
  }();
  return has_serialize ? Serialization::kInstruction : Serialization::kInterruptReturn;
}

void serialize_processor(Serialization by) {
  if (by == Serialization::kInstruction) {
    asm volatile(".byte 0x0f, 0x01, 0xe8" ::: "memory");
    return;
  }
  // The frame that IRET takes lies below the red zone.
  asm volatile(
      "movq %%rsp, %%rcx\n\t"
      "subq $128, %%rsp\n\t"
      "andq $-16, %%rsp\n\t"
      "movl %%ss, %%eax\n\t"
      "pushq %%rax\n\t"
      "pushq %%rcx\n\t"
      "pushfq\n\t"
      "movl %%cs, %%eax\n\t"
      "pushq %%rax\n\t"
      "leaq 1f(%%rip), %%rax\n\t"
      "pushq %%rax\n\t"
      "iretq\n\t"
      "1:"
      :
      :
      : "rax", "rcx", "memory", "cc");
}

}  // namespace lockstep::jit
