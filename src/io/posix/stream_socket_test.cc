#include "io/posix/stream_socket.h"

#include <array>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace lockstep::posix {
namespace {

using std::chrono_literals::operator""ms;
using ::testing::HasSubstr;

class StreamSocket : public ::testing::Test {
 protected:
  StreamSocket() {
    std::string pattern = (std::filesystem::temp_directory_path() / "lockstep-XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
  }
  ~StreamSocket() override { std::filesystem::remove_all(directory_); }

  SocketAddress unix_address(const std::string& name) const {
    return SocketAddress::unix_path((directory_ / name).string());
  }

  std::filesystem::path directory_;
};

void expect_talks(StreamListener& listener) {
  Result<Fd> client = connect_stream(listener.address(), 1000ms);
  ASSERT_TRUE(client) << client.error().text();
  Result<std::optional<Fd>> server = listener.accept();
  ASSERT_TRUE(server) << server.error().text();
  ASSERT_TRUE(server->has_value());
  ASSERT_EQ(send_some(client->get(), as_byte_view("hello")).value_or(0), 5u);
  std::array<std::byte, 16> buffer{};
  const auto got = receive_some((*server)->get(), buffer);
  ASSERT_TRUE(got && got->has_value());
  EXPECT_EQ(as_text(ByteView(buffer).first(**got)), "hello");
}

TEST_F(StreamSocket, ParsesItsOwnText) {
  for (const char* text : {"unix:/run/vm.sock", "unix:relative", "tcp:localhost:80",
                           "tcp:127.0.0.1:0", "tcp:[::1]:65535"}) {
    const Result<SocketAddress> address = SocketAddress::parse(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->text(), text);
  }
}

TEST_F(StreamSocket, ParseErrorsNameTheAddressAndTheReason) {
  const std::pair<const char*, const char*> cases[] = {
      {"/run/vm.sock", "write unix:PATH or tcp:HOST:PORT"},
      {"unix:", "names no file"},
      {"unix:/run/", "names no file"},
      {"tcp:localhost", "no port"},
      {"tcp::80", "no host"},
      {"tcp:::1:80", "not one"},
      {"tcp:localhost:65536", "'65536' is not a port"},
      {"tcp:localhost:", "'' is not a port"},
      {"tcp:localhost:8o", "'8o' is not a port"},
  };
  for (const auto& [text, reason] : cases) {
    const Result<SocketAddress> address = SocketAddress::parse(text);
    ASSERT_FALSE(address) << text;
    EXPECT_EQ(address.error().code, ErrorCode::kInvalid);
    EXPECT_THAT(address.error().text(), HasSubstr(text));
    EXPECT_THAT(address.error().text(), HasSubstr(reason));
  }
}

TEST_F(StreamSocket, UnixConnectionCarriesBytes) {
  Result<StreamListener> listener = StreamListener::listen(unix_address("vm.sock"));
  ASSERT_TRUE(listener) << listener.error().text();
  expect_talks(*listener);
  const Result<std::optional<Fd>> none = listener->accept();
  ASSERT_TRUE(none);
  EXPECT_FALSE(none->has_value());
}

TEST_F(StreamSocket, UnixSocketIsForItsOwnerOnly) {
  const Result<StreamListener> listener = StreamListener::listen(unix_address("vm.sock"));
  ASSERT_TRUE(listener);
  struct stat status{};
  ASSERT_EQ(::stat((directory_ / "vm.sock").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777u, 0600u);
}

TEST_F(StreamSocket, PathLongerThanTheKernelTakes) {
  std::filesystem::path deep = directory_;
  for (int i = 0; i < 10; ++i) deep /= std::string(40, 'd');
  std::filesystem::create_directories(deep);
  const SocketAddress address = SocketAddress::unix_path((deep / "vm.sock").string());
  Result<StreamListener> listener = StreamListener::listen(address);
  ASSERT_TRUE(listener) << listener.error().text();
  expect_talks(*listener);

  const auto too_long =
      StreamListener::listen(SocketAddress::unix_path((deep / std::string(100, 'n')).string()));
  ASSERT_FALSE(too_long);
  EXPECT_EQ(too_long.error().code, ErrorCode::kInvalid);
  EXPECT_THAT(too_long.error().text(), HasSubstr("last component has 100 bytes"));
}

TEST_F(StreamSocket, ReplacesAStaleSocketOnly) {
  const SocketAddress address = unix_address("vm.sock");
  {
    Result<StreamListener> crashed = StreamListener::listen(address);
    ASSERT_TRUE(crashed);
    // What a crash leaves: the file under another name, so that its owner does not remove it.
    std::filesystem::rename(directory_ / "vm.sock", directory_ / "left");
  }
  std::filesystem::rename(directory_ / "left", directory_ / "vm.sock");

  Result<StreamListener> first = StreamListener::listen(address);
  ASSERT_TRUE(first) << first.error().text();
  const Result<StreamListener> second = StreamListener::listen(address);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kInUse);
  EXPECT_THAT(second.error().text(), HasSubstr("another process listens there"));

  std::ofstream(directory_ / "file") << "precious";
  const Result<StreamListener> over_file = StreamListener::listen(unix_address("file"));
  ASSERT_FALSE(over_file);
  EXPECT_EQ(over_file.error().code, ErrorCode::kInUse);
  EXPECT_TRUE(std::filesystem::exists(directory_ / "file"));
}

TEST_F(StreamSocket, RemovesItsFileButNotASuccessors) {
  const SocketAddress address = unix_address("vm.sock");
  {
    const Result<StreamListener> listener = StreamListener::listen(address);
    ASSERT_TRUE(listener);
    EXPECT_TRUE(std::filesystem::exists(directory_ / "vm.sock"));
  }
  EXPECT_FALSE(std::filesystem::exists(directory_ / "vm.sock"));

  std::optional<StreamListener> old = std::move(*StreamListener::listen(address));
  std::filesystem::rename(directory_ / "vm.sock", directory_ / "elsewhere");
  const Result<StreamListener> successor = StreamListener::listen(address);
  ASSERT_TRUE(successor);
  old.reset();
  EXPECT_TRUE(std::filesystem::exists(directory_ / "vm.sock"));
}

TEST_F(StreamSocket, NobodyThereIsUnavailable) {
  const Result<Fd> absent = connect_stream(unix_address("absent"), 100ms);
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(absent.error().text(), HasSubstr("absent"));

  SocketAddress closed_port;
  {
    Result<StreamListener> listener =
        StreamListener::listen(SocketAddress::parse("tcp:127.0.0.1:0").value());
    ASSERT_TRUE(listener);
    closed_port = listener->address();
  }
  const Result<Fd> refused = connect_stream(closed_port, 1000ms);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kUnavailable);
}

TEST_F(StreamSocket, TcpReportsItsPortAndRefusesATakenOne) {
  Result<StreamListener> listener =
      StreamListener::listen(SocketAddress::parse("tcp:127.0.0.1:0").value());
  ASSERT_TRUE(listener) << listener.error().text();
  EXPECT_NE(listener->address().port, 0);
  expect_talks(*listener);
  const Result<StreamListener> second = StreamListener::listen(listener->address());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kInUse);
}

