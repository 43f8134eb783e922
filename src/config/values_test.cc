#include "config/values.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lockstep::config {
namespace {

TEST(Values, SizesWithAndWithoutUnits) {
  EXPECT_EQ(parse_size("512M").value(), uint64_t{512} << 20);
  EXPECT_EQ(parse_size("1K").value(), 1024U);
  EXPECT_EQ(parse_size("2T").value(), uint64_t{2} << 40);
  EXPECT_EQ(parse_size("4096").value(), 4096U);
  EXPECT_EQ(parse_size("0").value(), 0U);
  for (const uint64_t bytes : {uint64_t{0}, uint64_t{1}, uint64_t{1536}, uint64_t{3} << 30}) {
    EXPECT_EQ(parse_size(format_size(bytes)).value(), bytes);
  }
  EXPECT_EQ(format_size(uint64_t{1536} << 20), "1536M");
}

TEST(Values, SizesThatAreNone) {
  const std::string form = "a size such as \"512M\" (K, M, G or T, powers of 1024); ";
  EXPECT_EQ(parse_size("512m").error(), form + "\"512m\" is not");
  EXPECT_EQ(parse_size("").error(), form + "\"\" is not");
  EXPECT_EQ(parse_size("M").error(), form + "\"M\" is not");
  EXPECT_EQ(parse_size("-1M").error(), form + "\"-1M\" is not");
  EXPECT_EQ(parse_size("1.5G").error(), form + "\"1.5G\" is not");
  EXPECT_EQ(parse_size("16777216T").error(), form + "\"16777216T\" is more than 64 bits hold");
  EXPECT_TRUE(parse_size("16777215T"));
}

TEST(Values, Forwards) {
  const PortForward forward = parse_forward("udp:0.0.0.0:0:53").value();
  EXPECT_EQ(forward, (PortForward{Protocol::kUdp, "0.0.0.0", 0, 53}));
  EXPECT_EQ(format_forward(forward), "udp:0.0.0.0:0:53");
  EXPECT_EQ(format_forward(parse_forward("tcp:127.0.0.1:6379:6379").value()),
            "tcp:127.0.0.1:6379:6379");
}

TEST(Values, ForwardsThatAreNone) {
  const std::string form =
      "PROTOCOL:HOST-ADDRESS:HOST-PORT:GUEST-PORT, as in \"tcp:127.0.0.1:6379:6379\"; ";
  EXPECT_EQ(parse_forward("6379:6379").error(), form + "\"6379:6379\" has 2 of the 4 parts");
  EXPECT_EQ(parse_forward("sctp:127.0.0.1:1:1").error(), form + "\"sctp\" is neither tcp nor udp");
  EXPECT_EQ(parse_forward("tcp:localhost:1:1").error(),
            form + "\"localhost\" is not an IPv4 address");
  EXPECT_EQ(parse_forward("tcp:1.2.3.256:1:1").error(),
            form + "\"1.2.3.256\" is not an IPv4 address");
  EXPECT_EQ(parse_forward("tcp:1.2.3.4:65536:1").error(),
            form + "host port \"65536\" is not 0 to 65535");
  EXPECT_EQ(parse_forward("tcp:1.2.3.4:1:0").error(), form + "guest port \"0\" is not 1 to 65535");
}

TEST(Values, MacAddresses) {
  EXPECT_EQ(format_mac(parse_mac("52:54:00:0A:b:ff").value()), "52:54:00:0a:0b:ff");
  const std::string form = "six hexadecimal bytes, as in \"52:54:00:12:34:56\"; ";
  EXPECT_EQ(parse_mac("52:54:00").error(), form + "\"52:54:00\" has 3 parts");
  EXPECT_EQ(parse_mac("52:54:00:12:34:567").error(), form + "\"567\" is not a byte");
  EXPECT_EQ(parse_mac("01:00:00:00:00:01").error(),
            form + "\"01:00:00:00:00:01\" is a multicast address");
  EXPECT_EQ(parse_mac("0:0:0:0:0:0").error(), form + "all zero is no address");
}

TEST(Values, Arbiters) {
  EXPECT_EQ(parse_arbiter("dir:arbiter").value(),
            (ArbiterAddress{ArbiterKind::kDirectory, "arbiter"}));
  EXPECT_EQ(format_arbiter(parse_arbiter("etcd:https://host:2379").value()),
            "etcd:https://host:2379");
  for (const char* text : {"arbiter", "dir:", "zookeeper:x", ""}) {
    EXPECT_EQ(parse_arbiter(text).error(),
              std::string("\"dir:PATH\" or \"etcd:URL\"; \"") + text + "\" is neither");
  }
}

}  // namespace
}  // namespace lockstep::config
