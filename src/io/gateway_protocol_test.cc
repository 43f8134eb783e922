#include "io/gateway_protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>

namespace lockstep::gateway {
namespace {

using ::testing::HasSubstr;

template <typename Message>
Bytes bytes_of(const Message& message) {
  const EncodedMessage encoded = encode(message);
  Bytes bytes;
  for (const ByteView part : encoded.parts()) bytes.insert(bytes.end(), part.begin(), part.end());
  return bytes;
}

std::string hex(ByteView bytes) {
  std::string text;
  for (const std::byte byte : bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    text += kDigits[std::to_integer<unsigned>(byte) >> 4];
    text += kDigits[std::to_integer<unsigned>(byte) & 15];
  }
  return text;
}

const ReplicaMessage kReplicaMessages[] = {
    Hello{.vm = "redis", .node = "a"},
    Live{.epoch = Epoch(7), .next_input = InputSequence(1) + 0xffffffff},
    FrameOut{.epoch = Epoch(2), .nic = {1}, .index = FrameIndex(9), .frame = as_byte_view("fr")},
    ConsoleOut{
        .epoch = Epoch(2), .port = {1}, .offset = ConsoleOffset(5), .bytes = as_byte_view("co")},
    InputHeld{.next_input = InputSequence(3)},
};
const GatewayMessage kGatewayMessages[] = {
    Welcome{},
    Refused{.reason = "no"},
    Input{.sequence = InputSequence(4),
          .kind = InputKind::kConsole,
          .device = {0},
          .bytes = as_byte_view("ls")},
    Superseded{.epoch = Epoch(8)},
};

// The format itself: these bytes are what docs/formats/gateway.md says.
TEST(GatewayProtocol, BytesOfEachMessage) {
  const char* const replica[] = {
      "01010000000572656469736"
      "1",
      "0207000000000000000000000001000000",
      "030200000000000000010000000900000000000000"
      "6672",
      "040200000000000000010000000500000000000000"
      "636f",
      "050300000000000000",
  };
  for (size_t i = 0; i < std::size(kReplicaMessages); ++i) {
    EXPECT_EQ(hex(bytes_of(kReplicaMessages[i])), replica[i]);
  }
  const char* const gateway[] = {
      "8101000000",
      "826e6f",
      "8304000000000000000100000000"
      "6c73",
      "840800000000000000",
  };
  for (size_t i = 0; i < std::size(kGatewayMessages); ++i) {
    EXPECT_EQ(hex(bytes_of(kGatewayMessages[i])), gateway[i]);
  }
}

TEST(GatewayProtocol, DecodingIsTheInverse) {
  for (const ReplicaMessage& message : kReplicaMessages) {
    const Bytes bytes = bytes_of(message);
    const Result<ReplicaMessage> decoded = decode_replica_message(bytes);
    ASSERT_TRUE(decoded) << decoded.error().text();
    EXPECT_EQ(decoded->index(), message.index());
    EXPECT_EQ(bytes_of(*decoded), bytes);
  }
  for (const GatewayMessage& message : kGatewayMessages) {
    const Bytes bytes = bytes_of(message);
    const Result<GatewayMessage> decoded = decode_gateway_message(bytes);
    ASSERT_TRUE(decoded) << decoded.error().text();
    EXPECT_EQ(decoded->index(), message.index());
    EXPECT_EQ(bytes_of(*decoded), bytes);
  }
}

TEST(GatewayProtocol, EveryFieldArrives) {
  const Bytes bytes = bytes_of(kReplicaMessages[2]);
  const Result<ReplicaMessage> decoded = decode_replica_message(bytes);
  ASSERT_TRUE(decoded);
  const FrameOut& frame = std::get<FrameOut>(*decoded);
  EXPECT_EQ(frame.epoch, Epoch(2));
  EXPECT_EQ(frame.nic, DeviceIndex{1});
  EXPECT_EQ(frame.index, FrameIndex(9));
  EXPECT_EQ(as_text(frame.frame), "fr");
}

// A cut head is refused at every length. (A body has no length of its own: cutting it makes
// another valid message.)
TEST(GatewayProtocol, CutShortIsRefused) {
  for (const ReplicaMessage& message : kReplicaMessages) {
    const EncodedMessage encoded = encode(message);
    for (size_t length = 0; length < encoded.head().size(); ++length) {
      EXPECT_FALSE(decode_replica_message(encoded.head().first(length))) << length;
    }
  }
  for (const GatewayMessage& message : kGatewayMessages) {
    const EncodedMessage encoded = encode(message);
    for (size_t length = 0; length + 1 < encoded.head().size(); ++length) {
      EXPECT_FALSE(decode_gateway_message(encoded.head().first(length))) << length;
    }
  }
}

TEST(GatewayProtocol, BytesAfterTheEndAreRefused) {
  for (const ReplicaMessage& message :
       {kReplicaMessages[1], kReplicaMessages[4]}) {  // those without a body
    Bytes bytes = bytes_of(message);
    bytes.push_back(std::byte{0});
    const Result<ReplicaMessage> decoded = decode_replica_message(bytes);
    ASSERT_FALSE(decoded);
    EXPECT_EQ(decoded.error().code, ErrorCode::kCorrupt);
    EXPECT_THAT(decoded.error().text(), HasSubstr("bytes follow its end"));
  }
}

TEST(GatewayProtocol, OutOfRangeIsRefused) {
  Bytes frame = bytes_of(kReplicaMessages[2]);
  frame[9] = std::byte{kMaxNics};
  EXPECT_THAT(decode_replica_message(frame).error().text(), HasSubstr("device does not exist"));

  Bytes input = bytes_of(kGatewayMessages[2]);
  input[9] = std::byte{2};
  EXPECT_THAT(decode_gateway_message(input).error().text(), HasSubstr("kind does not exist"));

  Bytes long_console = bytes_of(kReplicaMessages[3]);
  long_console.resize(long_console.size() - 2 + kMaxConsoleBytes);
  EXPECT_TRUE(decode_replica_message(long_console));
  long_console.push_back(std::byte{0});
  EXPECT_THAT(decode_replica_message(long_console).error().text(), HasSubstr("too long"));

  const std::string_view nameless(
      "\x01\x01\0\0\0\x01"
      "a",
      7);
  EXPECT_THAT(decode_replica_message(as_byte_view(nameless)).error().text(),
              HasSubstr("not a name"));
  EXPECT_FALSE(decode_replica_message(as_byte_view("\x81")));
  EXPECT_FALSE(decode_gateway_message(as_byte_view("\x01")));
  EXPECT_FALSE(decode_replica_message({}));
}

TEST(GatewayProtocol, AnotherVersionsHelloTellsItsVersion) {
  const std::string_view next("\x01\x02\0\0\0???", 8);
  const Result<ReplicaMessage> decoded = decode_replica_message(as_byte_view(next));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(std::get<Hello>(*decoded).version, 2u);
}

}  // namespace
}  // namespace lockstep::gateway
