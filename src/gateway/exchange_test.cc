#include "gateway/exchange.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace lockstep::gateway {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr ConnectionId kA{1};
constexpr ConnectionId kB{2};

// Writes down what the exchange does, one line each.
class RecordedOutside : public ExchangeOutside {
 public:
  bool send(ConnectionId connection, const GatewayMessage& message) override {
    if (full_connection == connection) return false;
    if (std::holds_alternative<Input>(message)) {
      if (room_for_inputs == 0) return false;
      --room_for_inputs;
    }
    log.push_back(fmt::format("{}<{}", connection.value, text(message)));
    return true;
  }
  void disconnect(ConnectionId connection) override {
    log.push_back(fmt::format("{}x", connection.value));
  }
  void frame_to_network(DeviceIndex nic, ByteView frame) override {
    log.push_back(fmt::format("nic{}:{}", nic.value, as_text(frame)));
  }
  void console_to_clients(DeviceIndex port, ByteView bytes) override {
    log.push_back(fmt::format("port{}:{}", port.value, as_text(bytes)));
  }

  std::vector<std::string> take() { return std::exchange(log, {}); }

  std::vector<std::string> log;
  size_t room_for_inputs = ~size_t{0};
  std::optional<ConnectionId> full_connection;

 private:
  static std::string text(const GatewayMessage& message) {
    if (const auto* refused = std::get_if<Refused>(&message)) {
      return fmt::format("refused {}", refused->reason);
    }
    if (const auto* input = std::get_if<Input>(&message)) {
      return fmt::format("{}:{}{}:{}", input->sequence.value,
                         input->kind == InputKind::kFrame ? "nic" : "port", input->device.value,
                         as_text(input->bytes));
    }
    if (const auto* superseded = std::get_if<Superseded>(&message)) {
      return fmt::format("superseded {}", superseded->epoch.value);
    }
    return "welcome";
  }
};

class ExchangeTest : public ::testing::Test {
 protected:
  void send(ConnectionId from, const ReplicaMessage& message) {
    const EncodedMessage encoded = encode(message);
    Bytes bytes;
    for (const ByteView part : encoded.parts()) bytes.insert(bytes.end(), part.begin(), part.end());
    exchange.received(from, bytes);
  }
  void join(ConnectionId connection, std::string_view node) {
    exchange.connected(connection);
    send(connection, Hello{.vm = "vm", .node = node});
  }
  void go_live(ConnectionId connection, uint64_t epoch, uint64_t next_input = 0) {
    send(connection, Live{.epoch = Epoch(epoch), .next_input = InputSequence(next_input)});
  }
  void frame_out(ConnectionId from, uint64_t epoch, uint64_t index, std::string_view frame,
                 uint32_t nic = 0) {
    send(from, FrameOut{.epoch = Epoch(epoch),
                        .nic = {nic},
                        .index = FrameIndex(index),
                        .frame = as_byte_view(frame)});
  }
  void console_out(ConnectionId from, uint64_t epoch, uint64_t offset, std::string_view bytes) {
    send(from, ConsoleOut{.epoch = Epoch(epoch),
                          .port = {0},
                          .offset = ConsoleOffset(offset),
                          .bytes = as_byte_view(bytes)});
  }
  void frame_in(std::string_view frame) {
    EXPECT_TRUE(exchange.frame_from_network({0}, as_byte_view(frame)));
  }

  RecordedOutside outside;
  Exchange exchange{{.vm = "vm", .nics = 0b11, .console_ports = 0b1}, outside};
};

TEST_F(ExchangeTest, HelloIsAnsweredAndComesFirst) {
  join(kA, "a");
  EXPECT_THAT(outside.take(), ElementsAre("1<welcome"));

  exchange.connected(kB);
  go_live(kB, 1);
  EXPECT_THAT(outside.take(), ElementsAre("2<refused the first message is no Hello", "2x"));
  EXPECT_FALSE(exchange.live_connection());

  send(kA, Hello{.vm = "vm", .node = "a"});
  EXPECT_THAT(outside.take(), ElementsAre("1<refused a second Hello", "1x"));
  EXPECT_EQ(exchange.statistics().connections_refused, 2u);
}

