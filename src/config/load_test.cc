#include "config/load.h"

#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/schema.h"

namespace lockstep::config {
namespace {

using testing::HasSubstr;

constexpr std::string_view kGood = R"(name   = "redis"
memory = "512M"
kernel = "guest/vmlinuz"
initrd = "guest/initrd.img"
cmdline = "root=/dev/vda rw console=ttyS0"

[[disk]]
path = "guest/redis.img"        # raw
shared = false

[[net]]
mode = "user"
forward = ["tcp:127.0.0.1:6379:6379"]

[protection]
backups = 1
arbiter = "dir:/var/lib/lockstep/arbiter"
heartbeat_ms = 20
suspect_after_ms = 100
)";

// The problems of a configuration that is `kGood`'s first lines and then `rest`.
std::string problems_of(std::string_view text) {
  const Loaded loaded = parse_config(text, "/vms/vm.toml");
  return loaded ? "none" : loaded.error().text();
}

std::string with_kernel(std::string_view rest) {
  return "name = \"vm\"\nkernel = \"/k\"\n" + std::string(rest);
}

TEST(VmConfig, ReadsTheDesignsExample) {
  const Loaded loaded = parse_config(kGood, "/vms/redis.toml");
  ASSERT_TRUE(loaded) << loaded.error().text();
  EXPECT_EQ(loaded->name, "redis");
  EXPECT_EQ(loaded->memory, uint64_t{512} << 20);
  EXPECT_EQ(loaded->kernel, "/vms/guest/vmlinuz");
  EXPECT_EQ(loaded->initrd, "/vms/guest/initrd.img");
  EXPECT_EQ(loaded->firmware, "");
  EXPECT_EQ(loaded->cmdline, "root=/dev/vda rw console=ttyS0");
  ASSERT_EQ(loaded->disks.size(), 1U);
  EXPECT_EQ(loaded->disks[0].path, "/vms/guest/redis.img");
  EXPECT_FALSE(loaded->disks[0].shared);
  ASSERT_EQ(loaded->nets.size(), 1U);
  ASSERT_EQ(loaded->nets[0].forward.size(), 1U);
  EXPECT_EQ(loaded->nets[0].forward[0], (PortForward{Protocol::kTcp, "127.0.0.1", 6379, 6379}));
  EXPECT_EQ(loaded->protection.arbiter.location, "/var/lib/lockstep/arbiter");
  EXPECT_EQ(loaded->protection.heartbeat_ms, 20U);
}

TEST(VmConfig, FillsInDefaults) {
  const Loaded loaded =
      parse_config(with_kernel("[[disk]]\npath = \"../d\"\n[[net]]\n"), "/vms/vm.toml");
  ASSERT_TRUE(loaded) << loaded.error().text();
  EXPECT_EQ(loaded->memory, uint64_t{512} << 20);
  EXPECT_EQ(loaded->isa, riscv::kAllExtensions);
  EXPECT_EQ(loaded->engine, Engine::kJit);
  EXPECT_EQ(loaded->code_cache, uint64_t{48} << 20);
  EXPECT_EQ(loaded->disks[0], (DiskConfig{"/d", false, false}));
  EXPECT_EQ(loaded->nets[0], (NetConfig{NetMode::kUser, std::nullopt, {}}));
  EXPECT_EQ(loaded->protection.backups, 1U);
  EXPECT_EQ(loaded->protection.arbiter, (ArbiterAddress{ArbiterKind::kDirectory, "arbiter"}));
  EXPECT_EQ(loaded->protection.heartbeat_ms, 10U);
  EXPECT_EQ(loaded->protection.suspect_after_ms, 100U);
  EXPECT_EQ(loaded->protection.max_unacknowledged, uint64_t{16} << 20);
}

TEST(VmConfig, TheIsaIsWhatTheFileSays) {
  EXPECT_EQ(parse_config(with_kernel("isa = \"rv64gc\"\n"), "/vm.toml").value().isa,
            riscv::IsaExtensions{});
  EXPECT_EQ(parse_config(with_kernel("isa = \"rv64gc_zbb\"\n"), "/vm.toml").value().isa,
            riscv::IsaExtensions{riscv::IsaExtension::kZbb});
}

TEST(VmConfig, UnknownKeysNameTheNearest) {
  EXPECT_EQ(problems_of(with_kernel("memmory = \"1G\"\n")),
            "/vms/vm.toml:3:1: memmory: unknown key; did you mean memory?");
  EXPECT_EQ(problems_of(with_kernel("[[disk]]\npath = \"d\"\nread_only = true\n")),
            "/vms/vm.toml:5:1: disk[0].read_only: unknown key; did you mean readonly?");
  EXPECT_EQ(problems_of(with_kernel("[protecton]\n")),
            "/vms/vm.toml:3:2: protecton: unknown key; did you mean protection?");
}

TEST(VmConfig, UnknownKeysThatBelongElsewhereOrNowhere) {
  EXPECT_EQ(problems_of(with_kernel("heartbeat_ms = 10\n")),
            "/vms/vm.toml:3:1: heartbeat_ms: unknown key; it belongs in [protection]");
  EXPECT_EQ(problems_of(with_kernel("[protection]\nmemory = \"1G\"\n")),
            "/vms/vm.toml:4:1: protection.memory: unknown key; it belongs before the first table");
  EXPECT_EQ(problems_of(with_kernel("[[net]]\nbridge_device = \"br0\"\n")),
            "/vms/vm.toml:4:1: net[0].bridge_device: unknown key; known here: mode, mac, forward");
}

TEST(VmConfig, ReportsEveryProblemInTheOrderOfTheFile) {
  EXPECT_EQ(problems_of("memory = \"1M\"\nkernel = 7\n[[disk]]\nshared = \"no\"\n"
                        "[protection]\nbackups = 9\nheart = 1\n"),
            "/vms/vm.toml:1:1: name: is missing (name, at most 63 letters, digits, `.`, `_`, `-`)\n"
            "/vms/vm.toml:1:10: memory: must be 64M to 64G, not 1M\n"
            "/vms/vm.toml:2:10: kernel: must be a text in quotes, not an integer\n"
            "/vms/vm.toml:3:1: disk[0].path: is missing (path or NBD address)\n"
            "/vms/vm.toml:4:10: disk[0].shared: must be true or false, not a text\n"
            "/vms/vm.toml:6:11: protection.backups: must be 0 to 8, not 9\n"
            "/vms/vm.toml:7:1: protection.heart: unknown key; known here: backups, arbiter, "
            "heartbeat_ms, suspect_after_ms, start_wait_ms, target_lag_ms, max_unacknowledged, "
            "engine_a, engine_b");
}

struct BadValue {
  const char* line;
  const char* problem;  // after "/vms/vm.toml:"
};

class VmConfigValues : public testing::TestWithParam<BadValue> {};

TEST_P(VmConfigValues, AreRefusedWithPlaceAndReason) {
  EXPECT_EQ(problems_of(with_kernel(GetParam().line)),
            std::string("/vms/vm.toml:") + GetParam().problem);
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, VmConfigValues,
    testing::Values(
        BadValue{"memory = 1.5\n", "3:10: memory: must be a size such as \"512M\", not a fraction"},
        BadValue{"memory = \"67109889\"\n",
                 "3:10: memory: must be a multiple of 1M; 67109889 is not"},
        BadValue{"memory = \"1Q\"\n",
                 "3:10: memory: must be a size such as \"512M\" (K, M, G or T, powers of 1024); "
                 "\"1Q\" is not"},
        BadValue{"isa = \"rv64gc_zba_zbx\"\n",
                 "3:7: isa: must be rv64gc and extensions, as in \"rv64gc_zba_zbb\"; \"zbx\" is "
                 "none of zicboz, zicond, zba, zbb, zbs, svvptc"},
        BadValue{"isa = [\"zba\"]\n", "3:7: isa: must be an instruction set in quotes, not a list"},
        BadValue{"engine = \"auto\"\n",
                 "3:10: engine: must be one of \"jit\", \"interpreter\", not \"auto\""},
        BadValue{"code_cache = \"8191K\"\n", "3:14: code_cache: must be 8M to 512M, not 8191K"},
        BadValue{"code_cache = \"513M\"\n", "3:14: code_cache: must be 8M to 512M, not 513M"},
        BadValue{"[protection]\nengine_b = \"qemu\"\n",
                 "4:12: protection.engine_b: must be one of \"jit\", \"interpreter\", not "
                 "\"qemu\""},
        BadValue{"initrd = \"\"\n", "3:10: initrd: must be a path, not an empty text"},
        BadValue{"cmdline = \"a\\nb\"\n", "3:11: cmdline: must be a single line"},
        BadValue{"protection = 1\n", "3:14: protection: must be a table: [protection]"},
        BadValue{"[disk]\npath = \"d\"\n",
                 "3:1: disk: write [[disk]], in two pairs of brackets: a VM may have several"},
        BadValue{"[[net]]\n[[net]]\n[[net]]\n", "5:1: net: a VM has at most 2 of them"},
        BadValue{"[[net]]\nforward = \"tcp:1.2.3.4:1:1\"\n",
                 "4:11: net[0].forward: must be a list of forwards, not a text"},
        BadValue{"[[net]]\nforward = [1]\n",
                 "4:11: net[0].forward: must be a list of texts in quotes, not an integer"},
        BadValue{"[[net]]\nforward = [\"tcp:1\"]\n",
                 "4:11: net[0].forward: must be a list of PROTOCOL:HOST-ADDRESS:HOST-PORT:GUEST-"
                 "PORT, as in \"tcp:127.0.0.1:6379:6379\"; \"tcp:1\" has 2 of the 4 parts"},
        BadValue{"[[net]]\nmac = \"1\"\n",
                 "4:7: net[0].mac: must be six hexadecimal bytes, as in \"52:54:00:12:34:56\"; "
                 "\"1\" has 1 parts"},
        BadValue{"[protection]\narbiter = \"zk:x\"\n",
                 "4:11: protection.arbiter: must be \"dir:PATH\" or \"etcd:URL\"; \"zk:x\" is "
                 "neither"},
        BadValue{"[protection]\nheartbeat_ms = -1\n",
                 "4:16: protection.heartbeat_ms: must be 1 to 60000 ms, not -1"},
        BadValue{"[protection]\nheartbeat_ms = \"10\"\n",
                 "4:16: protection.heartbeat_ms: must be an integer, not a text"}));

class VmConfigWhole : public testing::TestWithParam<BadValue> {};

TEST_P(VmConfigWhole, IsChecked) {
  EXPECT_EQ(problems_of(std::string("name = \"vm\"\n") + GetParam().line),
            std::string("/vms/vm.toml:") + GetParam().problem);
}

INSTANTIATE_TEST_SUITE_P(
    Rules, VmConfigWhole,
    testing::Values(
        BadValue{"", "1:1: kernel: is missing: nothing to boot; give a kernel"},
        BadValue{"kernel = \"k\"\nfirmware = \"f\"\n",
                 "3:12: firmware: cannot be given together with kernel: choose one"},
        BadValue{"firmware = \"f\"\ninitrd = \"i\"\n",
                 "3:10: initrd: belongs to a kernel, and there is none"},
        BadValue{"kernel = \"k\"\n[protection]\nheartbeat_ms = 40\n",
                 "3:1: protection.suspect_after_ms: must be at least three heartbeats: 120 ms with "
                 "heartbeat_ms = 40"},
        BadValue{"kernel = \"k\"\n[[disk]]\npath = \"d\"\n[[disk]]\npath = \"x/../d\"\n",
                 "6:8: disk[1].path: is the image of disk[0] already"},
        BadValue{"kernel = \"k\"\n[[net]]\nforward = [\"tcp:1.2.3.4:5:1\", \"tcp:1.2.3.4:5:2\"]\n",
                 "4:11: net[0].forward: uses the host's port 5 of net[0] again"}));

TEST(VmConfig, OnePortForTwoProtocolsOrTwoAddressesIsFine) {
  EXPECT_EQ(problems_of(with_kernel("[[net]]\nforward = [\"tcp:1.2.3.4:5:1\", \"udp:1.2.3.4:5:1\", "
                                    "\"tcp:1.2.3.5:5:1\", \"tcp:1.2.3.4:0:1\", "
                                    "\"tcp:1.2.3.4:0:1\"]\n")),
            "none");
}

TEST(VmConfig, NamesThatCouldLeaveTheStateDirectoryAreRefused) {
  for (const char* name : {"..", "a/b", "", "-x", ".hidden", "a b"}) {
    EXPECT_THAT(problems_of(std::string("kernel = \"k\"\nname = \"") + name + "\"\n"),
                HasSubstr("2:8: name: must be letters, digits"))
        << name;
  }
}

TEST(VmConfig, EveryUnsupportedValueIsRefusedWithItsExplanation) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"name = \"v\"\nfirmware = \"u\"\n", "firmware"},
      {with_kernel("[[disk]]\npath = \"nbd://host/x\"\n"), "disk[0].path"},
      {with_kernel("[[disk]]\npath = \"d\"\nshared = true\n"), "disk[0].shared"},
      {with_kernel("[[net]]\nmode = \"tap\"\n"), "net[0].mode"},
      {with_kernel("[[net]]\nmac = \"52:54:00:00:00:09\"\n"), "net[0].mac"},
      {with_kernel("[protection]\nbackups = 2\n"), "protection.backups"},
      {with_kernel("[protection]\narbiter = \"etcd:https://e\"\n"), "protection.arbiter"},
  };
  ASSERT_EQ(cases.size(), not_yet_supported().size());
  for (size_t i = 0; i < cases.size(); ++i) {
    const Loaded loaded = parse_config(cases[i].first, "vm.toml");
    ASSERT_FALSE(loaded) << cases[i].second;
    ASSERT_EQ(loaded.error().list.size(), 1U) << loaded.error().text();
    EXPECT_EQ(loaded.error().list[0].key, cases[i].second);
    EXPECT_EQ(loaded.error().list[0].text, not_yet_supported()[i].text);
    EXPECT_EQ(loaded.error().error().code, ErrorCode::kIncompatible);
  }
  EXPECT_THAT(problems_of(with_kernel("[[net]]\nmode = \"stream\"\n")),
              HasSubstr("not supported by this version"));
}

