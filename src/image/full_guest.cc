// The full guest: mmdebstrap installs a systemd Debian with the packages' own scripts, which run
// under qemu-user. Kernel and initrd are the stock ones.
#include <fmt/format.h>
#include <fstream>
#include <system_error>

#include "image/apt_sources.h"
#include "image/build.h"
#include "image/build_steps.h"
#include "image/debian_packages.h"
#include "image/files.h"
#include "image/guest_files.h"
#include "image/tools.h"

namespace lockstep::image {
namespace {

namespace fs = std::filesystem;

constexpr unsigned kSteps = 4;
constexpr const char* kRecipeVersion = "1";
// What is needed besides the disk image.
constexpr uint64_t kWorkBytes = uint64_t{1} << 30;
constexpr const char* kFullPackages =
    "linux-image-riscv64,systemd-sysv,udev,dbus,iproute2,iputils-ping,login,passwd,kmod,e2fsprogs,"
    "procps,less,ca-certificates";
constexpr const char* kNetworkConfiguration = R"([Match]
Name=e*

[Network]
DHCP=yes
)";

constexpr GuestKind kFullGuest{.default_name = "debian",
                               .default_disk_bytes = kDefaultFullDiskBytes,
                               .min_disk_bytes = kMinFullDiskBytes,
                               .memory = "512M",
                               .forward = "",
                               .command_line = kFullCommandLine};

// How the kernel of this machine comes to run riscv64 programs (Linux
// Documentation/admin-guide/binfmt-misc.rst).
constexpr const char* kBinfmtDirectory = "/proc/sys/fs/binfmt_misc";
// Flag F: the interpreter is opened now, so it is found inside a chroot, too.
constexpr std::string_view kBinfmtEntry =
    R"(:qemu-riscv64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xf3\x00)"
    R"(:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff)"
    R"(:{program}:F)";

bool riscv_programs_run() {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(kBinfmtDirectory, error)) {
    const std::string name = entry.path().filename();
    if (!name.contains("riscv64")) continue;
    // Files of the kernel have no size: read the first line.
    std::ifstream file(entry.path());
    std::string state;
    if (std::getline(file, state) && state == "enabled") return true;
  }
  return false;
}

Status ensure_riscv_programs_run() {
  if (riscv_programs_run()) return {};
  if (!fs::exists(fs::path(kBinfmtDirectory) / "register")) {
    auto status = run_tool({"mount", "-t", "binfmt_misc", "binfmt_misc", kBinfmtDirectory});
    if (!status) {
      return fail(ErrorCode::kUnavailable, "cannot mount binfmt_misc on", kBinfmtDirectory,
                  "the kernel of this machine needs CONFIG_BINFMT_MISC (modprobe binfmt_misc)");
    }
    if (riscv_programs_run()) return {};
  }
  const std::string entry = fill_in(kBinfmtEntry, {{"program", find_tool("qemu-riscv64-static")}});
  std::ofstream file(fs::path(kBinfmtDirectory) / "register");
  file << entry << std::flush;
  if (file && riscv_programs_run()) return {};
  return fail(ErrorCode::kUnavailable, "cannot register qemu-riscv64 in", kBinfmtDirectory,
              "run as root on a host that allows it, or: apt-get install binfmt-support");
}

Status write_hooks(const fs::path& directory, const std::string& name) {
  // Run by mmdebstrap with the tree as argument.
  const std::string script = fmt::format(
      "#!/bin/sh\nset -e\n"
      "cp {0}/network \"$1/etc/systemd/network/20-wired.network\"\n"
      "echo {1} > \"$1/etc/hostname\"\n"
      "echo '127.0.0.1 localhost {1}' > \"$1/etc/hosts\"\n"
      "echo nameserver 10.0.2.3 > \"$1/etc/resolv.conf\"\n"
      "echo '/dev/vda / ext4 defaults 0 1' > \"$1/etc/fstab\"\n"
      "chroot \"$1\" systemctl enable systemd-networkd\n"
      "chroot \"$1\" passwd -d root\n",
      directory.string(), name);
  if (auto status = write_text(directory / "network", kNetworkConfiguration); !status) {
    return status;
  }
  return write_script(directory / "customize", script);
}

std::string package_list(const BuildOptions& options) {
  std::string list = kFullPackages;
  for (const std::string& package : options.packages) list += "," + package;
  return list;
}