TEST_F(ExchangeTest, AnotherVmVersionOrGarbageIsRefusedByName) {
  exchange.connected(kA);
  send(kA, Hello{.vm = "other", .node = "a"});
  EXPECT_THAT(outside.take(), ElementsAre(HasSubstr("gateway of VM vm, not of other"), "1x"));
  exchange.connected(kA);
  send(kA, Hello{.version = 9, .vm = "vm", .node = "a"});
  EXPECT_THAT(outside.take(), ElementsAre(HasSubstr("speaks version 9"), "1x"));
  exchange.connected(kA);
  exchange.received(kA, as_byte_view("\xff garbage"));
  EXPECT_THAT(outside.take(), ElementsAre(HasSubstr("type 0xff"), "1x"));
}

TEST_F(ExchangeTest, OnlyTheLiveReplicaIsHeard) {
  join(kA, "a");
  join(kB, "b");
  frame_out(kA, 1, 0, "early");
  go_live(kA, 1);
  outside.take();
  frame_out(kA, 1, 0, "one");
  frame_out(kB, 1, 1, "backup");
  frame_out(kA, 2, 1, "wrong epoch");
  frame_out(kA, 1, 1, "two");
  frame_out(kA, 1, 0, "other nic", 1);
  EXPECT_THAT(outside.take(), ElementsAre("nic0:one", "nic0:two", "nic1:other nic"));
  EXPECT_EQ(exchange.statistics().frames_dropped_stale, 3u);
  frame_out(kA, 1, 0, "no such nic", 2);
  EXPECT_THAT(outside.take(), IsEmpty());
  EXPECT_EQ(exchange.statistics().frames_dropped_no_nic, 1u);
}

TEST_F(ExchangeTest, TakeoverSupersedesTheOldReplicaAndFeedsTheNewOne) {
  join(kA, "a");
  join(kB, "b");
  go_live(kA, 1);
  for (const char* frame : {"f0", "f1", "f2"}) frame_in(frame);
  exchange.feed();
  outside.take();
  // The backup has f0 in its log; f1 and f2 were lost with the primary.
  go_live(kB, 2, 1);
  EXPECT_THAT(outside.take(), ElementsAre("1<superseded 2", "2<1:nic0:f1", "2<2:nic0:f2"));
  EXPECT_EQ(exchange.statistics().inputs_resent, 2u);
  EXPECT_EQ(exchange.live_epoch(), Epoch(2));
  EXPECT_EQ(exchange.live_node(), "b");

  // A was stopped and wakes up late (design R5).
  frame_out(kA, 1, 0, "late");
  console_out(kA, 1, 0, "late");
  send(kA, InputHeld{.next_input = InputSequence(3)});
  go_live(kA, 1);
  EXPECT_THAT(outside.take(), ElementsAre("1<superseded 2"));
  EXPECT_EQ(exchange.statistics().frames_dropped_stale, 1u);
  EXPECT_EQ(exchange.statistics().console_bytes_dropped_stale, 4u);
  EXPECT_EQ(exchange.statistics().lives_superseded, 1u);
  EXPECT_EQ(exchange.held().count(), 3u);  // and its InputHeld forgot nothing
  frame_in("f3");
  exchange.feed();
  EXPECT_THAT(outside.take(), ElementsAre("2<3:nic0:f3"));
}

TEST_F(ExchangeTest, AnEqualEpochFromAnotherConnectionIsSuperseded) {
  join(kA, "a");
  join(kB, "b");
  go_live(kA, 4);
  outside.take();
  go_live(kB, 4);
  EXPECT_THAT(outside.take(), ElementsAre("2<superseded 4"));
  EXPECT_EQ(exchange.live_connection(), kA);
  // Even when the owner's connection has ended: another node cannot own its epoch.
  exchange.disconnected(kA);
  go_live(kB, 4);
  EXPECT_THAT(outside.take(), ElementsAre("2<superseded 4"));
  EXPECT_FALSE(exchange.live_connection());
}

