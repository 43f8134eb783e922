// The schema of the configuration file: one table that parsing, error messages, `lockstep config
// check` and docs/configuration.md are all made from.
//
// A key exists when it has a row here, and nowhere else. Its default is written as it would be in
// the file, and is read by the same code as the file.
//
// Owner: none (constants).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/vm_config.h"

namespace lockstep::config {

enum class Section : uint8_t { kVm, kDisk, kNet, kProtection };

struct SectionFacts {
  Section section;
  std::string_view name;    // the table's name in the file; empty for the file's top level
  std::string_view header;  // "[[disk]]"
  bool repeats;
  size_t max_count;
  std::string_view doc;
};
std::span<const SectionFacts> sections();
const SectionFacts& facts_of(Section section);
// How many tables of this section a configuration has; 1 for those that do not repeat.
size_t count_of(Section section, const VmConfig& config);

enum class ValueKind : uint8_t {
  kName,      // letters, digits, '.', '_' and '-'; begins with a letter or digit
  kText,      // min..max bytes
  kPath,      // a file; relative to the configuration file
  kDiskPath,  // a file, or an NBD address
  kBoolean,
  kInteger,  // min..max, with a unit
  kSize,     // min..max bytes, a multiple of `multiple`
  kChoice,   // one of `choices`
  kIsa,
  kForwards,
  kMac,
  kArbiter,
};

// Where a value lives in a VmConfig.
using FieldPointer = std::variant<std::string*, bool*, uint64_t*, Engine*, std::optional<Engine>*,
                                  NetMode*, riscv::IsaExtensions*, std::vector<PortForward>*,
                                  std::optional<MacAddress>*, ArbiterAddress*>;

struct SchemaRow {
  Section section;
  std::string_view key;
  ValueKind kind;
  bool required = false;
  std::string_view default_toml = {};  // as in the file; empty: none
  std::string_view unit = {};
  uint64_t min = 0;
  uint64_t max = 0;
  uint64_t multiple = 1;
  std::span<const std::string_view> choices = {};  // in the order of the enumerators
  std::string_view doc;
  // `index`: which [[disk]] or [[net]]; 0 elsewhere.
  FieldPointer (*field)(VmConfig& config, size_t index);
};
std::span<const SchemaRow> schema();

// The type and the bounds, as a reader of the reference needs them: "size, 32M to 64G".
std::string describe_type(const SchemaRow& row);

// Designed, and refused by this version. A configuration that needs one of these must not start as
// if it had it.
struct NotYetSupported {
  Section section;
  std::string_view key;
  bool (*used)(const VmConfig& config, size_t index);
  std::string_view text;  // "shared disks need a fence: …"
};
std::span<const NotYetSupported> not_yet_supported();

}  // namespace lockstep::config
