#include "config/load.h"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>
#include <map>
#include <numeric>
#include <utility>

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include "base/check.h"
#include "config/schema.h"
#include "config/values.h"
#include "io/posix/host_files.h"

namespace lockstep::config {
namespace {

using Applied = std::expected<void, std::string>;  // the error goes on from "must be"

Applied must_be(std::string text) {
  return std::unexpected(std::move(text));
}

std::string_view type_name(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "a list";
    case toml::node_type::string:
      return "a text";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a fraction";
    case toml::node_type::boolean:
      return "true or false";
    default:
      return "a date or time";
  }
}

Applied wrong_type(std::string_view wanted, const toml::node& node) {
  return must_be(fmt::format("{}, not {}", wanted, type_name(node)));
}

bool is_name(std::string_view text) {
  const auto is_letter_or_digit = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  return !text.empty() && is_letter_or_digit(text[0]) && std::ranges::all_of(text, [&](char c) {
    return is_letter_or_digit(c) || c == '.' || c == '_' || c == '-';
  });
}

// Gives one value of the file, or one default, to its field. One call per key.
class Assignment {
 public:
  Assignment(const SchemaRow& row, const toml::node& node, const std::filesystem::path& base)
      : row_(row), node_(node), base_(base) {}

  Applied operator()(std::string* field) const {
    const auto text = node_.value_exact<std::string>();
    if (!text) return wrong_type("a text in quotes", node_);
    switch (row_.kind) {
      case ValueKind::kName:
        if (!is_name(*text)) {
          return must_be(fmt::format(
              "letters, digits, '.', '_' and '-', and begin with a letter or digit; \"{}\" is not",
              *text));
        }
        break;
      case ValueKind::kPath:
      case ValueKind::kDiskPath:
        return assign_path(*text, field);
      default:
        break;
    }
    if (text->size() > row_.max) {
      return must_be(fmt::format("at most {} bytes long, not {}", row_.max, text->size()));
    }
    if (text->find_first_of(std::string_view("\0\n", 2)) != std::string::npos) {
      return must_be("a single line");
    }
    *field = *text;
    return {};
  }

  Applied operator()(bool* field) const {
    const auto value = node_.value_exact<bool>();
    if (!value) return wrong_type("true or false", node_);
    *field = *value;
    return {};
  }

  Applied operator()(uint64_t* field) const {
    return row_.kind == ValueKind::kSize ? assign_size(field) : assign_integer(field);
  }

  Applied operator()(Engine* field) const { return assign_choice(field); }
  Applied operator()(std::optional<Engine>* field) const {
    return assign_choice(&field->emplace());
  }
  Applied operator()(NetMode* field) const { return assign_choice(field); }

  Applied operator()(std::optional<MacAddress>* field) const {
    return assign_parsed(field, "a MAC address in quotes", parse_mac);
  }

  Applied operator()(ArbiterAddress* field) const {
    return assign_parsed(field, "\"dir:PATH\" or \"etcd:URL\"", parse_arbiter);
  }

  Applied operator()(riscv::IsaExtensions* field) const {
    return assign_parsed(field, "an instruction set in quotes", riscv::parse_isa);
  }

  Applied operator()(std::vector<PortForward>* field) const {
    const toml::array* list = node_.as_array();
    if (list == nullptr) return wrong_type("a list of forwards", node_);
    if (list->size() > row_.max) {
      return must_be(fmt::format("at most {} forwards, not {}", row_.max, list->size()));
    }
    field->clear();
    for (const toml::node& item : *list) {
      const auto text = item.value_exact<std::string>();
      if (!text) return wrong_type("a list of texts in quotes", item);
      Parsed<PortForward> forward = parse_forward(*text);
      if (!forward) return must_be("a list of " + forward.error());
      field->push_back(*forward);
    }
    return {};
  }

 private:
  Applied assign_path(const std::string& text, std::string* field) const {
    if (text.empty()) return must_be("a path, not an empty text");
    if (text.find('\0') != std::string::npos) return must_be("a path without a zero byte");
    if (row_.kind == ValueKind::kDiskPath && is_nbd_address(text)) {
      *field = text;
    } else {
      *field = (base_ / text).lexically_normal().string();
    }
    return {};
  }