TEST_F(ExchangeTest, AReplicaThatDoesNotReadIsDisconnectedWhenSuperseded) {
  join(kA, "a");
  join(kB, "b");
  go_live(kA, 1);
  outside.take();
  outside.full_connection = kA;
  go_live(kB, 2);
  EXPECT_THAT(outside.take(), ElementsAre("1x"));
  EXPECT_EQ(exchange.live_connection(), kB);
}

TEST_F(ExchangeTest, EpochZeroIsNobodys) {
  join(kA, "a");
  go_live(kA, 0);
  EXPECT_FALSE(exchange.live_connection());
}

TEST_F(ExchangeTest, TheOwnerMayConnectAgainAndGoesOn) {
  join(kA, "a");
  go_live(kA, 3);
  frame_in("f0");
  exchange.feed();
  exchange.disconnected(kA);
  frame_in("f1");
  exchange.feed();
  outside.take();
  join(kB, "a");
  go_live(kB, 3, 1);
  EXPECT_THAT(outside.take(), ElementsAre("2<welcome", "2<1:nic0:f1"));
}

TEST_F(ExchangeTest, InputsBeforeAnybodyIsLiveWait) {
  frame_in("f0");
  ASSERT_TRUE(exchange.console_from_client({0}, as_byte_view("ls")));
  exchange.feed();
  EXPECT_THAT(outside.take(), IsEmpty());
  join(kA, "a");
  go_live(kA, 1);
  EXPECT_THAT(outside.take(), ElementsAre("1<welcome", "1<0:nic0:f0", "1<1:port0:ls"));
  EXPECT_EQ(exchange.statistics().inputs_resent, 0u);
}

TEST_F(ExchangeTest, OutputsEmittedAgainAreDuplicates) {
  join(kA, "a");
  join(kB, "b");
  go_live(kA, 1);
  frame_out(kA, 1, 0, "f0");
  frame_out(kA, 1, 1, "f1");
  console_out(kA, 1, 0, "login");
  go_live(kB, 2);
  outside.take();
  // The new live replica cannot know which outputs left: it emits again from an earlier point.
  frame_out(kB, 2, 1, "f1");
  frame_out(kB, 2, 2, "f2");
  console_out(kB, 2, 1, "ogi");
  console_out(kB, 2, 3, "in: root");
  EXPECT_THAT(outside.take(), ElementsAre("nic0:f2", "port0:: root"));
  EXPECT_EQ(exchange.statistics().frames_duplicate, 1u);
  EXPECT_EQ(exchange.statistics().frames_out, 3u);
  EXPECT_EQ(exchange.statistics().console_bytes_duplicate, 5u);
  EXPECT_EQ(exchange.statistics().console_bytes_out, 11u);
}

TEST_F(ExchangeTest, AGapIsCountedAndAccepted) {
  join(kA, "a");
  go_live(kA, 1);
  outside.take();
  frame_out(kA, 1, 5, "f5");
  frame_out(kA, 1, 4, "f4");
  console_out(kA, 1, 10, "x");
  console_out(kA, 1, 11, "y");
  EXPECT_THAT(outside.take(), ElementsAre("nic0:f5", "port0:x", "port0:y"));
  EXPECT_EQ(exchange.statistics().frame_gaps, 1u);
  EXPECT_EQ(exchange.statistics().frames_duplicate, 1u);
  EXPECT_EQ(exchange.statistics().console_gaps, 1u);
}

TEST_F(ExchangeTest, FeedingStopsWithoutRoomAndGoesOnInOrder) {
  join(kA, "a");
  go_live(kA, 1);
  outside.take();
  outside.room_for_inputs = 2;
  for (const char* frame : {"f0", "f1", "f2"}) frame_in(frame);
  exchange.feed();
  EXPECT_THAT(outside.take(), ElementsAre("1<0:nic0:f0", "1<1:nic0:f1"));
  exchange.feed();
  EXPECT_THAT(outside.take(), IsEmpty());
  outside.room_for_inputs = 1;
  exchange.feed();
  EXPECT_THAT(outside.take(), ElementsAre("1<2:nic0:f2"));
}

