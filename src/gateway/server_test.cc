// The gateway with real sockets and libslirp, and a fake guest whose replicas come and go.
#include "gateway/server.h"

#include <array>
#include <chrono>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <iterator>
#include <netinet/in.h>
#include <nlohmann/json.hpp>
#include <sys/socket.h>
#include <thread>

#include "gateway/fake_guest.h"

namespace lockstep::gateway {
namespace {

using nlohmann::json;
using posix::EventLoop;
using posix::Fd;
using posix::SocketAddress;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::chrono::milliseconds kPatience{10'000};
constexpr std::chrono::milliseconds kPause{1};

// Asks `condition` until it holds.
template <typename Condition>
bool eventually(Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(kPause);
  }
  return true;
}

Fd connect_to(const SocketAddress& address) {
  Result<Fd> fd = posix::connect_stream(address, kPatience);
  EXPECT_TRUE(fd) << fd.error().text();
  return fd ? std::move(*fd) : Fd();
}

// All that has arrived, appended to `text`. False at the end of the stream.
bool receive_into(int fd, std::string& text) {
  std::array<std::byte, 65536> buffer;
  const auto got = posix::receive_some(fd, buffer);
  if (!got) return false;
  if (!got->has_value()) return true;
  text += as_text(ByteView(buffer).first(**got));
  return **got > 0;
}

bool eventually_receives(int fd, std::string& text, std::string_view wanted) {
  return eventually([&] {
    receive_into(fd, text);
    return text.find(wanted) != std::string::npos;
  });
}

// A UDP socket that talks to one port of this host.
Fd udp_client(uint16_t port) {
  Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  // SAFETY: sockaddr_in is defined to be passed as the sockaddr it begins with.
  EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  return fd;
}

// One replica's end of the gateway protocol, driven by the test's thread.
class FakeReplica {
 public:
  FakeReplica(const SocketAddress& gateway, std::string_view node) : fd_(connect_to(gateway)) {
    send(Hello{.vm = "vm", .node = node});
  }

  void send(const ReplicaMessage& message) {
    const EncodedMessage encoded = encode(message);
    Bytes bytes;
    const auto size = static_cast<uint32_t>(encoded.parts()[0].size() + encoded.parts()[1].size());
    ByteWriter writer(bytes);
    writer.fixed(size);
    for (const ByteView part : encoded.parts()) writer.bytes(part);
    ByteView rest = bytes;  // the gateway may be slower than its kernel buffer is large
    ASSERT_TRUE(eventually([&] {
      rest = rest.subspan(posix::send_some(fd_.get(), rest).value_or(0));
      return rest.empty();
    }));
  }

  // The next message, copied out; the variant borrows it until the next call.
  std::optional<GatewayMessage> receive() {
    if (in_.size() < 4) ended_ = !receive_into(fd_.get(), in_) || ended_;
    uint32_t size = 0;
    if (in_.size() < 4) return std::nullopt;
    std::memcpy(&size, in_.data(), sizeof size);
    if (in_.size() < 4 + size) {
      ended_ = !receive_into(fd_.get(), in_) || ended_;
      if (in_.size() < 4 + size) return std::nullopt;
    }
    message_ = in_.substr(4, size);
    in_.erase(0, 4 + size);
    const Result<GatewayMessage> decoded = decode_gateway_message(as_byte_view(message_));
    EXPECT_TRUE(decoded);
    return decoded ? std::optional(*decoded) : std::nullopt;
  }

  bool ended() const { return ended_; }

 private:
  Fd fd_;
  std::string in_;
  std::string message_;
  bool ended_ = false;
};

// The VM: its guest and its log's length, whichever replica runs it. One thread, no engine.
struct FakeVm {
  FakeGuest guest;
  uint64_t next_input = 0;
  uint64_t next_frame = 0;
  Bytes last_frame;
  std::string typed;

  void frame_out(FakeReplica& replica, uint64_t epoch, const Bytes& frame) {
    replica.send(FrameOut{
        .epoch = Epoch(epoch), .nic = {0}, .index = FrameIndex(next_frame), .frame = frame});
    last_frame = frame;
    ++next_frame;
  }

