// What the guest's hart offers beyond RV64GC: the configuration fixes it, and the decoder refuses
// the rest.
//
// Values. Owner: none. Source: the RISC-V unprivileged specification ("B", "Zicond", "CMO") and
// the privileged one ("Svvptc").
#pragma once

#include <cstdint>
#include <initializer_list>

namespace lockstep::riscv {

enum class IsaExtension : uint8_t {
  kBase,    // no extension: RV64GC, which every guest has
  kZba,     // address generation
  kZbb,     // basic bit manipulation
  kZbs,     // single bits
  kZicond,  // conditional zero
  kZicboz,  // cbo.zero
  kSvvptc,  // a PTE made valid is seen without a fence: no instruction
};

// A set of extensions; kBase is always in it.
class IsaExtensions {
 public:
  constexpr IsaExtensions() = default;
  constexpr IsaExtensions(std::initializer_list<IsaExtension> extensions) {
    for (const IsaExtension extension : extensions) add(extension);
  }

  constexpr void add(IsaExtension extension) { bits_ |= bit(extension); }
  constexpr bool has(IsaExtension extension) const { return (bits_ & bit(extension)) != 0; }

  bool operator==(const IsaExtensions&) const = default;

 private:
  static constexpr uint32_t bit(IsaExtension extension) {
    return uint32_t{1} << static_cast<unsigned>(extension);
  }

  uint32_t bits_ = bit(IsaExtension::kBase);
};

inline constexpr IsaExtensions kAllExtensions{IsaExtension::kZba,    IsaExtension::kZbb,
                                              IsaExtension::kZbs,    IsaExtension::kZicond,
                                              IsaExtension::kZicboz, IsaExtension::kSvvptc};

// What cbo.zero clears, aligned to its size: riscv,cboz-block-size.
inline constexpr uint64_t kCacheBlockSize = 64;

}  // namespace lockstep::riscv
