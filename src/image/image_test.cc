#include <cstdlib>
#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "image/apt_sources.h"
#include "image/build.h"
#include "image/build_steps.h"
#include "image/cpio_archive.h"
#include "image/debian_packages.h"
#include "image/files.h"
#include "image/guest_files.h"
#include "image/kernel_module.h"
#include "image/output_directory.h"
#include "image/tools.h"

namespace lockstep::image {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class ImageTest : public testing::Test {
 protected:
  ImageTest() {
    std::string pattern = std::filesystem::temp_directory_path() / "lockstep-image-XXXXXX";
    scratch_ = ::mkdtemp(pattern.data());
  }
  ~ImageTest() override { std::filesystem::remove_all(scratch_); }
  std::filesystem::path scratch_;
};

TEST(AptSources, OneLineFormat) {
  const auto sources = parse_one_line_sources(
      "# deb http://commented.example/debian trixie main\n"
      "deb-src http://source.example/debian trixie main\n"
      "deb [ arch=amd64 signed-by=/k.gpg ] http://a.example/debian/ bookworm main contrib # x\n"
      "deb http://b.example/debian\n"
      "deb [broken http://c.example/debian bookworm main\n");
  ASSERT_EQ(sources.size(), 1U);
  EXPECT_EQ(sources[0].uri, "http://a.example/debian/");
  EXPECT_THAT(sources[0].suites, ElementsAre("bookworm"));
  EXPECT_THAT(sources[0].components, ElementsAre("main", "contrib"));
}

TEST(AptSources, Deb822Format) {
  const auto sources = parse_deb822_sources(
      "Types: deb\n"
      "# a comment inside\n"
      "URIs: http://a.example/debian\n"
      "  http://b.example/debian\n"
      "Suites: bookworm bookworm-updates\n"
      "components: main\n"
      "\n"
      "Types: deb-src\nURIs: http://c.example/debian\nSuites: trixie\nComponents: main\n"
      "\n\n"
      "Enabled: no\nTypes: deb\nURIs: http://d.example/debian\nSuites: trixie\nComponents: main");
  ASSERT_EQ(sources.size(), 2U);
  EXPECT_EQ(sources[0].uri, "http://a.example/debian");
  EXPECT_EQ(sources[1].uri, "http://b.example/debian");
  EXPECT_THAT(sources[1].suites, ElementsAre("bookworm", "bookworm-updates"));
  EXPECT_THAT(sources[1].components, ElementsAre("main"));
}

TEST(AptSources, ChoosesTheDebianArchiveOnly) {
  const AptSource security{"http://x.example/debian-security", {"bookworm-security"}, {"main"}};
  const AptSource third_party{"http://x.example/apt", {"bookworm"}, {"stable"}};
  const AptSource plain{"http://mirror.example/pub", {"trixie"}, {"main"}};
  const AptSource debian{"http://y.example/debian//", {"bookworm"}, {"main", "contrib"}};
  EXPECT_EQ(choose_debian_mirror({security, third_party}), "");
  EXPECT_EQ(choose_debian_mirror({security, plain}), "http://mirror.example/pub");
  EXPECT_EQ(choose_debian_mirror({plain, third_party, debian}), "http://y.example/debian");
}

TEST_F(ImageTest, FindsTheMirrorInBothPlaces) {
  ASSERT_TRUE(make_directories(scratch_ / "sources.list.d"));
  const auto none = find_debian_mirror(scratch_);
  ASSERT_FALSE(none);
  EXPECT_THAT(none.error().text(), HasSubstr("--mirror"));
  ASSERT_TRUE(write_text(scratch_ / "sources.list.d/off.list.disabled",
                         "deb http://off.example/debian trixie main\n"));
  EXPECT_FALSE(find_debian_mirror(scratch_));
  ASSERT_TRUE(
      write_text(scratch_ / "sources.list.d/debian.sources",
                 "Types: deb\nURIs: http://a.example/debian\nSuites: trixie\nComponents: main\n"));
  EXPECT_EQ(find_debian_mirror(scratch_).value(), "http://a.example/debian");
  ASSERT_TRUE(write_text(scratch_ / "sources.list", "deb http://b.example/debian bookworm main\n"));
  EXPECT_EQ(find_debian_mirror(scratch_).value(), "http://b.example/debian");
}

TEST(DebianPackages, ParsesPrintUrisLines) {
  const auto package = parse_print_uris_line(
      "'http://m.example/pool/r/redis_8.deb' redis-server_5%3a8.0.2-3+deb13u2_riscv64.deb 66576 "
      "SHA256:00");
  EXPECT_EQ(package.name, "redis-server");
  EXPECT_EQ(package.version, "5:8.0.2-3+deb13u2");
  EXPECT_EQ(package.file, "redis-server_5%3a8.0.2-3+deb13u2_riscv64.deb");
  for (const char* line : {"", "'", "'x'", "'x' ", "'x' nothing 1 2", "'x' a_b.deb 1",
                           "Reading package lists...", "'x' a_1_riscv64.udeb.x 1"}) {
    EXPECT_EQ(parse_print_uris_line(line).name, "") << line;
  }
}

TEST(DebianPackages, NamesArePolicys) {
  for (const char* name : {"gcc", "libc6-dev", "g++", "python3.13", "7zip"}) {
    EXPECT_TRUE(is_package_name(name)) << name;
  }
  for (const char* name : {"", "a", "Gcc", "-gcc", "a,b", "a b", "a/trixie", "a=1"}) {
    EXPECT_FALSE(is_package_name(name)) << name;
  }
}

TEST_F(ImageTest, PackagesAreForFullGuestsAndNamesAreChecked) {
  const BuildOptions options{.output_directory = scratch_ / "guest", .packages = {"gcc,x"}};
  const auto small = build_small_guest(options);
  ASSERT_FALSE(small);
  EXPECT_EQ(small.error().code, ErrorCode::kInvalid);
  EXPECT_EQ(small.error().object, "gcc,x");
  const auto full = build_full_guest(options);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, ErrorCode::kInvalid);
  EXPECT_EQ(full.error().object, "gcc,x");
  EXPECT_FALSE(std::filesystem::exists(scratch_ / "guest"));
}

