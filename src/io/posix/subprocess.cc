#include "io/posix/subprocess.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <fstream>
#include <linux/close_range.h>
#include <optional>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "io/posix/fd.h"

extern char** environ;

namespace lockstep::posix {
namespace {

// What a child sends up its report pipe when it cannot become the program. An end-of-file without
// it means that the program runs: the pipe is closed by exec.
enum class StartStage : int { kFork, kWorkingDirectory, kRedirect, kExec };
struct StartFailure {
  StartStage stage;
  int reason;  // errno
};

struct DaemonReport {
  pid_t process;
};

struct Pipe {
  Fd read_end;
  Fd write_end;
};

Result<Pipe> make_pipe(const std::string& program) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("cannot make a pipe to run", program);
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

// Everything that exec needs, made before fork: between fork and exec a child of a threaded process
// may only make async-signal-safe calls, and allocation is not one.
class ExecImage {
 public:
  ExecImage(const std::vector<std::string>& argv, const CommandOptions& options)
      : program_(find_program(argv[0])), argv_(argv), directory_(options.working_directory) {
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
      if (!overridden(*entry, options)) environment_.emplace_back(*entry);
    }
    for (const auto& [name, value] : options.environment) {
      environment_.push_back(name + "=" + value);
    }
    for (std::string& argument : argv_) argv_pointers_.push_back(argument.data());
    for (std::string& entry : environment_) environment_pointers_.push_back(entry.data());
    argv_pointers_.push_back(nullptr);
    environment_pointers_.push_back(nullptr);
  }
  ExecImage(const ExecImage&) = delete;
  ExecImage& operator=(const ExecImage&) = delete;

  bool found() const { return !program_.empty(); }

  // In the child; does not return. `input`, `output`: become the standard descriptors.
  [[noreturn]] void become(int input, int output, int report) {
    if (!directory_.empty() && ::chdir(directory_.c_str()) != 0) {
      give_up(report, StartStage::kWorkingDirectory);
    }
    if (::dup2(input, STDIN_FILENO) < 0 || ::dup2(output, STDOUT_FILENO) < 0 ||
        ::dup2(output, STDERR_FILENO) < 0) {
      give_up(report, StartStage::kRedirect);
    }
    restore_signals();
    // Linux before 5.11 lacks it: then only what was opened without O_CLOEXEC gets through.
    ::close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
    ::execve(program_.c_str(), argv_pointers_.data(), environment_pointers_.data());
    give_up(report, StartStage::kExec);
  }

  [[noreturn]] static void give_up(int report, StartStage stage) {
    const StartFailure failure{stage, errno};
    // Nobody is left to tell if this write fails; the parent then sees exit code 127.
    [[maybe_unused]] const ssize_t written = ::write(report, &failure, sizeof failure);
    ::_exit(127);
  }

 private:
  static bool overridden(const char* entry, const CommandOptions& options) {
    return std::ranges::any_of(options.environment, [&](const auto& variable) {
      const size_t length = variable.first.size();
      return std::strncmp(entry, variable.first.c_str(), length) == 0 && entry[length] == '=';
    });
  }

  // An ignored or blocked signal survives exec; a program expects the defaults.
  static void restore_signals() {
    struct sigaction action = {};
    action.sa_handler = SIG_DFL;
    for (const int signal : {SIGPIPE, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGCHLD}) {
      ::sigaction(signal, &action, nullptr);
    }
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
  }