  // Takes what has come for the guest, and sends what it answers.
  void run(FakeReplica& replica, uint64_t epoch) {
    while (const std::optional<GatewayMessage> message = replica.receive()) {
      const auto* input = std::get_if<Input>(&*message);
      if (input == nullptr) continue;
      if (input->sequence.value < next_input) continue;  // it came before
      EXPECT_EQ(input->sequence.value, next_input);
      ++next_input;
      if (input->kind == InputKind::kConsole) {
        typed += as_text(input->bytes);
        continue;
      }
      for (const Bytes& frame : guest.receive(input->bytes)) frame_out(replica, epoch, frame);
    }
  }
};

class ServerTest : public ::testing::Test {
 protected:
  ServerTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "lockstep-XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
  }
  ~ServerTest() override {
    stop();
    std::filesystem::remove_all(directory_);
  }

  std::string path(const char* name) const { return (directory_ / name).string(); }
  SocketAddress socket() const { return SocketAddress::unix_path(path("gateway.sock")); }

  Configuration configuration(std::vector<std::string> forwards = {}) const {
    json nic = {{"nic", 0}, {"forward", forwards}};
    json root = {
        {"vm", "vm"},
        {"socket", "unix:" + path("gateway.sock")},
        {"status_socket", path("status.sock")},
        {"consoles",
         json::array({{{"port", 0}, {"socket", path("console.sock")}, {"log", path("log")}}})},
        {"nics", json::array({nic})}};
    Result<Configuration> parsed = parse_configuration(root.dump(), "test");
    EXPECT_TRUE(parsed) << parsed.error().text();
    return *parsed;
  }

  void start(const Configuration& configuration) {
    Result<std::unique_ptr<Server>> server = Server::create(loop_, configuration);
    ASSERT_TRUE(server) << server.error().text();
    server_ = std::move(*server);
    thread_ = std::thread([this] { loop_.run(); });
  }
  void stop() {
    loop_.stop();
    if (thread_.joinable()) thread_.join();
    server_.reset();
  }

  json status() const {
    const Fd fd = connect_to(SocketAddress::unix_path(path("status.sock")));
    std::string text;
    EXPECT_TRUE(eventually([&] { return !receive_into(fd.get(), text); }));
    return json::parse(text, nullptr, false);
  }
  // The host's side of the first forward.
  SocketAddress forwarded() const {
    const Forward forward =
        Forward::parse(status()["nics"][0]["forward"][0].get<std::string>()).value();
    return SocketAddress::parse(fmt::format("tcp:127.0.0.1:{}", forward.host_port)).value();
  }

