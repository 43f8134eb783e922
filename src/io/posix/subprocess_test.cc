#include "io/posix/subprocess.h"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sstream>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "io/posix/fd.h"

namespace lockstep::posix {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class ScratchDirectory {
 public:
  ScratchDirectory() {
    std::string pattern = std::filesystem::temp_directory_path() / "lockstep-subprocess-XXXXXX";
    path_ = ::mkdtemp(pattern.data());
  }
  ~ScratchDirectory() { std::filesystem::remove_all(path_); }
  std::filesystem::path path() const { return path_; }

 private:
  std::filesystem::path path_;
};

std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// True when `condition` holds within a generous time.
template <typename Condition>
bool eventually(Condition condition) {
  for (int attempt = 0; attempt < 1000; ++attempt) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

TEST(RunCommand, ReturnsOutputOfBothStreamsAndExitCode) {
  const auto result = run_command({"sh", "-c", "echo out; echo err >&2; exit 3"});
  ASSERT_TRUE(result) << result.error().text();
  EXPECT_EQ(result->exit_code, 3);
  EXPECT_EQ(result->output, "out\nerr\n");
}

TEST(RunCommand, ReportsTheSignalThatEndedIt) {
  const auto result = run_command({"sh", "-c", "kill -9 $$"});
  ASSERT_TRUE(result);
  EXPECT_EQ(result->exit_code, 128 + SIGKILL);
}

TEST(RunCommand, MissingProgramIsAnErrorThatNamesIt) {
  const auto result = run_command({"lockstep-no-such-program"});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(result.error().object, "lockstep-no-such-program");
}

TEST(RunCommand, ExecFailureIsAnErrorNotAnExitCode) {
  ScratchDirectory scratch;
  const auto path = scratch.path() / "not-executable";
  std::ofstream(path) << "#!/bin/sh\nexit 0\n";
  const auto result = run_command({path.string()});
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().text(), HasSubstr("cannot run"));
  EXPECT_EQ(result.error().object, path.string());
}

TEST(RunCommand, MissingWorkingDirectoryIsAnError) {
  const auto result = run_command({"true"}, {.working_directory = "/no/such/directory"});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().object, "/no/such/directory");
}

TEST(RunCommand, UsesWorkingDirectoryAndEnvironment) {
  ScratchDirectory scratch;
  const CommandOptions options{
      .working_directory = scratch.path().string(),
      .environment = {{"LOCKSTEP_TEST_VALUE", "a b=c"}, {"HOME", "/elsewhere"}}};
  const auto result =
      run_command({"sh", "-c", "pwd -P; echo \"$LOCKSTEP_TEST_VALUE\"; echo $HOME"}, options);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->output,
            std::filesystem::canonical(scratch.path()).string() + "\na b=c\n/elsewhere\n");
}

TEST(RunCommand, ArgumentsReachTheProgramUnchanged) {
  const auto result = run_command({"printf", "%s|", "a b", "", "$HOME", "'\"*"});
  ASSERT_TRUE(result);
  EXPECT_EQ(result->output, "a b||$HOME|'\"*|");
}

TEST(RunCommand, LinesArriveWholeAndTheLastNeedsNoNewline) {
  std::vector<std::string> lines;
  CommandOptions options;
  options.on_output_line = [&](std::string_view line) { lines.emplace_back(line); };
  const auto result = run_command({"printf", "one\n\ntwo\nthree"}, options);
  ASSERT_TRUE(result);
  EXPECT_THAT(lines, ElementsAre("one", "", "two", "three"));
}

TEST(RunCommand, LongLinesArriveInPiecesAndOnlyTheTailIsKept) {
  size_t total = 0;
  size_t longest = 0;
  CommandOptions options;
  options.on_output_line = [&](std::string_view line) {
    total += line.size();
    longest = std::max(longest, line.size());
  };
  const auto result = run_command(
      {"sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' x; echo; echo the end"}, options);
  ASSERT_TRUE(result);
  EXPECT_EQ(total, 1000000 + std::string("the end").size());
  EXPECT_EQ(longest, kMaxOutputLine);
  EXPECT_EQ(result->output.size(), kMaxCapturedOutput);
  EXPECT_TRUE(result->output.ends_with("x\nthe end\n"));
}