  std::string program_;
  std::vector<std::string> argv_;
  std::vector<std::string> environment_;
  std::string directory_;
  std::vector<char*> argv_pointers_;
  std::vector<char*> environment_pointers_;
};

std::unexpected<Error> fail_start(const StartFailure& failure, const std::string& program,
                                  const CommandOptions& options) {
  errno = failure.reason;
  switch (failure.stage) {
    case StartStage::kFork:
      return fail_errno("cannot make a process for", program);
    case StartStage::kWorkingDirectory:
      return fail_errno("cannot enter the working directory", options.working_directory);
    case StartStage::kRedirect:
      return fail_errno("cannot set up the input and output of", program);
    case StartStage::kExec:
      break;
  }
  return fail_errno("cannot run", program);
}

std::unexpected<Error> fail_not_found(const std::string& program) {
  return fail(ErrorCode::kNotFound, "cannot find the program", program,
              "install it, or add its directory to PATH");
}

// Reads exactly `size` bytes, or fewer at end-of-file.
size_t read_fully(int fd, void* out, size_t size) {
  size_t done = 0;
  while (done < size) {
    const ssize_t count = ::read(fd, static_cast<char*>(out) + done, size - done);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    done += static_cast<size_t>(count);
  }
  return done;
}

int wait_for(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return 127;  // SIGCHLD is ignored: the kernel reaped it, the code is lost
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

// Cuts output into lines and keeps its tail.
class OutputCollector {
 public:
  explicit OutputCollector(const CommandOptions& options) : options_(options) {}

  void add(std::string_view text) {
    tail_.append(text);
    if (tail_.size() > 2 * kMaxCapturedOutput) tail_.erase(0, tail_.size() - kMaxCapturedOutput);
    if (!options_.on_output_line) return;
    while (!text.empty()) {
      const size_t room = kMaxOutputLine - line_.size();
      const size_t newline = text.substr(0, room).find('\n');
      line_.append(text.substr(0, std::min(newline, room)));
      text.remove_prefix(newline == std::string_view::npos ? std::min(room, text.size())
                                                           : newline + 1);
      if (newline != std::string_view::npos || line_.size() == kMaxOutputLine) emit_line();
    }
  }

  std::string finish() {
    if (!line_.empty()) emit_line();
    if (tail_.size() > kMaxCapturedOutput) tail_.erase(0, tail_.size() - kMaxCapturedOutput);
    return std::move(tail_);
  }

 private:
  void emit_line() {
    options_.on_output_line(line_);
    line_.clear();
  }

  const CommandOptions& options_;
  std::string tail_;
  std::string line_;
};

Result<Fd> open_null(const std::string& program) {
  Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!null.valid()) return fail_errno("cannot open /dev/null to run", program);
  return null;
}

// dup2 onto itself keeps CLOEXEC set: a descriptor that is to become a standard one must not be one
// already. Happens only in a process that was started without standard descriptors.
Status move_above_standard(Fd& fd, const std::string& program) {
  if (fd.get() > STDERR_FILENO) return {};
  Fd moved(::fcntl(fd.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
  if (!moved.valid()) return fail_errno("cannot set up the input and output of", program);
  fd = std::move(moved);
  return {};
}

// The first child of spawn_daemon: starts the daemon in a session of its own and goes, so that
// init (or a subreaper) inherits the daemon.
[[noreturn]] void run_daemon_starter(ExecImage& image, int input, int log, int report,
                                     int failure) {
  if (::setsid() < 0) ExecImage::give_up(failure, StartStage::kFork);
  const pid_t daemon = ::fork();
  if (daemon < 0) ExecImage::give_up(failure, StartStage::kFork);
  if (daemon == 0) image.become(input, log, failure);
  const DaemonReport result{daemon};
  const ssize_t written = ::write(report, &result, sizeof result);
  ::_exit(written == sizeof result ? 0 : 127);
}

}  // namespace

std::string find_program(const std::string& name) {
  if (name.empty()) return {};
  if (name.contains('/')) return name;
  const char* path = std::getenv("PATH");
  std::string_view rest = path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin";
  while (true) {
    const size_t colon = rest.find(':');
    const std::string_view directory = rest.substr(0, colon);
    const std::string candidate = fmt::format("{}/{}", directory.empty() ? "." : directory, name);
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    if (colon == std::string_view::npos) return {};
    rest.remove_prefix(colon + 1);
  }
}

Result<CommandResult> run_command(const std::vector<std::string>& argv,
                                  const CommandOptions& options) {
  CHECK(!argv.empty());
  ExecImage image(argv, options);
  if (!image.found()) return fail_not_found(argv[0]);
  auto null = open_null(argv[0]);
  if (!null) return std::unexpected(null.error());
  auto output = make_pipe(argv[0]);
  if (!output) return std::unexpected(output.error());
  auto failure = make_pipe(argv[0]);
  if (!failure) return std::unexpected(failure.error());
  for (Fd* fd : {&*null, &output->write_end, &failure->write_end}) {
    if (auto moved = move_above_standard(*fd, argv[0]); !moved) {
      return std::unexpected(moved.error());
    }
  }

  const pid_t child = ::fork();
  if (child < 0) return fail_errno("cannot make a process for", argv[0]);
  if (child == 0) {
    image.become(null->get(), output->write_end.get(), failure->write_end.get());
  }
  output->write_end.reset();
  failure->write_end.reset();

  StartFailure reason{};
  if (read_fully(failure->read_end.get(), &reason, sizeof reason) == sizeof reason) {
    wait_for(child);
    return fail_start(reason, argv[0], options);
  }
  OutputCollector collector(options);
  std::array<char, 16384> buffer;
  while (const size_t count = [&]() -> size_t {
    ssize_t got;
    do got = ::read(output->read_end.get(), buffer.data(), buffer.size());
    while (got < 0 && errno == EINTR);
    return got > 0 ? static_cast<size_t>(got) : 0;
  }()) {
    collector.add(std::string_view(buffer.data(), count));
  }
  CommandResult result;
  result.exit_code = wait_for(child);
  result.output = collector.finish();
  return result;
}

Result<ProcessId> spawn_daemon(const std::vector<std::string>& argv, const std::string& log_path,
                               const CommandOptions& options) {
  CHECK(!argv.empty());
  ExecImage image(argv, options);
  if (!image.found()) return fail_not_found(argv[0]);
  auto null = open_null(argv[0]);
  if (!null) return std::unexpected(null.error());
  Fd log(::open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640));
  if (!log.valid()) return fail_errno("cannot open the log file", log_path);
  auto report = make_pipe(argv[0]);
  if (!report) return std::unexpected(report.error());
  auto failure = make_pipe(argv[0]);
  if (!failure) return std::unexpected(failure.error());
  for (Fd* fd : {&*null, &log, &report->write_end, &failure->write_end}) {
    if (auto moved = move_above_standard(*fd, argv[0]); !moved) {
      return std::unexpected(moved.error());
    }
  }

  const pid_t starter = ::fork();
  if (starter < 0) return fail_errno("cannot make a process for", argv[0]);
  if (starter == 0) {
    run_daemon_starter(image, null->get(), log.get(), report->write_end.get(),
                       failure->write_end.get());
  }
  report->write_end.reset();
  failure->write_end.reset();
  wait_for(starter);

  StartFailure reason{};
  if (read_fully(failure->read_end.get(), &reason, sizeof reason) == sizeof reason) {
    return fail_start(reason, argv[0], options);
  }
  DaemonReport result{};
  if (read_fully(report->read_end.get(), &result, sizeof result) != sizeof result) {
    return fail(ErrorCode::kSystem, "lost the process while starting", argv[0],
                "see the log " + log_path);
  }
  return ProcessId{result.process};
}

ProcessId this_process() {
  return ProcessId{::getpid()};
}

bool running_as_root() {
  return ::geteuid() == 0;
}

bool process_alive(ProcessId process) {
  if (process.value <= 0) return false;
  if (::kill(process.value, 0) != 0 && errno != EPERM) return false;
  // proc(5), /proc/PID/stat: "pid (name) state …"; the name may hold anything, even ')'.
  std::ifstream stat(fmt::format("/proc/{}/stat", process.value));
  std::string text;
  if (!std::getline(stat, text)) return ::kill(process.value, 0) == 0 || errno == EPERM;
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos || name_end + 2 >= text.size()) return true;
  const char state = text[name_end + 2];
  return state != 'Z' && state != 'X';
}

Status send_signal(ProcessId process, int signal) {
  CHECK(process.value > 0);
  if (::kill(process.value, signal) == 0) return {};
  const std::string object = std::to_string(process.value);
  if (errno == ESRCH) return fail(ErrorCode::kNotFound, "there is no process", object);
  return fail_errno("cannot send a signal to process", object);
}

}  // namespace lockstep::posix
