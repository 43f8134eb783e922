#include "cli/processes.h"

#include <charconv>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <thread>
#include <utility>

#include "api/client.h"
#include "io/posix/host_files.h"

namespace lockstep::cli {
namespace {

constexpr std::chrono::milliseconds kPollPeriod{20};
constexpr size_t kQuotedLogBytes = 8192;

std::optional<Recorded> recorded(const std::string& pid_file, const char* program,
                                 const std::string& argument) {
  const Result<std::string> text = posix::read_small_file(pid_file);
  if (!text) return std::nullopt;
  Recorded found;
  std::from_chars(text->data(), text->data() + text->size(), found.id.value);
  found.alive = posix::process_runs(found.id, program, argument);
  return found;
}

void remove_files(std::initializer_list<std::string> paths) {
  std::error_code ignored;
  for (const std::string& path : paths) std::filesystem::remove(path, ignored);
}

// The nodes in the order in which they are to be stopped.
std::array<config::Node, 2> stopping_order(const config::VmLayout& layout) {
  const auto status = api::ApiClient(layout.api_socket(config::Node::kA)).status();
  const bool a_is_backup = status && status->role == api::Role::kBackup;
  const config::Node first = a_is_backup ? config::Node::kA : config::Node::kB;
  return {first, config::other_node(first)};
}

}  // namespace

std::optional<Recorded> recorded_replica(const config::VmLayout& layout, config::Node node) {
  return recorded(layout.replica_pid_file(node), kVmmProgram, layout.directory());
}

std::optional<Recorded> recorded_gateway(const config::VmLayout& layout) {
  return recorded(layout.gateway_pid_file(), kGatewayProgram, layout.gateway_config_file());
}

std::optional<posix::ProcessId> live_replica(const config::VmLayout& layout, config::Node node) {
  const std::optional<Recorded> found = recorded_replica(layout, node);
  if (!found || !found->alive) return std::nullopt;
  return found->id;
}

Result<std::string> find_own_program(const std::string& name) {
  const Result<std::string> directory = posix::own_program_directory();
  if (!directory) return std::unexpected(directory.error());
  std::string path = *directory + "/" + name;
  std::error_code ignored;
  if (std::filesystem::is_regular_file(path, ignored)) return path;
  return fail(ErrorCode::kNotFound, "cannot find the program", path,
              fmt::format("build or install {} beside this one", name));
}

Status record_process(const std::string& pid_file, posix::ProcessId process) {
  return posix::write_file_atomically(pid_file, fmt::format("{}\n", process.value));
}

bool wait_until_gone(posix::ProcessId process, std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (posix::process_alive(process)) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(kPollPeriod);
  }
  return true;
}

Status stop_process(posix::ProcessId process) {
  if (Status sent = posix::end_process(process, posix::EndSignal::kTerminate); !sent) return sent;
  if (wait_until_gone(process, kTerminatePatience)) return {};
  if (Status sent = posix::end_process(process, posix::EndSignal::kKill); !sent) return sent;
  if (wait_until_gone(process, kTerminatePatience)) return {};
  return fail(ErrorCode::kSystem, "cannot stop process", std::to_string(process.value),
              "it survives SIGKILL; is it waiting for a disk or a network file system?");
}

Status stop_everything(const config::VmLayout& layout) {
  for (const config::Node node : stopping_order(layout)) {
    if (const auto process = live_replica(layout, node)) {
      if (Status stopped = stop_process(*process); !stopped) return stopped;
    }
    remove_files({layout.replica_pid_file(node), layout.api_socket(node)});
  }
  if (const auto gateway = recorded_gateway(layout); gateway && gateway->alive) {
    if (Status stopped = stop_process(gateway->id); !stopped) return stopped;
  }
  remove_files({layout.gateway_pid_file(), layout.gateway_socket(), layout.console_socket(),
                layout.gateway_status_socket(), layout.channel_socket()});
  return {};
}

std::string quote_log(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return {};
  const auto size = static_cast<size_t>(file.tellg());
  std::string tail(std::min(size, kQuotedLogBytes), '\0');
  file.seekg(-static_cast<std::streamoff>(tail.size()), std::ios::end);
  file.read(tail.data(), static_cast<std::streamsize>(tail.size()));
  while (tail.ends_with('\n')) tail.pop_back();
  size_t begin = tail.size();
  for (size_t lines = 0; begin != 0 && lines < kQuotedLogLines; ++lines) {
    const size_t newline = tail.rfind('\n', begin - 1);
    begin = newline == std::string::npos ? 0 : newline;
  }
  std::string quoted;
  for (const char c : tail.substr(begin + (tail[begin] == '\n' ? 1 : 0))) {
    if (quoted.empty() || quoted.back() == '\n') quoted += "    ";
    quoted += c;
  }
  return quoted;
}

}  // namespace lockstep::cli