  Applied assign_size(uint64_t* field) const {
    uint64_t bytes = 0;
    if (const auto text = node_.value_exact<std::string>()) {
      const Parsed<uint64_t> parsed = parse_size(*text);
      if (!parsed) return must_be(parsed.error());
      bytes = *parsed;
    } else if (const auto number = node_.value_exact<int64_t>(); number && *number >= 0) {
      bytes = static_cast<uint64_t>(*number);
    } else {
      return wrong_type("a size such as \"512M\"", node_);
    }
    if (bytes < row_.min || bytes > row_.max) {
      return must_be(fmt::format("{} to {}, not {}", format_size(row_.min), format_size(row_.max),
                                 format_size(bytes)));
    }
    if (bytes % row_.multiple != 0) {
      return must_be(fmt::format("a multiple of {}; {} is not", format_size(row_.multiple),
                                 format_size(bytes)));
    }
    *field = bytes;
    return {};
  }

  Applied assign_integer(uint64_t* field) const {
    const auto value = node_.value_exact<int64_t>();
    if (!value) return wrong_type("an integer", node_);
    if (*value < 0 || static_cast<uint64_t>(*value) < row_.min ||
        static_cast<uint64_t>(*value) > row_.max) {
      return must_be(fmt::format("{} to {}{}{}, not {}", row_.min, row_.max,
                                 row_.unit.empty() ? "" : " ", row_.unit, *value));
    }
    *field = static_cast<uint64_t>(*value);
    return {};
  }

  template <typename Enum>
  Applied assign_choice(Enum* field) const {
    const auto text = node_.value_exact<std::string>();
    if (!text) return wrong_type("a text in quotes", node_);
    const auto found = std::ranges::find(row_.choices, *text);
    if (found == row_.choices.end()) {
      return must_be(
          fmt::format("one of \"{}\", not \"{}\"", fmt::join(row_.choices, "\", \""), *text));
    }
    *field = static_cast<Enum>(found - row_.choices.begin());
    return {};
  }

  template <typename Field, typename T>
  Applied assign_parsed(Field* field, std::string_view form,
                        Parsed<T> (*parse)(std::string_view)) const {
    const auto text = node_.value_exact<std::string>();
    if (!text) return wrong_type(form, node_);
    Parsed<T> parsed = parse(*text);
    if (!parsed) return must_be(parsed.error());
    *field = *parsed;
    return {};
  }

  const SchemaRow& row_;
  const toml::node& node_;
  const std::filesystem::path& base_;
};

class Loader {
 public:
  explicit Loader(const std::string& file)
      : file_(file), base_(std::filesystem::absolute(file).parent_path()) {}

  Loaded load(std::string_view text) {
    toml::parse_result parsed = toml::parse(text, file_);
    if (!parsed) {
      add(parsed.error().source().begin, "", std::string(parsed.error().description()));
      return finish();
    }
    read_file(parsed.table());
    if (problems_.empty()) check_whole();
    if (problems_.empty()) check_supported();
    return finish();
  }

 private:
  using Place = toml::source_position;

  void add(Place place, std::string key, std::string text, ErrorCode code = ErrorCode::kInvalid) {
    problems_.push_back({std::max<size_t>(place.line, 1), std::max<size_t>(place.column, 1),
                         std::move(key), std::move(text), code});
  }

  Loaded finish() {
    if (problems_.empty()) return std::move(config_);
    std::ranges::stable_sort(problems_, {}, [](const Problem& problem) {
      return std::pair(problem.line, problem.column);
    });
    return std::unexpected(Problems{file_, std::move(problems_)});
  }

  void read_file(const toml::table& file) {
    read_section(file, Section::kVm, 0);
    for (const SectionFacts& facts : sections()) {
      if (facts.section == Section::kVm) continue;
      const toml::node* node = file.get(facts.name);
      if (facts.repeats) {
        if (node != nullptr) read_repeated(*node, facts);
      } else if (node == nullptr) {
        read_section({}, facts.section, 0);
      } else if (const toml::table* table = node->as_table()) {
        read_section(*table, facts.section, 0);
      } else {
        add(node->source().begin, std::string(facts.name),
            fmt::format("must be a table: {}", facts.header));
      }
    }
  }

