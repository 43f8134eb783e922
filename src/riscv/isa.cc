#include "riscv/isa.h"

#include <algorithm>
#include <fmt/format.h>
#include <vector>

namespace lockstep::riscv {
namespace {

constexpr std::string_view kEveryGuests = "rv64gc";
constexpr char kSeparator = '_';

// In the canonical order (unprivileged specification, "ISA Extension Naming Conventions").
constexpr NamedExtension kNamed[] = {
    {"zicboz", IsaExtension::kZicboz}, {"zicntr", IsaExtension::kBase},
    {"zicond", IsaExtension::kZicond}, {"zicsr", IsaExtension::kBase},
    {"zifencei", IsaExtension::kBase}, {"zba", IsaExtension::kZba},
    {"zbb", IsaExtension::kZbb},       {"zbs", IsaExtension::kZbs},
    {"sstc", IsaExtension::kBase},     {"svade", IsaExtension::kBase},
    {"svvptc", IsaExtension::kSvvptc},
};

std::vector<std::string_view> names_to_choose_from() {
  std::vector<std::string_view> names;
  for (const NamedExtension& named : kNamed) {
    if (named.extension != IsaExtension::kBase) names.push_back(named.name);
  }
  return names;
}

std::unexpected<std::string> must_be(std::string_view problem, std::string_view text) {
  return std::unexpected(fmt::format("{} and extensions, as in \"{}_zba_zbb\"; \"{}\" {} {}",
                                     kEveryGuests, kEveryGuests, text, problem,
                                     fmt::join(names_to_choose_from(), ", ")));
}

}  // namespace

std::span<const NamedExtension> named_extensions() {
  return kNamed;
}

std::string format_isa(IsaExtensions isa) {
  std::string text(kEveryGuests);
  for (const NamedExtension& named : kNamed) {
    if (named.extension == IsaExtension::kBase || !isa.has(named.extension)) continue;
    text += kSeparator;
    text += named.name;
  }
  return text;
}

std::expected<IsaExtensions, std::string> parse_isa(std::string_view text) {
  size_t end = std::min(text.find(kSeparator), text.size());
  if (text.substr(0, end) != kEveryGuests) {
    return must_be("does not begin so; the extensions are", text);
  }
  IsaExtensions isa;
  while (end != text.size()) {
    const size_t begin = end + 1;
    end = std::min(text.find(kSeparator, begin), text.size());
    const std::string_view name = text.substr(begin, end - begin);
    const auto named = std::ranges::find(kNamed, name, &NamedExtension::name);
    if (named == std::end(kNamed)) return must_be("is none of", name);
    isa.add(named->extension);
  }
  return isa;
}

}  // namespace lockstep::riscv
