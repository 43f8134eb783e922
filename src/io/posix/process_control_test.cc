#include "io/posix/process_control.h"

#include <chrono>
#include <csignal>
#include <filesystem>
#include <gtest/gtest.h>
#include <optional>
#include <thread>

#include "io/posix/host_files.h"
#include "io/posix/interrupts.h"

namespace lockstep::posix {
namespace {

bool gone_within_seconds(ProcessId process, int seconds) {
  for (int i = 0; i < seconds * 100; ++i) {
    if (!process_alive(process)) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

TEST(ProcessControl, KnowsAProcessByProgramAndArgument) {
  const Result<ProcessId> sleeper = spawn_daemon({"sleep", "300.25"}, "/dev/null");
  ASSERT_TRUE(sleeper);
  EXPECT_TRUE(process_runs(*sleeper, "sleep", "300.25"));
  EXPECT_FALSE(process_runs(*sleeper, "sleep", "300"));
  EXPECT_FALSE(process_runs(*sleeper, "sleep", "sleep"));
  EXPECT_FALSE(process_runs(*sleeper, "lockstep-vmm", "300.25"));
  EXPECT_FALSE(process_runs(ProcessId{0}, "sleep", "300.25"));

  EXPECT_TRUE(end_process(*sleeper, EndSignal::kTerminate));
  EXPECT_TRUE(gone_within_seconds(*sleeper, 10));
  EXPECT_FALSE(process_runs(*sleeper, "sleep", "300.25"));
  EXPECT_TRUE(end_process(*sleeper, EndSignal::kKill)) << "ending what has ended is no error";
}

TEST(ProcessControl, ProcessorTimeGrowsWithWork) {
  const auto before = process_cpu_time(this_process());
  ASSERT_TRUE(before) << before.error().text();
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  auto after = before;
  while (after && *after - *before < std::chrono::milliseconds(30) &&
         std::chrono::steady_clock::now() < end) {
    after = process_cpu_time(this_process());
  }
  ASSERT_TRUE(after);
  EXPECT_GE(*after - *before, std::chrono::milliseconds(30));
  EXPECT_LT(*after, std::chrono::hours(1));
}

TEST(ProcessControl, ASleeperTakesNoProcessorTime) {
  const Result<ProcessId> sleeper = spawn_daemon({"sleep", "300.75"}, "/dev/null");
  ASSERT_TRUE(sleeper);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const auto time = process_cpu_time(*sleeper);
  EXPECT_TRUE(time && *time <= std::chrono::milliseconds(20));
  EXPECT_TRUE(end_process(*sleeper, EndSignal::kKill));
  EXPECT_TRUE(gone_within_seconds(*sleeper, 10));
}

TEST(ProcessControl, ProcessorTimeOfNobody) {
  constexpr ProcessId kNobody{1 << 30};  // above the kernel's largest pid
  const auto time = process_cpu_time(kNobody);
  ASSERT_FALSE(time);
  EXPECT_EQ(time.error().code, ErrorCode::kNotFound);
}

int wait_for(ChildProcess& child) {
  for (int i = 0; i < 1000; ++i) {
    if (const std::optional<int> code = child.exit_code()) return *code;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return -1;
}

TEST(ChildProcess, TellsItsExitCodeAndKeepsItsOutput) {
  const std::string log = testing::TempDir() + "child-process-log";
  std::filesystem::remove(log);
  Result<ChildProcess> child =
      ChildProcess::start({"/bin/sh", "-c", "echo out; echo err >&2; exit 7"}, log);
  ASSERT_TRUE(child) << child.error().text();
  EXPECT_EQ(wait_for(*child), 7);
  EXPECT_EQ(child->exit_code(), 7) << "the answer stays";
  EXPECT_EQ(read_small_file(log).value(), "out\nerr\n");
  std::filesystem::remove(log);
}

TEST(ChildProcess, EndedByASignal) {
  Result<ChildProcess> child = ChildProcess::start({"/bin/sleep", "300.5"}, "/dev/null");
  ASSERT_TRUE(child);
  EXPECT_EQ(child->exit_code(), std::nullopt);
  ASSERT_TRUE(end_process(child->id(), EndSignal::kKill));
  EXPECT_EQ(wait_for(*child), 137);
}

TEST(ChildProcess, ProgramThatIsNotThere) {
  const Result<ChildProcess> child = ChildProcess::start({"/nonexistent/program"}, "/dev/null");
  ASSERT_FALSE(child);
  EXPECT_EQ(child.error().code, ErrorCode::kNotFound);
}

TEST(Interrupts, AreSeenAndSpent) {
  {
    const Result<Interrupts> interrupts = Interrupts::create();
    ASSERT_TRUE(interrupts);
    EXPECT_FALSE(interrupts->pending());
    ASSERT_EQ(::raise(SIGHUP), 0);
    ASSERT_EQ(::raise(SIGINT), 0);
    EXPECT_TRUE(interrupts->pending());
    EXPECT_TRUE(interrupts->pending()) << "a look does not take it away";
  }
  // Still here: the signals were spent. They end the process again when nobody watches.
  EXPECT_EXIT(::raise(SIGHUP), testing::KilledBySignal(SIGHUP), "");
}

TEST(ProcessControl, ReplaceReturnsOnlyAnError) {
  EXPECT_EQ(replace_process({"/nonexistent/program"}).error().code, ErrorCode::kNotFound);
  EXPECT_EXIT(static_cast<void>(replace_process({"/bin/sh", "-c", "exit 9"})),
              testing::ExitedWithCode(9), "");
}

TEST(ProcessControl, FindsItsOwnProgram) {
  const Result<std::string> directory = own_program_directory();
  ASSERT_TRUE(directory);
  EXPECT_TRUE(std::filesystem::exists(*directory + "/io_test"));
}

}  // namespace
}  // namespace lockstep::posix