TEST(RunCommand, StandardInputIsEmpty) {
  const auto result = run_command({"cat"});
  ASSERT_TRUE(result);
  EXPECT_EQ(result->exit_code, 0);
  EXPECT_EQ(result->output, "");
}

TEST(RunCommand, ProgramInheritsNoDescriptor) {
  Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const Fd inheritable(::fcntl(null.get(), F_DUPFD, 200));
  ASSERT_TRUE(inheritable.valid());
  const auto result =
      run_command({"test", "-e", fmt::format("/proc/self/fd/{}", inheritable.get())});
  ASSERT_TRUE(result);
  EXPECT_EQ(result->exit_code, 1);
}

TEST(RunCommand, IgnoredSignalsAreDefaultsForTheProgram) {
  const auto previous = std::signal(SIGTERM, SIG_IGN);
  const auto result = run_command({"sh", "-c", "kill -TERM $$; echo survived"});
  std::signal(SIGTERM, previous);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->exit_code, 128 + SIGTERM);
  EXPECT_EQ(result->output, "");
}

TEST(SpawnDaemon, RunsInItsOwnSessionWithOutputInTheLog) {
  ScratchDirectory scratch;
  const std::string log = scratch.path() / "daemon.log";
  std::ofstream(log) << "before\n";
  const auto daemon =
      spawn_daemon({"sh", "-c", "cut -d' ' -f1,6 /proc/$$/stat; echo err >&2; exec sleep 60"}, log);
  ASSERT_TRUE(daemon) << daemon.error().text();
  EXPECT_TRUE(process_alive(*daemon));
  ASSERT_TRUE(eventually([&] { return read_text(log).ends_with("err\n"); }));
  std::istringstream text(read_text(log));
  std::string before;
  int pid = 0;
  int session = 0;
  text >> before >> pid >> session;
  EXPECT_EQ(before, "before");
  EXPECT_EQ(pid, daemon->value);
  EXPECT_NE(session, ::getsid(0));

  ASSERT_TRUE(send_signal(*daemon, SIGTERM));
  EXPECT_TRUE(eventually([&] { return !process_alive(*daemon); }));
}

TEST(SpawnDaemon, ExecFailureIsReported) {
  ScratchDirectory scratch;
  const auto path = scratch.path() / "not-executable";
  std::ofstream(path) << "text";
  const auto daemon = spawn_daemon({path.string()}, scratch.path() / "log");
  ASSERT_FALSE(daemon);
  EXPECT_EQ(daemon.error().object, path.string());
}

TEST(SpawnDaemon, UnwritableLogIsReported) {
  const auto daemon = spawn_daemon({"true"}, "/no/such/directory/log");
  ASSERT_FALSE(daemon);
  EXPECT_EQ(daemon.error().object, "/no/such/directory/log");
}

TEST(ProcessAlive, KnowsThisProcessAndNoOther) {
  EXPECT_TRUE(process_alive(ProcessId{::getpid()}));
  EXPECT_FALSE(process_alive(ProcessId{0}));
  EXPECT_FALSE(process_alive(ProcessId{-1}));
}

TEST(ProcessAlive, AZombieIsNotAlive) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  EXPECT_TRUE(eventually([&] { return !process_alive(ProcessId{child}); }));
  // Still a zombie: kill(2) finds it.
  EXPECT_EQ(::kill(child, 0), 0);
  EXPECT_EQ(::waitpid(child, nullptr, 0), child);
}

TEST(SendSignal, ToNobodyIsNotFound) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  ::waitpid(child, nullptr, 0);
  const auto status = send_signal(ProcessId{child}, SIGTERM);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kNotFound);
}

TEST(FindProgram, LooksInPath) {
  EXPECT_THAT(find_program("sh"), testing::EndsWith("/sh"));
  EXPECT_EQ(find_program("lockstep-no-such-program"), "");
  EXPECT_EQ(find_program("./as/it/is"), "./as/it/is");
}

}  // namespace
}  // namespace lockstep::posix