TEST_F(ImageTest, CpioArchiveUnpacksToWhatWentIn) {
  CpioArchive archive;
  archive.add_directory("bin");
  archive.add_program("bin/tool", as_byte_view("#!/bin/sh\necho ran\n"));
  archive.add_file("odd", as_byte_view("12345"));
  archive.add_file("empty", {});
  const Bytes bytes = archive.finish();
  EXPECT_EQ(bytes.size() % 4, 0U);
  ASSERT_TRUE(write_file(scratch_ / "archive", bytes));
  ASSERT_FALSE(find_tool("cpio").empty()) << "run tools/install-packages";
  const auto result = posix::run_command(
      {"sh", "-c",
       "cpio --quiet -i -F archive --no-absolute-filenames && bin/tool && cat odd && wc -c < empty "
       "&& stat -c %a odd"},
      {.working_directory = scratch_.string()});
  ASSERT_TRUE(result);
  EXPECT_EQ(result->exit_code, 0) << result->output;
  EXPECT_EQ(result->output, "ran\n123450\n644\n");
}

TEST(FillIn, ReplacesNamesAndKeepsOtherBraces) {
  EXPECT_EQ(fill_in("a {x} ${y} {z", {{"x", "1"}, {"y", "{x}"}}), "a 1 ${x} {z");
  EXPECT_EQ(fill_in("${dns%% *} {}", {{"dns", "no"}}), "${dns%% *} {}");
}

TEST_F(ImageTest, GuestScriptsAreValidShell) {
  for (const std::string_view script :
       {kInitrdInit, kStartScript, kStopScript, kDhcpScript, kRedisScript}) {
    const std::string text = fill_in(script, {{"modules", "virtio_mmio ext4"}, {"name", "redis"}});
    EXPECT_THAT(text, testing::StartsWith("#!/bin/"));
    EXPECT_THAT(text, testing::Not(HasSubstr("{modules}")));
    ASSERT_TRUE(write_text(scratch_ / "script", text));
    const auto result = posix::run_command({"sh", "-n", (scratch_ / "script").string()});
    ASSERT_TRUE(result);
    EXPECT_EQ(result->exit_code, 0) << result->output << text;
  }
}

