// The bytes of format version 1, one frame of each kind. When a test here fails, the format has
// changed: files and peers of yesterday will not be understood. That takes a new version, not new
// bytes in this file.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <string>

#include "log/file_header.h"
#include "log/frame.h"
#include "log/test_entries.h"

namespace lockstep::log {
namespace {

std::string hex(ByteView bytes) {
  std::string text;
  for (std::byte byte : bytes) text += fmt::format("{:02x}", std::to_integer<unsigned>(byte));
  return text;
}

Bytes bytes_of(std::string_view text) {
  const ByteView view = as_byte_view(text);
  return {view.begin(), view.end()};
}

Bytes bytes_of_hex(std::string_view text) {
  Bytes bytes;
  for (size_t i = 0; i < text.size(); i += 2) {
    bytes.push_back(static_cast<std::byte>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

struct Golden {
  Payload payload;
  const char* header;  // the frame's first 32 bytes
  const char* entry;   // tag, delta 300, payload; then follows the horizon, 0a01
};

const Golden kGolden[] = {
    {TimeAnchor{GuestTicks(1), 300},
     "4c460100080000002a00000000000000548cdf0bac0fde72f018c70a489c31c8", "01ac0201ac02"},
    {Warp{GuestTicks(128), 127}, "4c460100080000002a00000000000000d8a9ca020aa5e4ab960edb07e7d35f5a",
     "02ac0280017f"},
    {FrameIn{{2}, bytes_of("abc")},
     "4c4601000a0000002a0000000000000005747e4f8f2aefa8d363f3b45001f045", "03ac020203616263"},
    {DiskCompletion{{1}, 200, DiskStatus::kIoError, false, {}},
     "4c460100090000002a00000000000000bce21656c6c1220ea31191acd7857866", "04ac0201c80101"},
    {DiskCompletion{{0}, 7, DiskStatus::kOk, true, bytes_of("hi")},
     "4c4601000b0000002a00000000000000699ccb88eafe8bc0a031f7df99d9ae70", "04ac02000702026869"},
    {ConsoleInput{{1}, bytes_of("ls\n")},
     "4c4601000a0000002a000000000000002f16bb0b8a9280dcc9f4f82ef5794cfb", "05ac0201036c730a"},
    {Entropy{bytes_of("\x01\x02")},
     "4c460100080000002a0000000000000075c31a4897668cd419880b6d40ff6784", "06ac02020102"},
    {WallClockRead{0x0102030405060708},
     "4c4601000d0000002a00000000000000efbead44f1918c84a49034e2e75445cc", "07ac020807060504030201"},
    {Control{ControlOperation::kPowerOff},
     "4c460100060000002a00000000000000552d886c39c9e87215701835dbf8ca7c", "08ac0201"},
    {Control{ControlOperation::kReset},
     "4c460100060000002a000000000000002aafad8390f271be66b036df5197a801", "08ac0202"},
    {Control{ControlOperation::kFailover},
     "4c460100060000002a00000000000000db954c399e2c63451822777ac7d424c3", "08ac0203"},
    {Digest{{0x0102030405060708, 0x1112131415161718}},
     "4c460100150000002a00000000000000f88df9c5e853f53b0675223eea11437a",
     "09ac0208070605040302011817161514131211"},
};

TEST(FrameGolden, OneFrameOfEachKind) {
  LogCursor start = start_of_run(Hash128{1, 2}, 3);
  start.position = LogPosition(41);
  start.horizon = Step(1'000);
  for (const Golden& golden : kGolden) {
    FrameWriter writer(start);
    const Bytes frame = frame_of(writer, {{Step(1'300), golden.payload}}, Step(1'301));
    EXPECT_EQ(hex(frame), std::string(golden.header) + golden.entry + "0a01")
        << to_string(static_cast<EntryKind>(golden.payload.index()));
  }
  FrameWriter writer(start);
  EXPECT_EQ(hex(frame_of(writer, {}, Step(1'000))),
            "4c460100020000002a000000000000001ec63439c58b43088484304b015af6b50a00");
}

// Another LZ4 may write other blocks: what must not change is that these bytes are read.
TEST(FrameGolden, ACompressedFrameIsRead) {
  FrameReader reader(LogCursor{}, "golden");
  reader.append(
      bytes_of_hex("4c4601011400000001000000000000002c74ad59060f51b93ec5c0f985c57491"
                   "960100005f06009003000100ff7a500000000a00"));
  Frame frame;
  const Result<bool> whole = reader.next(frame);
  ASSERT_TRUE(whole.has_value()) << whole.error().text();
  ASSERT_TRUE(*whole);
  const std::vector<Entry> expected = {{Step(0), Entropy{Bytes(400)}}, {Step(0), Horizon{}}};
  EXPECT_EQ(frame.entries, expected);
}

TEST(FrameGolden, TheFileHeader) {
  const LogFileHeader header{bytes_of("board"),
                             LogCursor{LogPosition(7), 0x0102030405060708, Step(9)}};
  EXPECT_EQ(hex(encode_file_header(header)),
            "4c534c4f470d0a1a0100000005000000070000000000000008070605040302010900000000000000fbb8d2"
            "a664383b8aa0dd51281aa4aa8ce81f1ff4626f617264");
}

}  // namespace
}  // namespace lockstep::log
