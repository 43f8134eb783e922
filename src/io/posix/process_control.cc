#include "io/posix/process_control.h"

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fmt/format.h>
#include <string_view>
#include <unistd.h>

#include "io/posix/fd.h"
#include "io/posix/host_files.h"

namespace lockstep::posix {
namespace {

std::vector<std::string_view> split_at_zeros(std::string_view text) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\0'), text.size());
    parts.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

}  // namespace

bool process_runs(ProcessId process, const std::string& program_name, const std::string& argument) {
  if (process.value <= 0 || !process_alive(process)) return false;
  const Result<std::string> line = read_small_file(fmt::format("/proc/{}/cmdline", process.value));
  if (!line) return false;
  const std::vector<std::string_view> arguments = split_at_zeros(*line);
  if (arguments.empty()) return false;
  if (std::filesystem::path(arguments[0]).filename() != program_name) return false;
  return std::find(arguments.begin() + 1, arguments.end(), argument) != arguments.end();
}

Status end_process(ProcessId process, EndSignal signal) {
  Status sent = send_signal(process, signal == EndSignal::kKill ? SIGKILL : SIGTERM);
  if (!sent && sent.error().code == ErrorCode::kNotFound) return {};
  return sent;
}

Status replace_process(const std::vector<std::string>& argv) {
  std::vector<char*> arguments;
  arguments.reserve(argv.size() + 1);
  // execv does not write to its arguments; its type predates const.
  for (const std::string& argument : argv) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);
  ::execv(arguments[0], arguments.data());
  return fail_errno("cannot run", argv[0]);
}

Result<std::string> own_program_directory() {
  std::error_code failed;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", failed);
  if (failed) return fail(ErrorCode::kSystem, "cannot find", "this program", failed.message());
  return program.parent_path().string();
}

}  // namespace lockstep::posix