TEST(Tools, AMissingToolIsAnErrorThatNamesItsPackage) {
  ASSERT_TRUE(require_tools({"sh"}));
  const auto status = require_tools({"sh", "lockstep-no-such-tool"});
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(status.error().advice, "apt-get install lockstep-no-such-tool");
}

TEST(Tools, AFailureCarriesTheEndOfTheOutput) {
  const auto status = run_tool({"sh", "-c", "seq 1 9; exit 3"});
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kSystem);
  EXPECT_EQ(status.error().text(), "exit code 3 from sh: 6 | 7 | 8 | 9");
  const auto full = run_tool({"sh", "-c", "echo x: No space left on device; exit 1"});
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, ErrorCode::kNoSpace);
}

TEST(Manifest, SurvivesJson) {
  Manifest manifest;
  manifest.recipe = "abc";
  manifest.checked_unix_s = 1795168905;
  manifest.configuration = "def";
  manifest.packages = {{"redis-server", "5:8.0", "redis-server_5%3a8.0_riscv64.deb"}};
  manifest.disk = FileStamp{1 << 28, 123456789012345678};
  const auto again = Manifest::from_json(manifest.to_json());
  ASSERT_TRUE(again);
  EXPECT_EQ(again->recipe, "abc");
  EXPECT_EQ(again->checked_unix_s, 1795168905);
  EXPECT_EQ(again->configuration, "def");
  EXPECT_EQ(again->packages, manifest.packages);
  EXPECT_EQ(again->disk, manifest.disk);
  for (const char* text : {"", "{", "[]", "{}", R"({"version":2})", R"({"version":1})",
                           R"({"version":1,"recipe":7,"checked_unix_s":1,"configuration":""})"}) {
    EXPECT_FALSE(Manifest::from_json(text)) << text;
  }
}

TEST_F(ImageTest, WorkOfADeadProcessIsRemovedAndOwnWorkGoesWithTheObject) {
  // No process has this number: it is above the kernel's limit (PID_MAX_LIMIT, 2^22).
  ASSERT_TRUE(make_directories(scratch_ / ".building-99999999/tree"));
  ASSERT_TRUE(make_directories(scratch_ / ".building-1/tree"));
  std::filesystem::path work;
  {
    auto output = OutputDirectory::open(scratch_);
    ASSERT_TRUE(output);
    work = output->work();
    EXPECT_TRUE(std::filesystem::is_directory(work));
    EXPECT_FALSE(std::filesystem::exists(scratch_ / ".building-99999999"));
    EXPECT_TRUE(std::filesystem::exists(scratch_ / ".building-1"));
  }
  EXPECT_FALSE(std::filesystem::exists(work));
}

constexpr GuestKind kTestKind{.default_name = "test",
                              .default_disk_bytes = kMinDiskBytes,
                              .min_disk_bytes = kMinDiskBytes,
                              .memory = "64M",
                              .forward = "",
                              .command_line = "quiet"};

// Installs a guest whose files are `content`.
BuildResult install(const std::filesystem::path& directory, std::string_view content,
                    BuildOptions options = {}) {
  options.name = "test";
  auto output = OutputDirectory::open(directory);
  EXPECT_TRUE(output);
  for (const char* name : {"vmlinuz", "initrd.img", "test.img"}) {
    EXPECT_TRUE(write_text(output->work() / name, content));
  }
  const auto result = install_guest(*output, Manifest{}, options, kTestKind);
  EXPECT_TRUE(result) << result.error().text();
  return *result;
}

TEST_F(ImageTest, InstallsAndReplacesWhatNobodyTouched) {
  EXPECT_FALSE(install(scratch_, "one").disk_kept);
  EXPECT_FALSE(install(scratch_, "two").disk_kept);
  EXPECT_EQ(read_text(scratch_ / "test.img").value(), "two");
  EXPECT_EQ(read_text(scratch_ / "cmdline").value(), "quiet\n");
  EXPECT_THAT(read_text(scratch_ / "VM.toml").value(), HasSubstr("cmdline = \"quiet\""));
}