  std::filesystem::path directory_;
  EventLoop loop_;
  std::unique_ptr<Server> server_;
  std::thread thread_;
};

TEST_F(ServerTest, GuestGetsAnAddressAndAnAnswer) {
  start(configuration());
  FakeReplica replica(socket(), "a");
  replica.send(Live{.epoch = Epoch(1), .next_input = InputSequence(0)});
  FakeVm vm;
  vm.frame_out(replica, 1, vm.guest.dhcp_discover());
  EXPECT_TRUE(eventually([&] {
    vm.run(replica, 1);
    return vm.guest.offered_address.has_value();
  }));
  EXPECT_EQ(vm.guest.offered_address, kGuestAddress);

  vm.frame_out(replica, 1, vm.guest.arp_request(kGatewayAddress));
  vm.frame_out(replica, 1, vm.guest.ping(kGatewayAddress, 1));
  vm.frame_out(replica, 1, vm.guest.ping(kGatewayAddress, 2));
  EXPECT_TRUE(eventually([&] {
    vm.run(replica, 1);
    return vm.guest.ping_replies.size() == 2;
  }));
  EXPECT_THAT(vm.guest.ping_replies, ElementsAre(1, 2));
  EXPECT_EQ(vm.guest.arp_replies, 1u);
}

TEST_F(ServerTest, UdpForwardReachesTheGuestAndItsAnswerTheHost) {
  start(configuration({"udp:127.0.0.1:0:53"}));
  FakeReplica replica(socket(), "a");
  replica.send(Live{.epoch = Epoch(1), .next_input = InputSequence(0)});
  FakeVm vm;
  const uint16_t port = forwarded().port;
  const Fd client = udp_client(port);
  ASSERT_TRUE(posix::send_some(client.get(), as_byte_view("query")));
  ASSERT_TRUE(eventually([&] {
    vm.run(replica, 1);
    return !vm.guest.datagrams.empty();
  }));
  const ReceivedDatagram query = vm.guest.datagrams[0];
  EXPECT_EQ(query.payload, "query");
  EXPECT_EQ(query.target_port, 53);
  vm.frame_out(replica, 1, vm.guest.udp(query.source, query.source_port, 53, "answer"));
  std::string answer;
  EXPECT_TRUE(eventually_receives(client.get(), answer, "answer"));
}

TEST_F(ServerTest, TcpForwardReachesTheGuest) {
  start(configuration({"tcp:127.0.0.1:0:6379"}));
  FakeReplica replica(socket(), "a");
  replica.send(Live{.epoch = Epoch(1), .next_input = InputSequence(0)});
  FakeVm vm;
  const Fd client = connect_to(forwarded());
  ASSERT_TRUE(posix::send_some(client.get(), as_byte_view("ping\n")));
  std::string answer;
  EXPECT_TRUE(eventually([&] {
    vm.run(replica, 1);
    receive_into(client.get(), answer);
    return answer == "ping\n";
  }));
  EXPECT_EQ(vm.guest.connections, 1u);
  EXPECT_EQ(vm.guest.tcp_payload, "ping\n");
}

TEST_F(ServerTest, TcpConnectionsSurviveAFailover) {
  start(configuration({"tcp:127.0.0.1:0:6379"}));
  FakeVm vm;
  auto primary = std::make_unique<FakeReplica>(socket(), "a");
  FakeReplica backup(socket(), "b");
  primary->send(Live{.epoch = Epoch(1), .next_input = InputSequence(0)});
  const Fd client = connect_to(forwarded());
  ASSERT_TRUE(posix::send_some(client.get(), as_byte_view("before ")));
  std::string answer;
  ASSERT_TRUE(eventually([&] {
    vm.run(*primary, 1);
    receive_into(client.get(), answer);
    return answer == "before ";
  }));
  primary->send(InputHeld{.next_input = InputSequence(vm.next_input)});

  // The primary dies with input on its way to it; the client notices nothing.
  ASSERT_TRUE(posix::send_some(client.get(), as_byte_view("between ")));
  const uint64_t held = vm.next_input;
  ASSERT_TRUE(eventually([&] { return status()["next_input"] > held; }));
  primary.reset();
  ASSERT_TRUE(eventually([&] { return status()["replica_connections"] == 1; }));

  backup.send(Live{.epoch = Epoch(2), .next_input = InputSequence(vm.next_input)});
  backup.send(FrameOut{.epoch = Epoch(2),  // emitted again: it cannot know that it has left
                       .nic = {0},
                       .index = FrameIndex(vm.next_frame - 1),
                       .frame = vm.last_frame});
  ASSERT_TRUE(posix::send_some(client.get(), as_byte_view("after")));
  EXPECT_TRUE(eventually([&] {
    vm.run(backup, 2);
    receive_into(client.get(), answer);
    return answer == "before between after";
  })) << answer;
  EXPECT_EQ(vm.guest.tcp_payload, "before between after");
  EXPECT_EQ(vm.guest.connections, 1u);
  const json final_status = status();
  EXPECT_EQ(final_status["live_node"], "b");
  EXPECT_EQ(final_status["epoch"], 2);
  EXPECT_EQ(final_status["frames_duplicate"], 1);
  EXPECT_EQ(final_status["inputs_lost"], 0);
}

TEST_F(ServerTest, ALateReplicaIsNotHeard) {
  start(configuration());
  FakeVm vm;
  FakeReplica late(socket(), "a");
  late.send(Live{.epoch = Epoch(1), .next_input = InputSequence(0)});
  ASSERT_TRUE(eventually([&] { return status()["epoch"] == 1; }));
  FakeReplica replica(socket(), "b");
  replica.send(Live{.epoch = Epoch(2), .next_input = InputSequence(0)});
  ASSERT_TRUE(eventually([&] { return status()["epoch"] == 2; }));

  vm.frame_out(late, 1, vm.guest.ping(kGatewayAddress, 9));
  bool superseded = false;
  EXPECT_TRUE(eventually([&] {
    while (const auto message = late.receive()) {
      superseded |= std::holds_alternative<Superseded>(*message);
    }
    return superseded && status()["frames_dropped_stale"] == 1;
  }));
  vm.run(replica, 2);
  EXPECT_TRUE(vm.guest.ping_replies.empty());
}

TEST_F(ServerTest, ConsoleClientsSeeTheOutputAndType) {
  start(configuration());
  FakeReplica replica(socket(), "a");
  replica.send(Live{.epoch = Epoch(1), .next_input = InputSequence(0)});
  auto say = [&, offset = uint64_t{0}](std::string_view text) mutable {
    replica.send(ConsoleOut{.epoch = Epoch(1),
                            .port = {0},
                            .offset = ConsoleOffset(offset),
                            .bytes = as_byte_view(text)});
    offset += text.size();
  };
  say("early ");
  const SocketAddress console = SocketAddress::unix_path(path("console.sock"));
  std::string first_text;
  std::string second_text;
  const Fd first = connect_to(console);
  ASSERT_TRUE(eventually_receives(first.get(), first_text, "early "));
  const Fd second = connect_to(console);
  ASSERT_TRUE(eventually_receives(second.get(), second_text, "early "));
  say("login: ");
  EXPECT_TRUE(eventually_receives(first.get(), first_text, "login: "));
  EXPECT_TRUE(eventually_receives(second.get(), second_text, "login: "));
  EXPECT_EQ(first_text, "early login: ");
  EXPECT_EQ(second_text, "early login: ");
  EXPECT_EQ(status()["console_clients"], 2);

  FakeVm vm;
  ASSERT_TRUE(posix::send_some(first.get(), as_byte_view("root\n")));
  EXPECT_TRUE(eventually([&] {
    vm.run(replica, 1);
    return vm.typed == "root\n";
  }));
  ASSERT_TRUE(posix::send_some(second.get(), as_byte_view("ls\n")));
  EXPECT_TRUE(eventually([&] {
    vm.run(replica, 1);
    return vm.typed == "root\nls\n";
  }));
  stop();
  std::ifstream log(path("log"));
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(log), {}), "early login: ");
}

