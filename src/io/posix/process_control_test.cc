#include "io/posix/process_control.h"

#include <chrono>
#include <filesystem>
#include <gtest/gtest.h>
#include <thread>

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

TEST(ProcessControl, ReplaceReturnsOnlyAnError) {
  const Status replaced = replace_process({"/nonexistent/program"});
  ASSERT_FALSE(replaced);
  EXPECT_EQ(replaced.error().code, ErrorCode::kNotFound);
}

TEST(ProcessControl, FindsItsOwnProgram) {
  const Result<std::string> directory = own_program_directory();
  ASSERT_TRUE(directory);
  EXPECT_TRUE(std::filesystem::exists(*directory + "/io_test"));
}

}  // namespace
}  // namespace lockstep::posix
