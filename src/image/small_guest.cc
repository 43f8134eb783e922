// The small guest: a dozen packages taken apart, no package manager and no emulation.
#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <set>
#include <system_error>

#include "image/apt_sources.h"
#include "image/build.h"
#include "image/build_steps.h"
#include "image/cpio_archive.h"
#include "image/debian_packages.h"
#include "image/elf_file.h"
#include "image/files.h"
#include "image/guest_files.h"
#include "image/kernel_module.h"
#include "image/tools.h"

namespace lockstep::image {
namespace {

namespace fs = std::filesystem;

constexpr unsigned kSteps = 7;
// Raised when what a build does changes without a change in the texts of guest_files.h.
constexpr const char* kRecipeVersion = "1";
// Packages, unpacked packages and the files made of them; measured: 420 MiB.
constexpr uint64_t kWorkBytes = uint64_t{600} << 20;
constexpr const char* kLibraryDirectory = "usr/lib/riscv64-linux-gnu";
constexpr const char* kLoader = "ld-linux-riscv64-lp64d.so.1";

constexpr GuestKind kSmallGuest{.default_name = "redis",
                                .default_disk_bytes = kDefaultSmallDiskBytes,
                                .min_disk_bytes = kMinDiskBytes,
                                .memory = "256M",
                                .forward = "\"tcp:127.0.0.1:6379:6379\"",
                                .command_line = kSmallCommandLine};

// Of all that Debian's dependencies name, a guest without a package manager needs the programs
// themselves and what they load: the kernel (not the initramfs-tools that would make its initrd),
// BusyBox, Redis (not systemd, adduser and the like, which its installation scripts use), and
// libraries, of which only those that Redis loads are then copied.
bool is_needed(const DebianPackage& package) {
  // The one with the version in its name; linux-image-riscv64 only depends on it.
  constexpr std::string_view kKernelPrefix = "linux-image-";
  const std::string& name = package.name;
  const bool kernel = name.starts_with(kKernelPrefix) && name.size() > kKernelPrefix.size() &&
                      name[kKernelPrefix.size()] >= '0' && name[kKernelPrefix.size()] <= '9';
  return kernel || name == "busybox-static" || name == "redis-server" || name == "redis-tools" ||
         name.starts_with("lib") || name.starts_with("zlib");
}

// One build, with the directories it works in.
class SmallGuestBuild {
 public:
  SmallGuestBuild(const BuildOptions& options, OutputDirectory& output)
      : options_(options),
        output_(output),
        packages_tree_(output.work() / "packages"),
        root_(output.work() / "root") {}

  Status unpack(DebianPackages& debian, const std::vector<DebianPackage>& packages);
  Status make_kernel_and_initrd();
  Status make_root();
  Status make_disk_image() {
    return make_disk(root_, output_.work() / disk_name(options_), options_.disk_bytes,
                     options_.name);
  }

 private:
  Status copy_program(const fs::path& from, const fs::path& to);
  Status copy_libraries_of(const fs::path& program);
  Status write_guest_files();
  Status link_applets();

