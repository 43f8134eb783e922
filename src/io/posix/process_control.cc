#include "io/posix/process_control.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <spawn.h>
#include <sstream>
#include <string_view>
#include <sys/wait.h>
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

// Valid as long as `argv` is. What takes it does not write to it; its type predates const.
std::vector<char*> exec_arguments(const std::vector<std::string>& argv) {
  std::vector<char*> arguments;
  for (const std::string& argument : argv) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);
  return arguments;
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

Result<std::chrono::nanoseconds> process_cpu_time(ProcessId process) {
  const Result<std::string> stat = read_small_file(fmt::format("/proc/{}/stat", process.value));
  if (!stat) {
    return fail(ErrorCode::kNotFound, "there is no process", std::to_string(process.value));
  }
  // "pid (name) state …": the name may hold anything, even ')'. utime and stime are fields 14 and
  // 15 of all, the state is the third.
  constexpr int kFieldsBeforeTimes = 11;
  std::istringstream fields(stat->substr(std::min(stat->rfind(')') + 1, stat->size())));
  std::string skipped;
  for (int i = 0; i < kFieldsBeforeTimes; ++i) fields >> skipped;
  uint64_t user_ticks = 0;
  uint64_t system_ticks = 0;
  if (!(fields >> user_ticks >> system_ticks)) {
    return fail(ErrorCode::kSystem, "cannot read the processor time of process",
                std::to_string(process.value));
  }
  const auto ticks_per_second = static_cast<uint64_t>(::sysconf(_SC_CLK_TCK));
  constexpr uint64_t kNsPerSecond = 1'000'000'000;
  return std::chrono::nanoseconds((user_ticks + system_ticks) * (kNsPerSecond / ticks_per_second));
}

Status end_process(ProcessId process, EndSignal signal) {
  Status sent = send_signal(process, signal == EndSignal::kKill ? SIGKILL : SIGTERM);
  if (!sent && sent.error().code == ErrorCode::kNotFound) return {};
  return sent;
}

Result<ChildProcess> ChildProcess::start(const std::vector<std::string>& argv,
                                         const std::string& log_path) {
  const Fd log(::open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!log.valid()) return fail_errno("cannot open the log", log_path);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, log.get(), STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, log.get(), STDERR_FILENO);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t none, all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::vector<char*> arguments = exec_arguments(argv);
  pid_t pid = 0;
  errno = ::posix_spawn(&pid, arguments[0], &actions, &attributes, arguments.data(), environ);
  const int reason = errno;
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  errno = reason;
  if (reason != 0) return fail_errno("cannot run", argv[0]);
  return ChildProcess(ProcessId{pid});
}

std::optional<int> ChildProcess::exit_code() {
  if (exit_code_) return exit_code_;
  int status = 0;
  if (::waitpid(id_.value, &status, WNOHANG) != id_.value) return std::nullopt;
  exit_code_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return exit_code_;
}

Status replace_process(const std::vector<std::string>& argv) {
  std::vector<char*> arguments = exec_arguments(argv);
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