TEST_F(StreamSocket, CredentialsOfTheUnixPeerAreItsUser) {
  Result<std::pair<Fd, Fd>> pair = stream_socket_pair();
  ASSERT_TRUE(pair);
  EXPECT_EQ(peer_uid(pair->first.get()).value_or(~uid_t{0}), ::geteuid());

  Result<StreamListener> listener =
      StreamListener::listen(SocketAddress::parse("tcp:127.0.0.1:0").value());
  ASSERT_TRUE(listener);
  EXPECT_FALSE(peer_uid(listener->fd()));
}

TEST_F(StreamSocket, ReceiveTellsNothingYetFromTheEnd) {
  Result<std::pair<Fd, Fd>> pair = stream_socket_pair();
  ASSERT_TRUE(pair);
  std::array<std::byte, 4> buffer{};
  Result<std::optional<size_t>> got = receive_some(pair->first.get(), buffer);
  ASSERT_TRUE(got);
  EXPECT_FALSE(got->has_value());
  pair->second.reset();
  got = receive_some(pair->first.get(), buffer);
  ASSERT_TRUE(got && got->has_value());
  EXPECT_EQ(**got, 0u);
  EXPECT_FALSE(send_some(pair->first.get(), as_byte_view("x")));
}

}  // namespace
}  // namespace lockstep::posix