  void read_repeated(const toml::node& node, const SectionFacts& facts) {
    const toml::array* tables = node.as_array();
    if (tables == nullptr || !tables->is_homogeneous(toml::node_type::table)) {
      add(node.source().begin, std::string(facts.name),
          fmt::format("write {}, in two pairs of brackets: a VM may have several", facts.header));
      return;
    }
    if (tables->size() > facts.max_count) {
      add(tables->get(facts.max_count)->source().begin, std::string(facts.name),
          fmt::format("a VM has at most {} of them", facts.max_count));
      return;
    }
    for (size_t i = 0; i < tables->size(); ++i) {
      if (facts.section == Section::kDisk) config_.disks.emplace_back();
      if (facts.section == Section::kNet) config_.nets.emplace_back();
      read_section(*tables->get(i)->as_table(), facts.section, i);
    }
  }

  static std::string full_key(Section section, std::string_view key, size_t index) {
    const SectionFacts& facts = facts_of(section);
    if (facts.name.empty()) return std::string(key);
    if (!facts.repeats) return fmt::format("{}.{}", facts.name, key);
    return fmt::format("{}[{}].{}", facts.name, index, key);
  }

  void read_section(const toml::table& table, Section section, size_t index) {
    for (const SchemaRow& row : schema()) {
      if (row.section != section) continue;
      const std::string key = full_key(section, row.key, index);
      const toml::node* node = table.get(row.key);
      places_[key] = (node != nullptr ? *node : table).source().begin;
      if (node != nullptr) {
        apply(row, *node, index, key);
      } else if (row.required) {
        add(table.source().begin, key, fmt::format("is missing ({})", describe_type(row)));
      } else if (!row.default_toml.empty()) {
        apply_default(row, index);
      }
    }
    for (const auto& [key, node] : table) {
      if (!is_known(key.str(), section)) report_unknown(key, section, index);
    }
  }

  void apply(const SchemaRow& row, const toml::node& node, size_t index, const std::string& key) {
    const Applied applied = std::visit(Assignment(row, node, base_), row.field(config_, index));
    if (!applied) add(node.source().begin, key, "must be " + applied.error());
  }

  void apply_default(const SchemaRow& row, size_t index) {
    const toml::parse_result parsed = toml::parse(fmt::format("value = {}", row.default_toml));
    CHECK(parsed);
    const Applied applied =
        std::visit(Assignment(row, *parsed.table().get("value"), base_), row.field(config_, index));
    CHECK(applied);
  }

  static std::vector<std::string_view> known_keys(Section section) {
    std::vector<std::string_view> known;
    for (const SchemaRow& row : schema()) {
      if (row.section == section) known.push_back(row.key);
    }
    for (const SectionFacts& facts : sections()) {
      if (section == Section::kVm && !facts.name.empty()) known.push_back(facts.name);
    }
    return known;
  }

  static bool is_known(std::string_view key, Section section) {
    const std::vector<std::string_view> known = known_keys(section);
    return std::ranges::find(known, key) != known.end();
  }

  void report_unknown(const toml::key& key, Section section, size_t index) {
    const std::string_view name = key.str();
    std::string text = "unknown key";
    const auto elsewhere = std::ranges::find(schema(), name, &SchemaRow::key);
    if (elsewhere != schema().end()) {
      const std::string_view header = facts_of(elsewhere->section).header;
      text += header.empty() ? "; it belongs before the first table"
                             : fmt::format("; it belongs in {}", header);
    } else {
      const std::vector<std::string_view> known = known_keys(section);
      const std::string_view nearest = nearest_key(name, known);
      text += nearest.empty() ? fmt::format("; known here: {}", fmt::join(known, ", "))
                              : fmt::format("; did you mean {}?", nearest);
    }
    add(key.source().begin, full_key(section, name, index), std::move(text));
  }

