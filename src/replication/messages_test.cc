#include "replication/messages.h"

#include <gtest/gtest.h>
#include <random>
#include <string>
#include <vector>

namespace lockstep::replication {
namespace {

std::vector<Message> examples() {
  return {
      Hello{kProtocolVersion, "redis", "node-b", Epoch(3), {0x1122, 0x3344}, "0.1.0"},
      Welcome{Epoch(4), "node-a", LogPosition(1)},
      Refuse{"the machines differ"},
      LogFrame{Epoch(4), LogPosition(77), Step(1234), Bytes(300, std::byte{0xab})},
      LogFrame{Epoch(4), LogPosition(78), Step(1234), {}},
      Acknowledge{Epoch(4), LogPosition(76), 9, Step(1000), GuestTicks(5000), 4096},
      Heartbeat{Epoch(4), 10, Step(1200), Step(1300)},
      Goodbye{GoodbyeReason::kPoweredOff, ""},
      Goodbye{GoodbyeReason::kFailed, std::string(kMaxTextBytes, 'x')},
  };
}

TEST(Messages, EachComesBackAsItWas) {
  for (const Message& message : examples()) {
    const auto decoded = decode(encode(message));
    ASSERT_TRUE(decoded) << name_of(message) << ": " << decoded.error().text();
    EXPECT_EQ(*decoded, message) << name_of(message);
  }
}

// The layout of docs/formats/channel.md, byte by byte, so that it does not change unnoticed.
TEST(Messages, TheWireLooksAsSpecified) {
  const Bytes bytes = encode(Goodbye{GoodbyeReason::kDiverged, "ab"});
  const std::vector<int> expected = {7, 3, 2, 0, 0, 0, 'a', 'b'};
  ASSERT_EQ(bytes.size(), expected.size());
  for (size_t i = 0; i < bytes.size(); ++i) EXPECT_EQ(static_cast<int>(bytes[i]), expected[i]);

  const Bytes beat = encode(Heartbeat{Epoch(1), 2, Step(0x0304), Step(5)});
  ASSERT_EQ(beat.size(), 33u);
  EXPECT_EQ(beat[0], std::byte{6});
  EXPECT_EQ(beat[1], std::byte{1});
  EXPECT_EQ(beat[9], std::byte{2});
  EXPECT_EQ(beat[17], std::byte{4});
  EXPECT_EQ(beat[18], std::byte{3});
  EXPECT_EQ(beat[25], std::byte{5});
}

TEST(Messages, EveryTruncationIsRefused) {
  for (const Message& message : examples()) {
    if (std::holds_alternative<LogFrame>(message)) continue;  // ends with what is left
    const Bytes bytes = encode(message);
    for (size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_FALSE(decode(ByteView(bytes).first(size))) << name_of(message) << " at " << size;
    }
  }
}

TEST(Messages, TrailingBytesAreRefused) {
  for (const Message& message : examples()) {
    if (std::holds_alternative<LogFrame>(message)) continue;
    Bytes bytes = encode(message);
    bytes.push_back(std::byte{0});
    EXPECT_FALSE(decode(bytes)) << name_of(message);
  }
}

TEST(Messages, UnknownTypesReasonsAndLengthsAreRefused) {
  for (int type : {0, 8, 255}) {
    EXPECT_FALSE(decode(Bytes(64, static_cast<std::byte>(type)))) << type;
  }
  Bytes goodbye = encode(Goodbye{GoodbyeReason::kFailed, ""});
  for (int reason : {0, 5, 255}) {
    goodbye[1] = static_cast<std::byte>(reason);
    EXPECT_FALSE(decode(goodbye)) << reason;
  }
  Bytes long_text;
  ByteWriter writer(long_text);
  writer.fixed(uint8_t{3});
  writer.fixed(static_cast<uint32_t>(kMaxTextBytes + 1));
  writer.bytes(Bytes(kMaxTextBytes + 1));
  EXPECT_FALSE(decode(long_text));
  EXPECT_FALSE(decode(Bytes(kMaxMessageBytes + 1, std::byte{4})));
}

TEST(Messages, AHelloOfAnotherVersionIsReadUpToItsVersion) {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.fixed(uint8_t{1});
  writer.fixed(uint32_t{kProtocolVersion + 1});
  writer.bytes(as_byte_view("whatever that version has here"));
  const auto decoded = decode(bytes);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(std::get<Hello>(*decoded).protocol_version, kProtocolVersion + 1);
}

// Whatever decode() takes, encode() would have written just so.
TEST(Messages, OneEncodingPerMessageUnderRandomDamage) {
  std::mt19937_64 random(1);
  size_t accepted = 0;
  for (int round = 0; round < 20'000; ++round) {
    const auto all = examples();
    Bytes bytes = encode(all[random() % all.size()]);
    for (size_t damage = 1 + random() % 3; damage > 0; --damage) {
      bytes[random() % bytes.size()] = static_cast<std::byte>(random());
    }
    const auto decoded = decode(bytes);
    if (!decoded) continue;
    const auto* hello = std::get_if<Hello>(&*decoded);
    if (hello != nullptr && hello->protocol_version != kProtocolVersion) continue;
    ++accepted;
    ASSERT_EQ(encode(*decoded), bytes);
  }
  EXPECT_GT(accepted, 1'000u);
}

TEST(MessagesDeathTest, ABoundPassedByTheCallerIsABug) {
  EXPECT_DEATH(encode(Refuse{std::string(kMaxTextBytes + 1, 'x')}), "limit");
  EXPECT_EQ(clip_text(std::string(kMaxTextBytes + 1, 'x')).size(), kMaxTextBytes);
}

}  // namespace
}  // namespace lockstep::replication
