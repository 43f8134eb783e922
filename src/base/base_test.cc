#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/hash.h"

namespace lockstep {
namespace {

TEST(Bytes, VarintRoundTripAtTheEdges) {
  for (uint64_t value :
       {uint64_t{0}, uint64_t{127}, uint64_t{128}, uint64_t{1} << 62, ~uint64_t{0}}) {
    Bytes bytes;
    ByteWriter(bytes).varint(value);
    ByteReader reader(bytes);
    EXPECT_EQ(reader.varint(), value);
    EXPECT_FALSE(reader.failed());
    EXPECT_EQ(reader.remaining(), 0u);
  }
}

TEST(Bytes, VarintRefusesASecondEncodingAndOverflow) {
  const Bytes padded = {std::byte{0x80}, std::byte{0x00}};
  ByteReader reader(padded);
  reader.varint();
  EXPECT_TRUE(reader.failed());

  const Bytes too_long(10, std::byte{0xff});
  ByteReader overflow(too_long);
  overflow.varint();
  EXPECT_TRUE(overflow.failed());
}

TEST(Bytes, ReadingPastTheEndFailsAndStaysFailed) {
  const Bytes bytes = {std::byte{5}, std::byte{1}};
  ByteReader reader(bytes);
  EXPECT_TRUE(reader.blob().empty());
  EXPECT_TRUE(reader.failed());
  EXPECT_EQ(reader.fixed<uint8_t>(), 0);
  EXPECT_TRUE(reader.failed());
}

TEST(Hash, Crc32cOfTheRfc3720Vectors) {
  EXPECT_EQ(crc32c(Bytes(32, std::byte{0x00})), 0x8A9136AAu);
  EXPECT_EQ(crc32c(Bytes(32, std::byte{0xff})), 0x62A8AB43u);
  EXPECT_EQ(crc32c(as_byte_view("123456789")), 0xE3069283u);
}

TEST(Hash, Crc32cContinues) {
  const uint32_t first = crc32c(as_byte_view("12345"));
  EXPECT_EQ(crc32c(as_byte_view("6789"), first), 0xE3069283u);
}

}  // namespace
}  // namespace lockstep