TEST_F(ServerTest, ScrollbackIsTheLastOutput) {
  start(configuration());
  FakeReplica replica(socket(), "a");
  replica.send(Live{.epoch = Epoch(1), .next_input = InputSequence(0)});
  std::string all;
  for (size_t i = 0; all.size() < 5 * kScrollbackBytes; ++i) {
    const std::string line = fmt::format("line {:6}\n", i);
    replica.send(ConsoleOut{.epoch = Epoch(1),
                            .port = {0},
                            .offset = ConsoleOffset(all.size()),
                            .bytes = as_byte_view(line)});
    all += line;
    if (i % 100 == 0) std::this_thread::sleep_for(kPause);
  }
  ASSERT_TRUE(eventually([&] { return status()["console_bytes_out"] == all.size(); }));
  const Fd client = connect_to(SocketAddress::unix_path(path("console.sock")));
  std::string text;
  EXPECT_TRUE(eventually([&] {
    receive_into(client.get(), text);
    return text.size() >= kScrollbackBytes;
  }));
  EXPECT_EQ(text, all.substr(all.size() - kScrollbackBytes));
}

TEST_F(ServerTest, ATakenPortIsNamedAndNothingIsLeft) {
  for (const char* transport : {"tcp", "udp"}) {
    EventLoop other_loop;
    const Forward wanted = Forward::parse(fmt::format("{}:127.0.0.1:0:80", transport)).value();
    Result<std::unique_ptr<UserNetwork>> holder = UserNetwork::create(
        other_loop, {.nic = {0}, .forwards = {wanted}, .host_name = {}}, [](ByteView) {});
    ASSERT_TRUE(holder) << holder.error().text();
    const uint16_t taken = (*holder)->forwards()[0].host_port;
    ASSERT_NE(taken, 0);
    const std::string forward = fmt::format("{}:127.0.0.1:{}:6379", transport, taken);
    const Result<std::unique_ptr<Server>> server =
        Server::create(loop_, configuration({"tcp:127.0.0.1:0:22", forward}));
    ASSERT_FALSE(server) << transport;
    EXPECT_EQ(server.error().code, ErrorCode::kInUse);
    EXPECT_THAT(server.error().text(), HasSubstr(forward));
    EXPECT_THAT(server.error().text(), HasSubstr(fmt::format("port {}", taken)));
  }
  EXPECT_TRUE(std::filesystem::is_empty(directory_));
}