  void add_at(const std::string& key, std::string text, ErrorCode code = ErrorCode::kInvalid) {
    const auto place = places_.find(key);
    CHECK(place != places_.end());
    add(place->second, key, std::move(text), code);
  }

  // What no single key shows.
  void check_whole() {
    if (config_.kernel.empty() && config_.firmware.empty()) {
      add_at("kernel", "is missing: nothing to boot; give a kernel");
    }
    if (!config_.kernel.empty() && !config_.firmware.empty()) {
      add_at("firmware", "cannot be given together with kernel: choose one");
    }
    if (!config_.initrd.empty() && config_.kernel.empty()) {
      add_at("initrd", "belongs to a kernel, and there is none");
    }
    const ProtectionConfig& protection = config_.protection;
    if (protection.suspect_after_ms < 3 * protection.heartbeat_ms) {
      add_at("protection.suspect_after_ms",
             fmt::format("must be at least three heartbeats: {} ms with heartbeat_ms = {}",
                         3 * protection.heartbeat_ms, protection.heartbeat_ms));
    }
    check_disks();
    check_forwards();
  }

  void check_disks() {
    for (size_t i = 0; i < config_.disks.size(); ++i) {
      for (size_t j = 0; j < i; ++j) {
        if (config_.disks[i].path != config_.disks[j].path) continue;
        add_at(full_key(Section::kDisk, "path", i),
               fmt::format("is the image of disk[{}] already", j));
      }
    }
  }

  void check_forwards() {
    std::map<std::string, size_t> taken;  // "tcp:127.0.0.1:6379" -> net
    for (size_t i = 0; i < config_.nets.size(); ++i) {
      for (const PortForward& forward : config_.nets[i].forward) {
        if (forward.host_port == 0) continue;
        PortForward host_side = forward;
        host_side.guest_port = 0;
        const auto [other, first] = taken.emplace(format_forward(host_side), i);
        if (first) continue;
        add_at(full_key(Section::kNet, "forward", i),
               fmt::format("uses the host's port {} of net[{}] again", forward.host_port,
                           other->second));
      }
    }
  }

  void check_supported() {
    for (const NotYetSupported& entry : not_yet_supported()) {
      for (size_t i = 0; i < count_of(entry.section, config_); ++i) {
        if (!entry.used(config_, i)) continue;
        add_at(full_key(entry.section, entry.key, i), std::string(entry.text),
               ErrorCode::kIncompatible);
      }
    }
  }

  std::string file_;
  std::filesystem::path base_;
  VmConfig config_;
  std::vector<Problem> problems_;
  std::map<std::string, Place> places_;
};

// Levenshtein distance.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

}  // namespace

std::string Problems::text() const {
  std::string text;
  for (const Problem& problem : list) {
    if (!text.empty()) text += '\n';
    text += fmt::format("{}:{}:{}: {}{}{}", file, problem.line, problem.column, problem.key,
                        problem.key.empty() ? "" : ": ", problem.text);
  }
  return text;
}

Error Problems::error() const {
  const bool all_alike = std::ranges::all_of(
      list, [&](const Problem& problem) { return problem.code == list[0].code; });
  return Error{all_alike ? list[0].code : ErrorCode::kInvalid, "cannot use the configuration", file,
               fmt::format("\n{}", text())};
}

Loaded load_config(const std::string& path) {
  const Result<std::string> text = posix::read_small_file(path);
  if (!text) {
    return std::unexpected(
        Problems{path, {Problem{1, 1, "", text.error().text(), text.error().code}}});
  }
  return parse_config(*text, path);
}

Loaded parse_config(std::string_view text, const std::string& file) {
  return Loader(file).load(text);
}

std::string_view nearest_key(std::string_view key, const std::vector<std::string_view>& known) {
  std::string_view nearest;
  size_t best = std::max<size_t>(2, key.size() / 3) + 1;  // farther is not a slip of the hand
  for (const std::string_view candidate : known) {
    const size_t distance = edit_distance(key, candidate);
    if (distance < best) {
      best = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

}  // namespace lockstep::config
