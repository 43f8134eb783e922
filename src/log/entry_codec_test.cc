#include "log/entry_codec.h"

#include <gtest/gtest.h>
#include <limits>

#include "log/format.h"
#include "log/test_entries.h"

namespace lockstep::log {
namespace {

EntryFault decode(ByteView bytes, Step previous = Step(0)) {
  ByteReader reader(bytes);
  Entry entry;
  return decode_entry(reader, previous, entry);
}

Bytes encode(const Entry& entry, Step previous = Step(0)) {
  Bytes bytes;
  encode_entry(entry, previous, bytes);
  return bytes;
}

TEST(EntryCodec, RandomEntriesComeBack) {
  Random random(1);
  for (const Entry& entry : random_entries(random, 2'000, Step(5))) {
    const Bytes bytes = encode(entry, Step(5));
    ByteReader reader(bytes);
    Entry decoded;
    ASSERT_EQ(decode_entry(reader, Step(5), decoded), EntryFault::kNone);
    EXPECT_EQ(decoded, entry);
    EXPECT_EQ(reader.remaining(), 0u);
  }
}

TEST(EntryCodec, EveryTruncationIsMalformed) {
  Random random(2);
  for (const Entry& entry : random_entries(random, 200, Step(0), 40)) {
    const Bytes bytes = encode(entry);
    for (size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_EQ(decode(ByteView(bytes).first(size)), EntryFault::kMalformed)
          << to_string(entry.kind()) << " cut to " << size << " of " << bytes.size();
    }
  }
}

TEST(EntryCodec, TheHeadOfAnEntryIsWithinItsBound) {
  const uint64_t most = std::numeric_limits<uint64_t>::max();
  const DeviceIndex device{std::numeric_limits<uint32_t>::max()};
  const std::vector<Payload> widest = {
      TimeAnchor{GuestTicks(most), most},
      FrameIn{device, Bytes(kMaxPacketBytes)},
      DiskCompletion{device, most, DiskStatus::kIoError, true, Bytes(kMaxDiskDataBytes)},
      ConsoleInput{device, Bytes(kMaxConsoleBytes)},
      Digest{{most, most}},
      Horizon{},
  };
  for (const Payload& payload : widest) {
    const Entry entry{Step(most), payload};
    EXPECT_LE(encode(entry).size(), kMaxEntryHeadBytes + data_bytes(entry))
        << to_string(entry.kind());
  }
  EXPECT_EQ(encode({Step(most), Horizon{}}).size(), kMaxHorizonBytes);
}

TEST(EntryCodec, LimitsHoldOnBothSides) {
  const auto at = [](Payload payload) { return Entry{Step(0), std::move(payload)}; };
  EXPECT_TRUE(encodable(at(FrameIn{{}, Bytes(kMaxPacketBytes)})));
  EXPECT_FALSE(encodable(at(FrameIn{{}, Bytes(kMaxPacketBytes + 1)})));
  EXPECT_FALSE(encodable(at(ConsoleInput{{}, Bytes(kMaxConsoleBytes + 1)})));
  EXPECT_FALSE(encodable(at(Entropy{Bytes(kMaxEntropyBytes + 1)})));
  EXPECT_FALSE(
      encodable(at(DiskCompletion{{}, 0, DiskStatus::kOk, true, Bytes(kMaxDiskDataBytes + 1)})));
  // Data that has_data denies would be lost on the way.
  EXPECT_FALSE(encodable(at(DiskCompletion{{}, 0, DiskStatus::kOk, false, Bytes(1)})));

  Bytes too_long;
  ByteWriter writer(too_long);
  writer.fixed(wire_tag(EntryKind::kEntropy));
  writer.varint(0);
  writer.blob(Bytes(kMaxEntropyBytes + 1));
  EXPECT_EQ(decode(too_long), EntryFault::kTooLarge);
}

TEST(EntryCodec, ValuesThatAKindDoesNotHaveAreRefused) {
  const auto raw = [](std::initializer_list<int> values) {
    Bytes bytes;
    for (int value : values) bytes.push_back(static_cast<std::byte>(value));
    return bytes;
  };
  EXPECT_EQ(decode(raw({0, 0})), EntryFault::kUnknownKind);
  EXPECT_EQ(decode(raw({11, 0})), EntryFault::kUnknownKind);
  EXPECT_EQ(decode(raw({8, 0, 0})), EntryFault::kBadValue);        // control operation 0
  EXPECT_EQ(decode(raw({8, 0, 4})), EntryFault::kBadValue);        // control operation 4
  EXPECT_EQ(decode(raw({4, 0, 0, 0, 4})), EntryFault::kBadValue);  // disk flags
  // A device index of 33 bits.
  EXPECT_EQ(decode(raw({3, 0, 0x80, 0x80, 0x80, 0x80, 0x10, 0})), EntryFault::kBadValue);
  // 0 written in two bytes, as a delta and as a length.
  EXPECT_EQ(decode(raw({10, 0x80, 0x00})), EntryFault::kMalformed);
  EXPECT_EQ(decode(raw({6, 0, 0x80, 0x00})), EntryFault::kMalformed);
}

TEST(EntryCodec, AStepPastTheLastOneIsRefused) {
  const Bytes one_step = encode({Step(1), Horizon{}});
  const Step last(std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(decode(one_step, last - 1), EntryFault::kNone);
  EXPECT_EQ(decode(one_step, last), EntryFault::kStepOverflow);
}

TEST(EntryCodecDeathTest, ALowerStepIsABug) {
  EXPECT_DEATH(encode({Step(4), Horizon{}}, Step(5)), "entry.step >= previous");
}

}  // namespace
}  // namespace lockstep::log
