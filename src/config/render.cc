#include "config/render.h"

#include <fmt/format.h>
#include <variant>

#include "config/schema.h"
#include "config/values.h"

namespace lockstep::config {
namespace {

// A TOML basic string (TOML 1.0, "String").
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\u{:04X}", byte);
    } else {
      out += c;
    }
  }
  return out + "\"";
}

// The value as the file would have it; empty when there is none.
struct ValueWriter {
  const SchemaRow& row;

  std::string operator()(const std::string* value) const {
    if (value->empty() && row.default_toml.empty()) return {};
    return quoted(*value);
  }
  std::string operator()(const bool* value) const { return *value ? "true" : "false"; }
  std::string operator()(const uint64_t* value) const {
    return row.kind == ValueKind::kSize ? quoted(format_size(*value)) : std::to_string(*value);
  }
  std::string operator()(const Engine* value) const { return choice(static_cast<size_t>(*value)); }
  std::string operator()(const std::optional<Engine>* value) const {
    return value->has_value() ? choice(static_cast<size_t>(**value)) : "";
  }
  std::string operator()(const NetMode* value) const { return choice(static_cast<size_t>(*value)); }
  std::string operator()(const riscv::IsaExtensions* value) const {
    return quoted(riscv::format_isa(*value));
  }
  std::string operator()(const std::vector<PortForward>* value) const {
    std::string list;
    for (const PortForward& forward : *value) {
      list += (list.empty() ? "" : ", ") + quoted(format_forward(forward));
    }
    return "[" + list + "]";
  }
  std::string operator()(const std::optional<MacAddress>* value) const {
    return value->has_value() ? quoted(format_mac(**value)) : "";
  }
  std::string operator()(const ArbiterAddress* value) const {
    return quoted(format_arbiter(*value));
  }

  std::string choice(size_t index) const { return quoted(row.choices[index]); }
};

constexpr std::string_view kReferenceHead =
    "# The configuration file\n\n"
    "<!-- Made from src/config/schema.cc by `lockstep config reference`; a test keeps it current. "
    "-->\n\n"
    "A VM is described by one TOML file. `lockstep config check FILE` checks it and shows every "
    "value. Unknown keys are errors.\nRelative paths start from the file's directory.\n\n"
    "```toml\n"
    "name    = \"redis\"\n"
    "memory  = \"256M\"\n"
    "kernel  = \"guest/vmlinuz\"\n"
    "initrd  = \"guest/initrd.img\"\n"
    "cmdline = \"root=/dev/vda rw console=ttyS0\"\n\n"
    "[[disk]]\n"
    "path = \"guest/redis.img\"\n\n"
    "[[net]]\n"
    "forward = [\"tcp:127.0.0.1:6379:6379\"]\n\n"
    "[protection]\n"
    "backups = 1\n"
    "```\n";

std::string reference_of(const SectionFacts& facts) {
  std::string text = facts.header.empty() ? "\n## Before the first table\n\n"
                                          : fmt::format("\n## `{}`\n\n", facts.header);
  text += fmt::format("{}{}\n\n", facts.doc,
                      facts.repeats ? fmt::format(" At most {}.", facts.max_count) : "");
  text += "| key | value | default | meaning |\n| --- | --- | --- | --- |\n";
  for (const SchemaRow& row : schema()) {
    if (row.section != facts.section) continue;
    const std::string fallback = row.required               ? "required"
                                 : row.default_toml.empty() ? "none"
                                                            : fmt::format("`{}`", row.default_toml);
    text +=
        fmt::format("| `{}` | {} | {} | {} |\n", row.key, describe_type(row), fallback, row.doc);
  }
  return text;
}

}  // namespace

std::string to_toml(const VmConfig& config) {
  VmConfig source = config;  // the schema's fields are pointers to change as well as to read
  std::string text;
  for (const SectionFacts& facts : sections()) {
    for (size_t i = 0; i < count_of(facts.section, config); ++i) {
      if (!facts.header.empty()) text += fmt::format("\n{}\n", facts.header);
      for (const SchemaRow& row : schema()) {
        if (row.section != facts.section) continue;
        const std::string value = std::visit(ValueWriter{row}, row.field(source, i));
        if (!value.empty()) text += fmt::format("{} = {}\n", row.key, value);
      }
    }
  }
  return text;
}

std::string configuration_reference() {
  std::string text(kReferenceHead);
  for (const SectionFacts& facts : sections()) text += reference_of(facts);
  text +=
      "\n## Not in this version\n\nThese values are part of the design and are refused, with this "
      "explanation:\n\n| key | explanation |\n| --- | --- |\n";
  for (const NotYetSupported& entry : not_yet_supported()) {
    const std::string_view name = facts_of(entry.section).name;
    text +=
        fmt::format("| `{}{}{}` | {} |\n", name, name.empty() ? "" : ".", entry.key, entry.text);
  }
  return text;
}

}  // namespace lockstep::config
