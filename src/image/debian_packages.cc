#include "image/debian_packages.h"

#include <algorithm>
#include <fmt/format.h>
#include <system_error>

#include "image/files.h"
#include "image/tools.h"

namespace lockstep::image {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// apt writes "1%3a2.3" for version 1:2.3 into a file name.
std::string percent_decoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 &&
        hex_digit(text[i + 2]) >= 0) {
      out.push_back(static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2])));
      i += 2;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

}  // namespace

bool is_package_name(std::string_view name) {
  const auto alphanumeric = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return name.size() >= 2 && alphanumeric(name[0]) && std::ranges::all_of(name, [&](char c) {
           return alphanumeric(c) || c == '+' || c == '-' || c == '.';
         });
}

DebianPackage parse_print_uris_line(std::string_view line) {
  if (!line.starts_with('\'')) return {};
  const size_t uri_end = line.find('\'', 1);
  if (uri_end == std::string_view::npos || uri_end + 2 > line.size()) return {};
  line.remove_prefix(uri_end + 2);
  const std::string_view file = line.substr(0, line.find(' '));
  const size_t first = file.find('_');
  const size_t last = file.rfind('_');
  if (first == std::string_view::npos || last == first || !file.ends_with(".deb")) return {};
  return {std::string(file.substr(0, first)),
          percent_decoded(file.substr(first + 1, last - first - 1)), std::string(file)};
}

Result<DebianPackages> DebianPackages::open(const std::filesystem::path& cache,
                                            const std::string& mirror) {
  DebianPackages packages;
  std::error_code error;
  packages.cache_ = std::filesystem::absolute(cache, error);
  if (!std::filesystem::exists(kDebianKeyring)) {
    return fail(ErrorCode::kNotFound, "missing the keys of the Debian archive", kDebianKeyring,
                "apt-get install debian-archive-keyring");
  }
  for (const char* directory : {"lists/partial", "archives/partial", "packages", "log"}) {
    if (auto status = make_directories(packages.cache_ / directory); !status) {
      return std::unexpected(status.error());
    }
  }
  // An empty package state: apt then resolves everything that a package needs.
  if (auto status = write_text(packages.cache_ / "status", ""); !status) {
    return std::unexpected(status.error());
  }
  const std::string source = fmt::format("deb [arch=riscv64 signed-by={}] {} {} main\n",
                                         kDebianKeyring, mirror, kDebianSuite);
  if (auto status = write_text(packages.cache_ / "sources.list", source); !status) {
    return std::unexpected(status.error());
  }
  return packages;
}

std::vector<std::string> DebianPackages::apt_get(const std::vector<std::string>& arguments) const {
  const std::string cache = cache_.string();
  std::vector<std::string> argv{"apt-get", "-q"};
  for (const std::string& option : {
           std::string("APT::Architecture=riscv64"),
           std::string("APT::Architectures=riscv64"),
           std::string("APT::Install-Recommends=false"),
           // Else root's apt gives the downloads to a user who may not enter the cache.
           std::string("APT::Sandbox::User="),
           std::string("Acquire::Languages=none"),
           std::string("Acquire::Retries=3"),
           "Dir::State=" + cache,
           "Dir::State::lists=" + cache + "/lists",
           "Dir::State::status=" + cache + "/status",
           "Dir::State::extended_states=" + cache + "/extended_states",
           "Dir::Cache=" + cache,
           "Dir::Log=" + cache + "/log",
           "Dir::Etc::sourcelist=" + cache + "/sources.list",
           std::string("Dir::Etc::sourceparts=/dev/null"),
           std::string("Dir::Etc::preferences=/dev/null"),
           std::string("Dir::Etc::preferencesparts=/dev/null"),
       }) {
    argv.emplace_back("-o");
    argv.push_back(option);
  }
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return argv;
}

Status DebianPackages::update() {
  // A list that cannot be fetched is only a warning by default; an old one would go unnoticed.
  auto status = run_tool(apt_get({"-o", "APT::Update::Error-Mode=any", "update"}));
  if (!status && status.error().code == ErrorCode::kSystem) {
    status.error().code = ErrorCode::kUnavailable;
    status.error().what = "cannot fetch the package lists with";
  }
  return status;
}

Result<std::vector<DebianPackage>> DebianPackages::resolve(const std::vector<std::string>& names) {
  std::vector<std::string> arguments{"install", "--print-uris", "-qq", "--yes"};
  arguments.insert(arguments.end(), names.begin(), names.end());
  std::vector<DebianPackage> packages;
  auto status = run_tool_lines(apt_get(arguments), [&](std::string_view line) {
    DebianPackage package = parse_print_uris_line(line);
    if (!package.name.empty() && packages.size() < kMaxPackages) {
      packages.push_back(std::move(package));
    }
  });
  if (!status) return std::unexpected(status.error());
  if (packages.empty()) {
    return fail(ErrorCode::kUnavailable, "the archive has no packages for", names[0],
                "remove " + cache_.string() + " and try again");
  }
  return packages;
}

Status DebianPackages::download(const std::vector<DebianPackage>& packages) {
  std::vector<std::string> arguments{"download"};
  for (const DebianPackage& package : packages) {
    arguments.push_back(package.name + "=" + package.version);
  }
  posix::CommandOptions options;
  options.working_directory = archives().string();
  auto status = run_tool(apt_get(arguments), options);
  if (!status && status.error().code == ErrorCode::kSystem) {
    status.error().code = ErrorCode::kUnavailable;
    status.error().what = "cannot fetch the packages with";
  }
  return status;
}

Status DebianPackages::unpack(const DebianPackage& package,
                              const std::filesystem::path& directory) {
  return run_tool(
      {"dpkg-deb", "--extract", (archives() / package.file).string(), directory.string()});
}

}  // namespace lockstep::image