TEST_F(ExchangeTest, InputHeldForgetsAndNeverMoreThanWasSent) {
  join(kA, "a");
  join(kB, "b");
  go_live(kA, 1);
  frame_in("f0");
  frame_in("f1");
  exchange.feed();
  send(kA, InputHeld{.next_input = InputSequence(1)});
  send(kA, InputHeld{.next_input = InputSequence(0)});  // an old one changes nothing
  EXPECT_EQ(exchange.held().oldest(), InputSequence(1));
  EXPECT_EQ(exchange.held().bytes(), 2u);
  outside.take();
  // A replica that asks for what is forgotten gets what there is, and the loss is counted.
  go_live(kB, 2, 0);
  EXPECT_THAT(outside.take(), ElementsAre("1<superseded 2", "2<1:nic0:f1"));
  EXPECT_EQ(exchange.statistics().inputs_lost, 1u);
  send(kB, InputHeld{.next_input = InputSequence(3)});
  EXPECT_THAT(outside.take(), ElementsAre(HasSubstr("refused"), "2x"));
  EXPECT_FALSE(exchange.live_connection());
}

TEST_F(ExchangeTest, AReplicaOfAnotherRunIsRefusedAndNobodySuperseded) {
  join(kA, "a");
  join(kB, "b");
  go_live(kA, 1);
  outside.take();
  go_live(kB, 2, 17);
  EXPECT_THAT(outside.take(), ElementsAre(HasSubstr("belongs to another run"), "2x"));
  EXPECT_EQ(exchange.live_connection(), kA);
  EXPECT_EQ(exchange.live_epoch(), Epoch(1));
}

TEST_F(ExchangeTest, HeldInputsAreBoundedByNumber) {
  const Bytes frame(60);
  for (size_t i = 0; i < kMaxHeldInputs; ++i) ASSERT_TRUE(exchange.frame_from_network({0}, frame));
  EXPECT_FALSE(exchange.room_for_console());
  EXPECT_FALSE(exchange.frame_from_network({0}, frame));
  EXPECT_FALSE(exchange.console_from_client({0}, as_byte_view("x")));
  EXPECT_EQ(exchange.statistics().frames_dropped_full, 1u);
  EXPECT_EQ(exchange.statistics().frames_in, kMaxHeldInputs);

  join(kA, "a");
  go_live(kA, 1);
  send(kA, InputHeld{.next_input = InputSequence(1)});
  EXPECT_TRUE(exchange.room_for_console());
  EXPECT_TRUE(exchange.frame_from_network({0}, frame));
}

TEST_F(ExchangeTest, HeldInputsAreBoundedByBytes) {
  const Bytes frame(kMaxFrameBytes);
  for (size_t i = 0; i < kMaxHeldBytes / kMaxFrameBytes; ++i) {
    ASSERT_TRUE(exchange.frame_from_network({0}, frame));
  }
  EXPECT_FALSE(exchange.frame_from_network({0}, frame));
  EXPECT_EQ(exchange.held().bytes(), kMaxHeldBytes);
  EXPECT_FALSE(exchange.frame_from_network({0}, Bytes(kMaxFrameBytes + 1)));
}

// Whatever is forgotten and reused, the bytes fed are those that came.
TEST_F(ExchangeTest, InputsKeepTheirBytesThroughALongRun) {
  join(kA, "a");
  go_live(kA, 1);
  uint64_t sequence = 0;
  for (int round = 0; round < 200; ++round) {
    outside.take();
    std::vector<std::string> expected;
    for (int i = 0; i < round % 7 + 1; ++i, ++sequence) {
      const std::string frame(static_cast<size_t>(sequence * 37 % 3000),
                              static_cast<char>('a' + sequence % 26));
      frame_in(frame);
      expected.push_back(fmt::format("1<{}:nic0:{}", sequence, frame));
    }
    exchange.feed();
    EXPECT_EQ(outside.log, expected);
    send(kA,
         InputHeld{.next_input = InputSequence(sequence - static_cast<uint64_t>(round % 3 == 0))});
  }
  EXPECT_LE(exchange.held().count(), 1u);
}

}  // namespace
}  // namespace lockstep::gateway
