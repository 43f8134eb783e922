#include "riscv/isa.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace lockstep::riscv {
namespace {

TEST(Isa, TextsComeBack) {
  EXPECT_EQ(format_isa({}), "rv64gc");
  EXPECT_EQ(format_isa({IsaExtension::kZbb, IsaExtension::kZba}), "rv64gc_zba_zbb");
  EXPECT_EQ(format_isa(kAllExtensions), "rv64gc_zicboz_zicond_zba_zbb_zbs_svvptc");
  for (const NamedExtension& named : named_extensions()) {
    const IsaExtensions isa{named.extension};
    EXPECT_EQ(parse_isa(format_isa(isa)), isa) << named.name;
    EXPECT_TRUE(kAllExtensions.has(named.extension)) << named.name;
  }
  EXPECT_EQ(parse_isa(format_isa(kAllExtensions)), kAllExtensions);
}

TEST(Isa, OrderRepetitionsAndWhatEveryGuestHasDoNotMatter) {
  EXPECT_EQ(parse_isa("rv64gc_zbs_zicsr_zba_zbs_sstc"),
            (IsaExtensions{IsaExtension::kZba, IsaExtension::kZbs}));
}

TEST(Isa, WhatIsNoneIsRefusedAndTheKnownOnesAreNamed) {
  const std::string form = "rv64gc and extensions, as in \"rv64gc_zba_zbb\"; ";
  const std::string names = "zicboz, zicond, zba, zbb, zbs, svvptc";
  EXPECT_EQ(parse_isa("rv64gc_zbx").error(), form + "\"zbx\" is none of " + names);
  EXPECT_EQ(parse_isa("rv64gc_").error(), form + "\"\" is none of " + names);
  EXPECT_EQ(parse_isa("rv64gc__zba").error(), form + "\"\" is none of " + names);
  for (const std::string text : {"rv64imac", "rv64gcv", "", "_zba", "zba", "rv64gczba"}) {
    EXPECT_EQ(parse_isa(text).error(),
              fmt::format("{}\"{}\" does not begin so; the extensions are {}", form, text, names));
  }
}

}  // namespace
}  // namespace lockstep::riscv
