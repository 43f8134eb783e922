#include "cli/processes.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/posix/subprocess.h"

namespace lockstep::cli {
namespace {

namespace fs = std::filesystem;

class Processes : public testing::Test {
 protected:
  Processes() {
    std::string name = testing::TempDir() + "processes-XXXXXX";
    state_ = ::mkdtemp(name.data());
    for (const config::Node node : config::kNodes) {
      fs::create_directories(layout().replica_directory(node));
    }
    fs::create_directories(layout().gateway_directory());
  }
  ~Processes() override { fs::remove_all(state_); }

  config::VmLayout layout() const { return {state_, "vm"}; }

  // A process that looks like a replica: right name, right argument.
  posix::ProcessId start_lookalike(const std::string& argument) {
    const std::string program = state_ + "/" + kVmmProgram;
    if (!fs::exists(program)) {
      std::ofstream(state_ + "/loop.sh") << "while :; do read -t 300 x <> <(:); done\n";
      fs::create_symlink("/bin/bash", program);
    }
    const auto started = posix::spawn_daemon({program, state_ + "/loop.sh", argument}, "/dev/null");
    EXPECT_TRUE(started);
    return *started;
  }

  std::string state_;
};

TEST_F(Processes, NothingRecorded) {
  EXPECT_FALSE(recorded_replica(layout(), config::Node::kA));
  EXPECT_FALSE(recorded_gateway(layout()));
  EXPECT_TRUE(stop_everything(layout())) << "nothing to stop is no error";
}

TEST_F(Processes, APidFileIsBelievedOnlyForTheRightProgramOfTheRightVm) {
  const posix::ProcessId replica = start_lookalike(layout().directory());
  const posix::ProcessId other = start_lookalike(state_ + "/another-vm");
  ASSERT_TRUE(record_process(layout().replica_pid_file(config::Node::kA), replica));
  ASSERT_TRUE(record_process(layout().replica_pid_file(config::Node::kB), other));
  EXPECT_EQ(live_replica(layout(), config::Node::kA), replica);
  EXPECT_FALSE(live_replica(layout(), config::Node::kB));
  EXPECT_FALSE(recorded_replica(layout(), config::Node::kB)->alive);

  EXPECT_TRUE(stop_everything(layout()));
  EXPECT_FALSE(posix::process_alive(replica));
  EXPECT_TRUE(posix::process_alive(other)) << "another program's process must not be touched";
  EXPECT_FALSE(fs::exists(layout().replica_pid_file(config::Node::kA)));
  EXPECT_FALSE(fs::exists(layout().replica_pid_file(config::Node::kB)));
  EXPECT_TRUE(stop_process(other));
}

TEST_F(Processes, APidFileThatIsNoNumber) {
  std::ofstream(layout().replica_pid_file(config::Node::kA)) << "not a number\n";
  const auto found = recorded_replica(layout(), config::Node::kA);
  ASSERT_TRUE(found);
  EXPECT_FALSE(found->alive);
}

TEST_F(Processes, QuotesTheEndOfALog) {
  const std::string log = state_ + "/log";
  EXPECT_EQ(quote_log(log), "");
  std::ofstream(log) << "";
  EXPECT_EQ(quote_log(log), "");
  std::ofstream(log) << "one\ntwo\n";
  EXPECT_EQ(quote_log(log), "    one\n    two");
  std::ofstream long_log(log);
  for (int i = 0; i < 2000; ++i) long_log << "line " << i << "\n";
  long_log.close();
  EXPECT_THAT(quote_log(log), testing::StartsWith("    line 1992\n"));
  EXPECT_THAT(quote_log(log), testing::EndsWith("\n    line 1999"));
}

TEST_F(Processes, ProgramsAreLookedForBesideThisOne) {
  const auto absent = find_own_program("lockstep-none");
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(find_own_program("cli_test"));
}

}  // namespace
}  // namespace lockstep::cli
