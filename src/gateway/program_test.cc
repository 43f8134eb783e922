// lockstep-gateway as its starter sees it: readiness, exit codes, the end by a signal.
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <iterator>
#include <spawn.h>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "api/exit_code.h"
#include "io/posix/stream_socket.h"

namespace lockstep::gateway {
namespace {

using posix::SocketAddress;
using ::testing::HasSubstr;

class Program : public ::testing::Test {
 protected:
  Program() {
    std::string pattern = (std::filesystem::temp_directory_path() / "lockstep-XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
  }
  ~Program() override {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      wait();
    }
    std::filesystem::remove_all(directory_);
  }

  std::string path(const std::string& name) const { return (directory_ / name).string(); }

  void write_configuration(const std::string& forward) const {
    std::ofstream(path("gateway.json"))
        << R"({"vm":"vm","socket":"unix:)" << path("gateway.sock") << R"(","status_socket":")"
        << path("status.sock") << R"(","nics":[{"nic":0,"forward":[")" << forward << R"("]}]})";
  }

  // Its standard error goes to the file "err".
  void spawn(const std::string& argument) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 2, path("err").c_str(), O_WRONLY | O_CREAT | O_TRUNC,
                                     0600);
    std::string program = LOCKSTEP_GATEWAY_PROGRAM;
    std::string copy = argument;
    char* arguments[] = {program.data(), copy.data(), nullptr};
    ASSERT_EQ(::posix_spawn(&pid_, program.c_str(), &actions, nullptr, arguments, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
  }

  int wait() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

  std::string errors() const {
    std::ifstream file(path("err"));
    return {std::istreambuf_iterator<char>(file), {}};
  }

  std::filesystem::path directory_;
  pid_t pid_ = 0;
};

TEST_F(Program, AnswersAndEndsOnSigterm) {
  write_configuration("tcp:127.0.0.1:0:80");
  spawn(path("gateway.json"));
  bool ready = false;
  for (int i = 0; i < 1000 && !ready; ++i) {
    ready = posix::connect_stream(SocketAddress::unix_path(path("status.sock")),
                                  std::chrono::milliseconds(100))
                .has_value();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  ASSERT_TRUE(ready) << errors();
  ASSERT_EQ(::kill(pid_, SIGTERM), 0);
  EXPECT_EQ(wait(), 0);
  EXPECT_FALSE(std::filesystem::exists(path("gateway.sock")));
  EXPECT_FALSE(std::filesystem::exists(path("status.sock")));
}

TEST_F(Program, ATakenPortIsInUse) {
  const auto holder =
      posix::StreamListener::listen(SocketAddress::parse("tcp:127.0.0.1:0").value());
  ASSERT_TRUE(holder);
  const std::string port = std::to_string(holder->address().port);
  write_configuration("tcp:127.0.0.1:" + port + ":80");
  spawn(path("gateway.json"));
  EXPECT_EQ(wait(), api::exit_code(ErrorCode::kInUse));
  EXPECT_THAT(errors(), HasSubstr("tcp:127.0.0.1:" + port + ":80"));
  EXPECT_THAT(errors(), HasSubstr("TCP port " + port));
}

TEST_F(Program, AWrongConfigurationIsSaid) {
  write_configuration("nonsense");
  spawn(path("gateway.json"));
  EXPECT_EQ(wait(), api::exit_code(ErrorCode::kInvalid));
  EXPECT_THAT(errors(), HasSubstr("cannot read the forward nonsense"));
  spawn(path("absent.json"));
  EXPECT_EQ(wait(), api::exit_code(ErrorCode::kNotFound));
  EXPECT_THAT(errors(), HasSubstr("absent.json"));
  spawn("--no-such-option");
  EXPECT_EQ(wait(), api::exit_code(ErrorCode::kInvalid));
}

}  // namespace
}  // namespace lockstep::gateway
