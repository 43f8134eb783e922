#include "image/apt_sources.h"

#include <algorithm>
#include <array>
#include <system_error>

#include "image/files.h"

namespace lockstep::image {
namespace {

// The Debian archive carries these; a mirror that carries one carries them all but the archived
// ones, whose mirrors are not asked for new releases.
constexpr std::array<std::string_view, 12> kDebianSuites = {
    "bookworm",         "trixie",        "forky",   "duke",     "sid",
    "stable",           "oldstable",     "testing", "unstable", "bullseye",
    "bookworm-updates", "trixie-updates"};

std::vector<std::string> split_words(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  std::vector<std::string> words;
  while (true) {
    const size_t start = text.find_first_not_of(kBlank);
    if (start == std::string_view::npos) return words;
    const size_t end = std::min(text.find_first_of(kBlank, start), text.size());
    words.emplace_back(text.substr(start, end - start));
    text.remove_prefix(end);
  }
}

std::vector<std::string_view> split_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}

bool contains(const std::vector<std::string>& list, std::string_view value) {
  return std::ranges::find(list, value) != list.end();
}

// One paragraph of a deb822 file.
struct Stanza {
  std::vector<std::string> types;
  std::vector<std::string> uris;
  AptSource source;
  bool enabled = true;

  void set(std::string_view field, std::vector<std::string> values) {
    if (equals_ignoring_case(field, "Types"))
      types = std::move(values);
    else if (equals_ignoring_case(field, "URIs"))
      uris = std::move(values);
    else if (equals_ignoring_case(field, "Suites"))
      source.suites = std::move(values);
    else if (equals_ignoring_case(field, "Components"))
      source.components = std::move(values);
    else if (equals_ignoring_case(field, "Enabled")) {
      enabled = values.empty() || !equals_ignoring_case(values[0], "no");
    }
  }

  void finish(std::vector<AptSource>& out) {
    if (enabled && contains(types, "deb")) {
      for (const std::string& uri : uris) {
        out.push_back(source);
        out.back().uri = uri;
      }
    }
    *this = {};
  }
};

}  // namespace

std::vector<AptSource> parse_one_line_sources(std::string_view text) {
  std::vector<AptSource> sources;
  for (std::string_view line : split_lines(text)) {
    line = line.substr(0, line.find('#'));
    // Options: "deb [ arch=amd64 signed-by=… ] uri suite component…".
    std::string plain(line);
    if (const size_t open = plain.find('['); open != std::string::npos) {
      const size_t close = plain.find(']', open);
      if (close == std::string::npos) continue;
      plain.erase(open, close - open + 1);
    }
    std::vector<std::string> words = split_words(plain);
    if (words.size() < 3 || words[0] != "deb") continue;
    AptSource source;
    source.uri = words[1];
    source.suites = {words[2]};
    source.components.assign(words.begin() + 3, words.end());
    sources.push_back(std::move(source));
  }
  return sources;
}

std::vector<AptSource> parse_deb822_sources(std::string_view text) {
  std::vector<AptSource> sources;
  Stanza stanza;
  std::string field;
  std::string value;
  const auto finish_field = [&] {
    if (!field.empty()) stanza.set(field, split_words(value));
    field.clear();
    value.clear();
  };
  for (const std::string_view line : split_lines(text)) {
    if (line.starts_with('#')) continue;
    if (split_words(line).empty()) {
      finish_field();
      stanza.finish(sources);
    } else if (line.starts_with(' ') || line.starts_with('\t')) {
      value += ' ';
      value += line;
    } else if (const size_t colon = line.find(':'); colon != std::string_view::npos) {
      finish_field();
      field = line.substr(0, colon);
      value = line.substr(colon + 1);
    }
  }
  finish_field();
  stanza.finish(sources);
  return sources;
}

std::string choose_debian_mirror(const std::vector<AptSource>& sources) {
  std::string found;
  for (const AptSource& source : sources) {
    if (!contains(source.components, "main")) continue;
    const bool is_debian = std::ranges::any_of(source.suites, [](const std::string& suite) {
      return std::ranges::find(kDebianSuites, suite) != kDebianSuites.end();
    });
    if (!is_debian) continue;
    std::string uri = source.uri;
    while (uri.ends_with('/')) uri.pop_back();
    if (uri.ends_with("/debian")) return uri;
    if (found.empty()) found = uri;
  }
  return found;
}

Result<std::string> find_debian_mirror(const std::filesystem::path& apt_directory) {
  std::vector<std::filesystem::path> files{apt_directory / "sources.list"};
  std::error_code error;
  for (const auto& entry :
       std::filesystem::directory_iterator(apt_directory / "sources.list.d", error)) {
    files.push_back(entry.path());
  }
  std::ranges::sort(files);
  std::vector<AptSource> sources;
  for (const std::filesystem::path& file : files) {
    const bool deb822 = file.extension() == ".sources";
    if (!deb822 && file.extension() != ".list") continue;
    const auto text = read_text(file);
    if (!text) continue;  // apt skips what it cannot read, too, or has no sources.list
    auto found = deb822 ? parse_deb822_sources(*text) : parse_one_line_sources(*text);
    std::ranges::move(found, std::back_inserter(sources));
  }
  std::string mirror = choose_debian_mirror(sources);
  if (mirror.empty()) {
    return fail(ErrorCode::kNotFound, "no Debian archive among the apt sources of",
                apt_directory.string(), "name one with --mirror");
  }
  return mirror;
}

}  // namespace lockstep::image
