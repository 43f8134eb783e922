// What the guest's hart offers beyond RV64GC: the configuration fixes it, and the decoder refuses
// the rest.
//
// Values. Owner: none. Source: the RISC-V unprivileged specification ("B", "Zicond", "CMO") and
// the privileged one ("Svvptc").
#pragma once

#include <cstdint>
#include <expected>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

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

struct NamedExtension {
  std::string_view name;   // as in riscv,isa-extensions
  IsaExtension extension;  // kBase: every guest has it
};
// Those with names of several letters, in the canonical order of ISA strings.
std::span<const NamedExtension> named_extensions();

// "rv64gc_zba_zbb", and back. What every guest has may be named, too. The error is a phrase that
// goes on from "must be".
std::string format_isa(IsaExtensions isa);
std::expected<IsaExtensions, std::string> parse_isa(std::string_view text);

// What cbo.zero clears, aligned to its size: riscv,cboz-block-size.
inline constexpr uint64_t kCacheBlockSize = 64;

}  // namespace lockstep::riscv