Status require_package_names(const BuildOptions& options) {
  for (const std::string& package : options.packages) {
    if (is_package_name(package)) continue;
    return fail(ErrorCode::kInvalid, "not the name of a Debian package:", package,
                "a name is of lower-case letters, digits, '+', '-' and '.'");
  }
  return {};
}

Status run_mmdebstrap(const BuildOptions& options, const fs::path& work, const std::string& mirror,
                      const ProgressReporter& progress) {
  if (auto status = write_hooks(work, options.name); !status) return status;
  const std::vector<std::string> command{
      "mmdebstrap", "--variant=minbase", "--architectures=riscv64",
      // It would ask for the package arch-test; ensure_riscv_programs_run() has looked itself.
      "--skip=check/qemu", "--include=" + package_list(options),
      std::string("--keyring=") + kDebianKeyring, "--aptopt=Acquire::Languages \"none\"",
      "--customize-hook=" + (work / "customize").string(), kDebianSuite, (work / "root").string(),
      mirror};
  return run_tool_lines(command, [&](std::string_view line) {
    if (line.starts_with("I: ")) progress.detail(line.substr(3));
  });
}

// The newest of the files /boot/PREFIX*, copied to the output.
Status copy_from_boot(const fs::path& tree, const std::string& prefix, const fs::path& to) {
  fs::path newest;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(tree / "boot", error)) {
    if (entry.path().filename().string().starts_with(prefix) && entry.path() > newest) {
      newest = entry.path();
    }
  }
  if (newest.empty()) {
    return fail(ErrorCode::kIncompatible, "the kernel package made no " + prefix + "* in",
                (tree / "boot").string());
  }
  const auto content = read_file(newest);
  if (!content) return std::unexpected(content.error());
  return write_file(to, *content);
}

Status require_root() {
  if (posix::running_as_root()) return {};
  return fail(ErrorCode::kInvalid, "a full guest is built by root only:", "mmdebstrap",
              "packages of riscv64 run their scripts in a chroot; use sudo, or build the small "
              "guest");
}

}  // namespace

Result<BuildResult> build_full_guest(const BuildOptions& given) {
  const auto options = complete_options(given, kFullGuest);
  if (!options) return std::unexpected(options.error());
  if (!options->programs.empty()) {
    return fail(ErrorCode::kInvalid,
                "programs are copied into small guests only:", options->programs[0],
                "copy it in over the network");
  }
  if (auto status = require_package_names(*options); !status) {
    return std::unexpected(status.error());
  }
  auto output = OutputDirectory::open(options->output_directory);
  if (!output) return std::unexpected(output.error());
  const std::string recipe =
      recipe_hash({"full", kRecipeVersion, options->name, std::to_string(options->disk_bytes),
                   package_list(*options), kNetworkConfiguration, std::string(kFullCommandLine),
                   std::string(kVmConfiguration)});
  const auto manifest = output->manifest();
  if (manifest && manifest->recipe == recipe && output->has_all(output_names(*options)) &&
      !options->refresh && !options->replace_disk) {
    return BuildResult{
        .configuration = output->file("VM.toml").string(), .up_to_date = true, .disk_kept = false};
  }

  Status status = require_root();
  if (status) status = require_tools({"mmdebstrap", "qemu-riscv64-static", "mke2fs", "mount"});
  if (status) status = require_space(output->work(), kWorkBytes + options->disk_bytes);
  if (status) status = ensure_riscv_programs_run();
  if (!status) return std::unexpected(status.error());
  const auto mirror =
      options->mirror.empty() ? find_debian_mirror() : Result<std::string>(options->mirror);
  if (!mirror) return std::unexpected(mirror.error());

  ProgressReporter progress(*options, kSteps);
  const fs::path& work = output->work();
  const fs::path tree = work / "root";
  progress.next("installing Debian under emulation: this takes minutes");
  status = run_mmdebstrap(*options, work, *mirror, progress);
  if (status) {
    progress.next("copying kernel and initrd");
    status = copy_from_boot(tree, "vmlinu", work / "vmlinuz");
  }
  if (status) status = copy_from_boot(tree, "initrd.img-", work / "initrd.img");
  if (status) {
    progress.next("making the disk image");
    status = make_disk(tree, work / disk_name(*options), options->disk_bytes, options->name);
  }
  if (!status) return std::unexpected(status.error());
  progress.next("putting the files in place");
  Manifest made;
  made.recipe = recipe;
  return install_guest(*output, std::move(made), *options, kFullGuest);
}

}  // namespace lockstep::image