  const BuildOptions& options_;
  OutputDirectory& output_;
  fs::path packages_tree_;
  fs::path root_;
};

Status SmallGuestBuild::unpack(DebianPackages& debian, const std::vector<DebianPackage>& packages) {
  if (auto status = make_directories(packages_tree_); !status) return status;
  for (const DebianPackage& package : packages) {
    if (auto status = debian.unpack(package, packages_tree_); !status) return status;
  }
  return {};
}

Result<fs::path> only_entry(const fs::path& directory, std::string_view prefix) {
  std::vector<fs::path> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    if (entry.path().filename().string().starts_with(prefix)) found.push_back(entry.path());
  }
  if (found.size() == 1) return found[0];
  return fail(ErrorCode::kIncompatible,
              fmt::format("expected one {}* but found {} in", prefix, found.size()),
              directory.string(), "this build expects Debian's riscv64 kernel package");
}

Status SmallGuestBuild::make_kernel_and_initrd() {
  const auto kernel = only_entry(packages_tree_ / "boot", "vmlinu");
  if (!kernel) return std::unexpected(kernel.error());
  std::error_code error;
  fs::rename(*kernel, output_.work() / "vmlinuz", error);
  if (error) {
    return fail(ErrorCode::kSystem, "cannot move the kernel", kernel->string(), error.message());
  }
  const auto version = only_entry(packages_tree_ / "usr/lib/modules", "");
  if (!version) return std::unexpected(version.error());
  auto index = ModuleIndex::scan(*version);
  if (!index) return std::unexpected(index.error());
  const auto modules = modules_in_load_order(
      *index, std::vector<std::string>(kSmallModules.begin(), kSmallModules.end()));
  if (!modules) return std::unexpected(modules.error());
  const auto busybox = read_file(packages_tree_ / "usr/bin/busybox");
  if (!busybox) return std::unexpected(busybox.error());

  CpioArchive archive;
  for (const char* directory : {"bin", "dev", "modules", "newroot", "proc"}) {
    archive.add_directory(directory);
  }
  archive.add_program("bin/busybox", *busybox);
  std::vector<std::string> names;
  for (const LoadedModule& module : *modules) {
    archive.add_file(fmt::format("modules/{}.ko", module.name), module.content);
    names.push_back(module.name);
  }
  const std::string init =
      fill_in(kInitrdInit, {{"modules", fmt::format("{}", fmt::join(names, " "))}});
  archive.add_program("init", as_byte_view(init));
  return write_file(output_.work() / "initrd.img", archive.finish());
}

Status SmallGuestBuild::copy_program(const fs::path& from, const fs::path& to) {
  const auto content = read_file(from);  // follows links
  if (!content) return std::unexpected(content.error());
  if (auto status = write_file(to, *content); !status) return status;
  return make_executable(to);
}

Status SmallGuestBuild::copy_libraries_of(const fs::path& program) {
  std::vector<fs::path> pending{program};
  std::set<std::string> copied{kLoader};
  while (!pending.empty()) {
    const fs::path file = pending.back();
    pending.pop_back();
    const auto content = read_file(file);
    if (!content) return std::unexpected(content.error());
    const auto needed = needed_libraries(*content, file.string());
    if (!needed) return std::unexpected(needed.error());
    for (const std::string& library : *needed) {
      if (!copied.insert(library).second) continue;
      const fs::path from = packages_tree_ / kLibraryDirectory / library;
      if (auto status = copy_program(from, root_ / kLibraryDirectory / library); !status) {
        return status;
      }
      pending.push_back(from);
    }
  }
  // The path that programs name as their loader is /lib/…, a link into usr.
  return copy_program(packages_tree_ / kLibraryDirectory / kLoader, root_ / "usr/lib" / kLoader);
}

Status SmallGuestBuild::write_guest_files() {
  struct Text {
    const char* path;
    std::string text;
    bool script;
  };
  const std::array<Text, 12> texts = {{
      {"etc/inittab", std::string(kInittab), false},
      {"etc/init.d/rcS", fill_in(kStartScript, {{"name", options_.name}}), true},
      {"etc/init.d/rcK", std::string(kStopScript), true},
      {"etc/udhcpc.script", std::string(kDhcpScript), true},
      {"etc/redis/redis.conf", std::string(kRedisConfiguration), false},
      {"etc/profile", std::string(kProfile), false},
      {"etc/passwd", std::string(kPasswd), false},
      {"etc/group", std::string(kGroup), false},
      {"etc/resolv.conf", std::string(kResolvConf), false},
      {"etc/hostname", options_.name + "\n", false},
      {"etc/hosts", "127.0.0.1 localhost " + options_.name + "\n", false},
      {"usr/local/sbin/redis", std::string(kRedisScript), true},
  }};
  for (const Text& text : texts) {
    const fs::path path = root_ / text.path;
    if (auto status = text.script ? write_script(path, text.text) : write_text(path, text.text);
        !status) {
      return status;
    }
  }
  return {};
}

Status SmallGuestBuild::link_applets() {
  std::error_code error;
  for (const std::string_view applet : kApplets) {
    fs::create_symlink("busybox", root_ / "usr/bin" / applet, error);
    if (error) break;
  }
  if (!error) fs::create_symlink("../bin/busybox", root_ / "usr/sbin/init", error);
  for (const char* directory : {"bin", "sbin", "lib"}) {
    if (!error) fs::create_directory_symlink(fs::path("usr") / directory, root_ / directory, error);
  }
  if (!error) return {};
  return fail(ErrorCode::kSystem, "cannot make links in", root_.string(), error.message());
}

Status SmallGuestBuild::make_root() {
  for (const char* directory : {"dev", "etc/init.d", "etc/redis", "proc", "root", "run", "sys",
                                "tmp", "usr/bin", "usr/sbin", "usr/local/bin", "usr/local/sbin",
                                kLibraryDirectory, "var/lib/redis", "var/log"}) {
    if (auto status = make_directories(root_ / directory); !status) return status;
  }
  const fs::path programs = packages_tree_ / "usr/bin";
  for (const char* program : {"busybox", "redis-server", "redis-cli", "redis-benchmark"}) {
    if (auto status = copy_program(programs / program, root_ / "usr/bin" / program); !status) {
      return status;
    }
    if (auto status = copy_libraries_of(programs / program); !status) return status;
  }
  for (const std::string& program : options_.programs) {
    const fs::path path(program);
    if (auto status = copy_program(path, root_ / "usr/local/bin" / path.filename()); !status) {
      return status;
    }
  }
  if (auto status = link_applets(); !status) return status;
  return write_guest_files();
}

Result<std::string> recipe_of(const BuildOptions& options) {
  std::vector<std::string> parts{kRecipeVersion,
                                 options.name,
                                 std::to_string(options.disk_bytes),
                                 std::string(kSmallCommandLine),
                                 std::string(kInitrdInit),
                                 std::string(kInittab),
                                 std::string(kStartScript),
                                 std::string(kStopScript),
                                 std::string(kDhcpScript),
                                 std::string(kRedisScript),
                                 std::string(kRedisConfiguration),
                                 std::string(kVmConfiguration),
                                 std::string(kProfile),
                                 fmt::format("{}", fmt::join(kSmallModules, " ")),
                                 fmt::format("{}", fmt::join(kApplets, " "))};
  for (const std::string& program : options.programs) {
    const auto content = read_text(program);
    if (!content) return std::unexpected(content.error());
    parts.push_back(fs::path(program).filename());
    parts.push_back(*content);
  }
  return recipe_hash(parts);
}

Status require_small_tools() {
  std::vector<std::string> tools{"apt-get", "dpkg-deb", "xz", "mke2fs"};
  if (!posix::running_as_root()) tools.emplace_back("fakeroot");
  return require_tools(tools);
}

// The packages of the guest, sorted by name.
Result<std::vector<DebianPackage>> needed_packages(DebianPackages& debian) {
  auto packages = debian.resolve({"linux-image-riscv64", "busybox-static", "redis-server"});
  if (!packages) return packages;
  std::erase_if(*packages, [](const DebianPackage& package) { return !is_needed(package); });
  std::ranges::sort(*packages, {}, &DebianPackage::name);
  return packages;
}

}  // namespace

