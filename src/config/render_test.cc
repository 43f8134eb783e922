#include "config/render.h"

#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <iterator>

#include "config/load.h"
#include "config/schema.h"

namespace lockstep::config {
namespace {

TEST(Render, WhatIsWrittenReadsBackEqual) {
  const Loaded loaded = parse_config(
      "name = \"vm.1\"\nmemory = \"1G\"\nkernel = \"k\"\ninitrd = \"a b\\\"c\\\\d\"\n"
      "cmdline = \"x=\\\"1\\\"\\t\\u007F\"\nisa = \"rv64gc_zbs_zba\"\n"
      "engine = \"interpreter\"\ncode_cache = \"16M\"\n"
      "[[disk]]\npath = \"d0\"\n[[disk]]\npath = \"d1\"\nreadonly = true\n"
      "[[net]]\nforward = [\"tcp:127.0.0.1:1:2\", \"udp:0.0.0.0:0:53\"]\n[[net]]\n"
      "[protection]\nbackups = 0\narbiter = \"dir:/x\"\nmax_unacknowledged = 1048577\n"
      "engine_b = \"jit\"\n",
      "/vms/vm.toml");
  ASSERT_TRUE(loaded) << loaded.error().text();
  const Loaded again = parse_config(to_toml(*loaded), "/elsewhere/config.toml");
  ASSERT_TRUE(again) << again.error().text() << to_toml(*loaded);
  EXPECT_EQ(*again, *loaded);
}

TEST(Render, ShowsDefaults) {
  const Loaded loaded = parse_config("name = \"vm\"\nkernel = \"/k\"\n[[net]]\n", "/vm.toml");
  ASSERT_TRUE(loaded);
  EXPECT_EQ(to_toml(*loaded),
            "name = \"vm\"\nmemory = \"512M\"\nkernel = \"/k\"\ncmdline = \"\"\n"
            "isa = \"rv64gc_zicboz_zicond_zba_zbb_zbs_svvptc\"\nengine = \"jit\"\n"
            "code_cache = \"48M\"\n"
            "\n[[net]]\nmode = \"user\"\nforward = []\n"
            "\n[protection]\nbackups = 1\narbiter = \"dir:arbiter\"\nheartbeat_ms = 10\n"
            "suspect_after_ms = 100\nstart_wait_ms = 10000\ntarget_lag_ms = 20\n"
            "max_unacknowledged = \"16M\"\n");
}

TEST(Reference, CommittedFileIsCurrent) {
  std::ifstream file(LOCKSTEP_SOURCE_DIRECTORY "/docs/configuration.md");
  const std::string committed{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(committed, configuration_reference())
      << "run: build/release/bin/lockstep config reference > docs/configuration.md";
}

TEST(Reference, NamesEveryKey) {
  const std::string reference = configuration_reference();
  for (const SchemaRow& row : schema()) {
    EXPECT_THAT(reference, testing::HasSubstr("| `" + std::string(row.key) + "` |"));
  }
}

TEST(Reference, ItsExampleIsValid) {
  const std::string reference = configuration_reference();
  const size_t begin = reference.find("```toml\n") + 8;
  const Loaded loaded =
      parse_config(reference.substr(begin, reference.find("```\n", begin) - begin), "example.toml");
  EXPECT_TRUE(loaded) << loaded.error().text();
}

}  // namespace
}  // namespace lockstep::config