TEST_F(ImageTest, ADiskThatWasWrittenToStaysUnlessAskedFor) {
  install(scratch_, "one");
  ASSERT_TRUE(write_text(scratch_ / "test.img", "precious"));
  for (int build = 0; build < 2; ++build) {
    EXPECT_TRUE(install(scratch_, "two").disk_kept);
    EXPECT_EQ(read_text(scratch_ / "test.img").value(), "precious");
    EXPECT_EQ(read_text(scratch_ / "vmlinuz").value(), "two");
  }
  BuildOptions options;
  options.replace_disk = true;
  EXPECT_FALSE(install(scratch_, "three", options).disk_kept);
  EXPECT_EQ(read_text(scratch_ / "test.img").value(), "three");
}

TEST_F(ImageTest, ADiskThatNoManifestVouchesForStays) {
  ASSERT_TRUE(write_text(scratch_ / "test.img", "foreign"));
  EXPECT_TRUE(install(scratch_, "one").disk_kept);
  EXPECT_EQ(read_text(scratch_ / "test.img").value(), "foreign");
}

TEST_F(ImageTest, AnEditedConfigurationStays) {
  install(scratch_, "one");
  ASSERT_TRUE(write_text(scratch_ / "VM.toml", "name = \"mine\"\n"));
  install(scratch_, "two");
  install(scratch_, "three");
  EXPECT_EQ(read_text(scratch_ / "VM.toml").value(), "name = \"mine\"\n");
}

TEST(CompleteOptions, FillsDefaultsAndRefusesWhatCannotBe) {
  const auto complete = complete_options({}, kTestKind);
  ASSERT_TRUE(complete);
  EXPECT_EQ(complete->name, "test");
  EXPECT_EQ(complete->disk_bytes, kMinDiskBytes);
  for (const char* name : {"a b", "../x", "-x", "initrd", "naïve"}) {
    BuildOptions options;
    options.name = name;
    EXPECT_FALSE(complete_options(options, kTestKind)) << name;
  }
  for (const uint64_t size : {uint64_t{1}, kMinDiskBytes - 1, kMaxDiskBytes + 1}) {
    BuildOptions options;
    options.disk_bytes = size;
    EXPECT_FALSE(complete_options(options, kTestKind)) << size;
  }
}

TEST(RecipeHash, DependsOnEveryPartAndOnTheirLimits) {
  EXPECT_EQ(recipe_hash({"a", "b"}), recipe_hash({"a", "b"}));
  EXPECT_NE(recipe_hash({"a", "b"}), recipe_hash({"ab"}));
  EXPECT_NE(recipe_hash({"a", "b"}), recipe_hash({"b", "a"}));
}

TEST_F(ImageTest, DiskHoldsTheTreeOwnedByRoot) {
  ASSERT_FALSE(find_tool("mke2fs").empty() || find_tool("debugfs").empty())
      << "run tools/install-packages";
  ASSERT_TRUE(posix::running_as_root() || !find_tool("fakeroot").empty())
      << "run tools/install-packages";
  ASSERT_TRUE(make_directories(scratch_ / "tree/etc"));
  ASSERT_TRUE(write_text(scratch_ / "tree/etc/hello", "world\n"));
  const auto disk = scratch_ / "disk.img";
  const auto made = make_disk(scratch_ / "tree", disk, kMinDiskBytes, "a-label-that-is-too-long");
  ASSERT_TRUE(made) << made.error().text();
  EXPECT_EQ(std::filesystem::file_size(disk), kMinDiskBytes);
  const auto shown =
      posix::run_command({find_tool("debugfs"), "-R", "stat /etc/hello", disk.string()},
                         {.environment = {{"DEBUGFS_PAGER", "cat"}}});
  ASSERT_TRUE(shown);
  EXPECT_THAT(shown->output, testing::ContainsRegex("User: +0 +Group: +0"));
  EXPECT_THAT(shown->output, HasSubstr("Size: 6"));

  ASSERT_TRUE(write_file(scratch_ / "tree/etc/big", Bytes(kMinDiskBytes, std::byte{1})));
  const auto too_big = make_disk(scratch_ / "tree", disk, kMinDiskBytes, "x");
  ASSERT_FALSE(too_big);
  EXPECT_EQ(too_big.error().code, ErrorCode::kNoSpace) << too_big.error().text();
}

}  // namespace
}  // namespace lockstep::image