TEST_F(ServerTest, ARefusedReplicaIsToldWhy) {
  start(configuration());
  const Fd fd = connect_to(socket());
  ASSERT_TRUE(posix::send_some(fd.get(), as_byte_view({"\x02\0\0\0zz", 6})));
  std::string text;
  EXPECT_TRUE(eventually([&] { return !receive_into(fd.get(), text); }));
  EXPECT_THAT(text, HasSubstr("a replica sends no such message"));
  EXPECT_EQ(status()["connections_refused"], 1);
}

TEST_F(ServerTest, SocketFilesGoWithTheServer) {
  start(configuration());
  EXPECT_TRUE(std::filesystem::exists(path("gateway.sock")));
  stop();
  for (const char* name : {"gateway.sock", "status.sock", "console.sock"}) {
    EXPECT_FALSE(std::filesystem::exists(path(name))) << name;
  }
}

TEST(Forward, ParsesItsOwnText) {
  for (const char* text : {"tcp:127.0.0.1:6379:6379", "udp:0.0.0.0:0:53"}) {
    const Result<Forward> forward = Forward::parse(text);
    ASSERT_TRUE(forward) << text;
    EXPECT_EQ(forward->text(), text);
  }
}

TEST(Forward, ErrorsNameTheTextAndTheField) {
  const std::pair<const char*, const char*> cases[] = {
      {"tcp:6379:6379", "3 fields"},
      {"sctp:127.0.0.1:1:1", "'sctp'"},
      {"tcp:localhost:1:1", "'localhost' is not an IPv4 address"},
      {"tcp::1:1", "'' is not an IPv4 address"},
      {"tcp:127.0.0.1:65536:1", "'65536' is not a host port"},
      {"tcp:127.0.0.1:1:0", "'0' is not a guest port"},
      {"tcp:127.0.0.1:1:x", "'x' is not a guest port"},
  };
  for (const auto& [text, reason] : cases) {
    const Result<Forward> forward = Forward::parse(text);
    ASSERT_FALSE(forward) << text;
    EXPECT_THAT(forward.error().text(), HasSubstr(text));
    EXPECT_THAT(forward.error().text(), HasSubstr(reason));
  }
}

TEST(Configuration, ErrorsNameWhatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"vm":)", "it is not JSON"},
      {R"([])", "is not an object"},
      {R"({"socket":"unix:/s","status_socket":"/t"})", "lacks the key \"vm\""},
      {R"({"vm":"a b","socket":"unix:/s","status_socket":"/t"})", "has a \"vm\" that"},
      {R"({"vm":"v","socket":"tcp:h:1","status_socket":"/t"})", "is not unix:PATH"},
      {R"({"vm":"v","socket":"/s","status_socket":"/t"})", "write unix:PATH"},
      {R"({"vm":"v","socket":"unix:/s"})", "lacks the key \"status_socket\""},
      {R"({"vm":"v","socket":"unix:/s","status_socket":"/t","nic":[]})", "unknown key \"nic\""},
      {R"({"vm":"v","socket":"unix:/s","status_socket":"/t","nics":[{}]})",
       "lacks the key \"nic\""},
      {R"({"vm":"v","socket":"unix:/s","status_socket":"/t","nics":[{"nic":8}]})", "from 0 to 7"},
      {R"({"vm":"v","socket":"unix:/s","status_socket":"/t","nics":[{"nic":0},{"nic":0}]})",
       "a NIC twice"},
      {R"({"vm":"v","socket":"unix:/s","status_socket":"/t","nics":[{"nic":0,"forward":["x"]}]})",
       "cannot read the forward x"},
      {R"({"vm":"v","socket":"unix:/s","status_socket":"/t","nics":[{"nic":0,"restrict":1}]})",
       "neither true nor false"},
      {R"({"vm":"v","socket":"unix:/s","status_socket":"/t","consoles":[{"port":0}]})",
       "console entry 0: lacks the key \"socket\""},
      {R"({"vm":"v","socket":"unix:/s","status_socket":"/t","consoles":7})", "is not an array"},
  };
  for (const auto& [text, reason] : cases) {
    const Result<Configuration> configuration = parse_configuration(text, "gateway.json");
    ASSERT_FALSE(configuration) << text;
    EXPECT_EQ(configuration.error().code, ErrorCode::kInvalid) << text;
    EXPECT_THAT(configuration.error().text(), HasSubstr(reason)) << text;
  }
}

}  // namespace
}  // namespace lockstep::gateway
