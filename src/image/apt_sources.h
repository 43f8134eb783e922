// This machine's apt sources: where the Debian archive is.
//
// Formats: sources.list(5), one-line and deb822. Owner: none (pure functions but the last).
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace lockstep::image {

// An enabled source of binary packages.
struct AptSource {
  std::string uri;
  std::vector<std::string> suites;
  std::vector<std::string> components;
};

std::vector<AptSource> parse_one_line_sources(std::string_view text);
std::vector<AptSource> parse_deb822_sources(std::string_view text);

// The first source that carries `main` of a Debian release itself (not of its security archive, not
// of a third party), preferring one whose path ends in /debian. Empty: there is none.
std::string choose_debian_mirror(const std::vector<AptSource>& sources);

// From sources.list, *.list and *.sources below `apt_directory`.
Result<std::string> find_debian_mirror(const std::filesystem::path& apt_directory = "/etc/apt");

}  // namespace lockstep::image
