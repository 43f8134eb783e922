#include "image/tools.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <system_error>
#include <utility>

namespace lockstep::image {
namespace {

constexpr size_t kMaxErrorLines = 4;

// Where a program and the package that has it have different names.
constexpr std::array<std::pair<std::string_view, std::string_view>, 9> kPackages = {{
    {"apt-get", "apt"},
    {"apt-cache", "apt"},
    {"dpkg-deb", "dpkg"},
    {"xz", "xz-utils"},
    {"mke2fs", "e2fsprogs"},
    {"qemu-riscv64-static", "qemu-user-static"},
    {"qemu-riscv64", "qemu-user"},
    {"cp", "coreutils"},
    {"mount", "mount"},
}};

std::string package_of(const std::string& program) {
  const auto found = std::ranges::find(kPackages, program, &decltype(kPackages)::value_type::first);
  return found == kPackages.end() ? program : std::string(found->second);
}

// The last lines, on one line.
std::string tail_of(std::string_view output) {
  while (output.ends_with('\n')) output.remove_suffix(1);
  size_t start = output.size();
  for (size_t lines = 0; lines < kMaxErrorLines && start != std::string_view::npos && start > 0;
       ++lines) {
    start = output.rfind('\n', start - 1);
  }
  if (start != std::string_view::npos && start < output.size()) output.remove_prefix(start + 1);
  std::string text(output);
  size_t newline = 0;
  while ((newline = text.find('\n', newline)) != std::string::npos) text.replace(newline, 1, " | ");
  return text;
}

}  // namespace

std::string find_tool(const std::string& name) {
  if (std::string path = posix::find_program(name); !path.empty()) return path;
  // Some tools stand where the PATH of a user who is not root does not look.
  for (const char* directory : {"/usr/sbin/", "/sbin/"}) {
    std::error_code error;
    if (std::filesystem::exists(directory + name, error)) return directory + name;
  }
  return {};
}

Status require_tools(const std::vector<std::string>& names) {
  std::vector<std::string> missing;
  std::vector<std::string> packages;
  for (const std::string& name : names) {
    if (!find_tool(name).empty()) continue;
    missing.push_back(name);
    packages.push_back(package_of(name));
  }
  if (missing.empty()) return {};
  return fail(ErrorCode::kNotFound,
              "missing programs:", fmt::format("{}", fmt::join(missing, ", ")),
              fmt::format("apt-get install {}", fmt::join(packages, " ")));
}

Status run_tool(const std::vector<std::string>& argv, const posix::CommandOptions& options) {
  std::vector<std::string> command = argv;
  if (std::string path = find_tool(argv[0]); !path.empty()) command[0] = std::move(path);
  const auto result = posix::run_command(command, options);
  if (!result) return std::unexpected(result.error());
  if (result->exit_code == 0) return {};
  const bool no_space = result->output.contains("No space left on device");
  return fail(no_space ? ErrorCode::kNoSpace : ErrorCode::kSystem,
              fmt::format("exit code {} from", result->exit_code), argv[0],
              tail_of(result->output));
}

Status run_tool_lines(const std::vector<std::string>& argv,
                      const std::function<void(std::string_view line)>& on_line) {
  posix::CommandOptions options;
  options.on_output_line = on_line;
  return run_tool(argv, options);
}

}  // namespace lockstep::image
