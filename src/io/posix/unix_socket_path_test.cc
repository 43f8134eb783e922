#include "io/posix/unix_socket_path.h"

#include <cstring>
#include <filesystem>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

namespace lockstep::posix {
namespace {

namespace fs = std::filesystem;

class UnixSockets : public testing::Test {
 protected:
  UnixSockets() {
    std::string name = testing::TempDir() + "unix-sockets-XXXXXX";
    directory_ = ::mkdtemp(name.data());
    long_directory_ = directory_ + "/" + std::string(90, 'l') + "/" + std::string(90, 'm');
    fs::create_directories(long_directory_);
  }
  ~UnixSockets() override { fs::remove_all(directory_); }

  static Fd listen_on(const std::string& path) {
    Result<UnixSocketPath> reachable = UnixSocketPath::open(path);
    EXPECT_TRUE(reachable);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, reachable->usable().c_str(), sizeof address.sun_path - 1);
    Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    // SAFETY: the socket interface takes every address family through sockaddr.
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(fd.get(), 4), 0);
    return fd;
  }

  std::string directory_;
  std::string long_directory_;
};

TEST_F(UnixSockets, PathsOfAnyLength) {
  for (const std::string& path : {directory_ + "/s", long_directory_ + "/s"}) {
    const Fd listener = listen_on(path);
    EXPECT_TRUE(fs::is_socket(path));
    EXPECT_TRUE(connect_unix_socket(path));
    EXPECT_EQ(remove_stale_socket(path).error().code, ErrorCode::kInUse);
    EXPECT_TRUE(fs::exists(path));
  }
  EXPECT_FALSE(UnixSocketPath::open(directory_ + "/" + std::string(200, 'n')));
  EXPECT_FALSE(UnixSocketPath::open(long_directory_ + "/none/s"));
}

TEST_F(UnixSockets, RemovesASocketWithoutListener) {
  const std::string path = directory_ + "/s";
  EXPECT_TRUE(remove_stale_socket(path));
  {
    const Fd listener = listen_on(path);
  }
  EXPECT_EQ(connect_unix_socket(path).error().code, ErrorCode::kUnavailable);
  EXPECT_TRUE(remove_stale_socket(path));
  EXPECT_FALSE(fs::exists(path));
  EXPECT_EQ(connect_unix_socket(path).error().code, ErrorCode::kNotFound);
}

TEST_F(UnixSockets, ReadsAnAnswerWithinItsBounds) {
  const std::string path = directory_ + "/s";
  const Fd listener = listen_on(path);
  std::thread peer([&] {
    for (const char* answer : {"{\"a\":1}", "too long an answer", ""}) {
      const Fd accepted(::accept(listener.get(), nullptr, nullptr));
      ASSERT_EQ(::send(accepted.get(), answer, std::strlen(answer), MSG_NOSIGNAL),
                static_cast<ssize_t>(std::strlen(answer)));
    }
  });
  EXPECT_EQ(read_unix_socket(path, 5000, 100).value(), "{\"a\":1}");
  EXPECT_EQ(read_unix_socket(path, 5000, 4).error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(read_unix_socket(path, 5000, 100).value(), "");
  peer.join();
  EXPECT_EQ(read_unix_socket(path, 20, 100).error().code, ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace lockstep::posix