TEST(VmConfig, SyntaxErrorsHaveTheirPlace) {
  const Loaded loaded = parse_config("name = \"vm\"\nkernel = \n", "vm.toml");
  ASSERT_FALSE(loaded);
  EXPECT_THAT(loaded.error().text(), testing::StartsWith("vm.toml:2:"));
}

TEST(VmConfig, FilesThatCannotBeRead) {
  const Loaded loaded = load_config("/nonexistent/vm.toml");
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().error().code, ErrorCode::kNotFound);
  EXPECT_THAT(loaded.error().text(), HasSubstr("No such file or directory"));
}

TEST(VmConfig, PathsStartFromTheFilesDirectory) {
  const std::string file = testing::TempDir() + "lockstep-load-test.toml";
  std::ofstream(file) << with_kernel("initrd = \"sub/../i\"\n");
  const Loaded loaded = load_config(file);
  std::filesystem::remove(file);
  ASSERT_TRUE(loaded) << loaded.error().text();
  EXPECT_EQ(loaded->kernel, "/k");
  EXPECT_EQ(loaded->initrd,
            (std::filesystem::path(testing::TempDir()) / "i").lexically_normal().string());
}

TEST(NearestKey, IsNearOrNothing) {
  const std::vector<std::string_view> known{"memory", "kernel", "name"};
  EXPECT_EQ(nearest_key("memorry", known), "memory");
  EXPECT_EQ(nearest_key("kernl", known), "kernel");
  EXPECT_EQ(nearest_key("mane", known), "name");
  EXPECT_EQ(nearest_key("zzzzzzzz", known), "");
}

}  // namespace
}  // namespace lockstep::config