Result<BuildResult> build_small_guest(const BuildOptions& given) {
  const auto options = complete_options(given, kSmallGuest);
  if (!options) return std::unexpected(options.error());
  if (!options->packages.empty()) {
    return fail(ErrorCode::kInvalid,
                "packages are installed in full guests only:", options->packages[0],
                "build with --full");
  }
  const auto recipe = recipe_of(*options);
  if (!recipe) return std::unexpected(recipe.error());
  auto output = OutputDirectory::open(options->output_directory);
  if (!output) return std::unexpected(output.error());

  BuildResult current{
      .configuration = output->file("VM.toml").string(), .up_to_date = true, .disk_kept = false};
  auto manifest = output->manifest();
  const bool same_recipe = manifest && manifest->recipe == *recipe &&
                           output->has_all(output_names(*options)) && !options->replace_disk;
  const std::chrono::seconds age(manifest ? now_unix_s() - manifest->checked_unix_s : 0);
  if (same_recipe && !options->refresh && age < kPackageCheckInterval) return current;

  ProgressReporter progress(*options, kSteps);
  if (auto status = require_small_tools(); !status) return std::unexpected(status.error());
  if (auto status = require_space(output->work(), kWorkBytes); !status) {
    return std::unexpected(status.error());
  }
  auto cache = cache_directory(*options);
  if (!cache) return std::unexpected(cache.error());
  auto mirror =
      options->mirror.empty() ? find_debian_mirror() : Result<std::string>(options->mirror);
  if (!mirror) return std::unexpected(mirror.error());
  auto debian = DebianPackages::open(*cache, *mirror);
  if (!debian) return std::unexpected(debian.error());

  progress.next("fetching the package lists of Debian " + std::string(kDebianSuite));
  if (auto status = debian->update(); !status) return std::unexpected(status.error());
  const auto packages = needed_packages(*debian);
  if (!packages) return std::unexpected(packages.error());
  if (same_recipe && manifest->packages == *packages) {
    manifest->checked_unix_s = now_unix_s();
    if (auto status = output->save_manifest(*manifest); !status) {
      return std::unexpected(status.error());
    }
    return current;
  }

  SmallGuestBuild build(*options, *output);
  progress.next(fmt::format("downloading {} packages", packages->size()));
  Status status = debian->download(*packages);
  const auto then = [&](const char* text, auto&& action) {
    if (!status) return;
    progress.next(text);
    status = action();
  };
  then("unpacking", [&] { return build.unpack(*debian, *packages); });
  then("making the initrd", [&] { return build.make_kernel_and_initrd(); });
  then("assembling the root file system", [&] { return build.make_root(); });
  then("making the disk image", [&] { return build.make_disk_image(); });
  if (!status) return std::unexpected(status.error());
  progress.next("putting the files in place");
  Manifest made;
  made.recipe = *recipe;
  made.packages = *packages;
  return install_guest(*output, std::move(made), *options, kSmallGuest);
}

}  // namespace lockstep::image
