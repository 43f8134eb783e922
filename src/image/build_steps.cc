#include "image/build_steps.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fmt/format.h>
#include <fstream>
#include <system_error>

#include "base/hash.h"
#include "image/files.h"
#include "image/guest_files.h"
#include "image/tools.h"

namespace lockstep::image {
namespace {

constexpr size_t kMaxNameLength = 63;  // a host name's label, RFC 1035 §2.3.4
constexpr uint64_t kJournalMebibytes = 8;

bool is_host_name(std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
  };
  return !name.empty() && name.size() <= kMaxNameLength && name.front() != '-' &&
         std::ranges::all_of(name, allowed);
}

Status make_sparse_file(const std::filesystem::path& path, uint64_t bytes) {
  if (auto status = write_text(path, ""); !status) return status;
  std::error_code error;
  std::filesystem::resize_file(path, bytes, error);
  if (!error) return {};
  return fail(ErrorCode::kNoSpace, "cannot make the disk image", path.string(), error.message());
}

// VM.toml belongs to the user once it has been edited.
Result<bool> write_configuration(OutputDirectory& output, const std::string& text,
                                 const std::optional<Manifest>& previous) {
  const auto present = read_text(output.file("VM.toml"));
  if (present && (!previous || recipe_hash({*present}) != previous->configuration)) return false;
  if (auto status = write_text(output.work() / "VM.toml", text); !status) {
    return std::unexpected(status.error());
  }
  if (auto status = output.install("VM.toml"); !status) return std::unexpected(status.error());
  return true;
}

}  // namespace

void ProgressReporter::next(std::string_view text) {
  step_ = std::min(step_ + 1, steps_);
  detail(text);
}

void ProgressReporter::detail(std::string_view text) const {
  if (options_.on_progress) options_.on_progress({step_, steps_, text});
}

std::string disk_name(const BuildOptions& options) {
  return options.name + ".img";
}

std::vector<std::string> output_names(const BuildOptions& options) {
  return {"vmlinuz", "initrd.img", disk_name(options), "cmdline", "VM.toml"};
}

Result<BuildOptions> complete_options(const BuildOptions& options, const GuestKind& kind) {
  BuildOptions complete = options;
  if (complete.name.empty()) complete.name = kind.default_name;
  if (complete.disk_bytes == 0) complete.disk_bytes = kind.default_disk_bytes;
  if (!is_host_name(complete.name)) {
    return fail(ErrorCode::kInvalid, "not a name for a guest:", complete.name,
                "use letters, digits and '-'");
  }
  if (complete.name == "initrd") {
    return fail(ErrorCode::kInvalid, "not a name for a guest:", complete.name,
                "its disk would have the initrd's file name");
  }
  if (complete.disk_bytes < kind.min_disk_bytes || complete.disk_bytes > kMaxDiskBytes) {
    return fail(
        ErrorCode::kInvalid,
        "disk size out of range:", fmt::format("{} bytes", complete.disk_bytes),
        fmt::format("use {} MiB to {} TiB", kind.min_disk_bytes >> 20, kMaxDiskBytes >> 40));
  }
  complete.disk_bytes = complete.disk_bytes / 4096 * 4096;
  if (complete.output_directory.empty()) complete.output_directory.push_back('.');
  return complete;
}

Result<std::filesystem::path> cache_directory(const BuildOptions& options) {
  if (!options.cache_directory.empty()) return options.cache_directory;
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache != nullptr && *cache != '\0') return std::filesystem::path(cache) / "lockstep/image";
  const char* home = std::getenv("HOME");
  if (home != nullptr && *home != '\0') {
    return std::filesystem::path(home) / ".cache/lockstep/image";
  }
  return fail(ErrorCode::kInvalid, "no directory to keep packages in:", "HOME is not set",
              "set XDG_CACHE_HOME or HOME");
}

Status require_space(const std::filesystem::path& directory, uint64_t bytes) {
  std::error_code error;
  const auto space = std::filesystem::space(directory, error);
  if (error || space.available >= bytes) return {};
  return fail(
      ErrorCode::kNoSpace, "not enough space in", directory.string(),
      fmt::format("{} MiB are free, {} MiB are needed", space.available >> 20, bytes >> 20));
}

std::string recipe_hash(const std::vector<std::string>& parts) {
  Bytes bytes;
  ByteWriter writer(bytes);
  for (const std::string& part : parts) writer.blob(as_byte_view(part));
  const Hash128 hash = hash128(bytes);
  return fmt::format("{:016x}{:016x}", hash.high, hash.low);
}

Status make_disk(const std::filesystem::path& tree, const std::filesystem::path& disk,
                 uint64_t bytes, const std::string& label) {
  if (auto status = make_sparse_file(disk, bytes); !status) return status;
  std::vector<std::string> command;
  // fakeroot shows the builder's files as root's.
  if (!posix::running_as_root()) command = {"fakeroot", "--"};
  // Inode tables and journal are initialised now, so that no thread of the guest has to.
  command.insert(command.end(),
                 {find_tool("mke2fs"), "-q", "-F", "-t", "ext4", "-d", tree.string(), "-m", "0",
                  "-J", fmt::format("size={}", kJournalMebibytes), "-L", label.substr(0, 16), "-E",
                  "lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0", disk.string()});
  posix::CommandOptions options;
  options.environment = {{"LC_ALL", "C"}};
  auto status = run_tool(command, options);
  if (!status && status.error().advice.contains("Could not allocate")) {
    return fail(ErrorCode::kNoSpace, "the guest's files do not fit into its disk", label,
                "give a larger --size");
  }
  return status;
}

Result<BuildResult> install_guest(OutputDirectory& output, Manifest manifest,
                                  const BuildOptions& options, const GuestKind& kind) {
  const auto previous = output.manifest();
  const std::string disk = disk_name(options);
  BuildResult result;
  result.configuration = output.file("VM.toml").string();
  result.disk_kept = !options.replace_disk && !output.disk_untouched(disk, previous);

  const std::string command_line(kind.command_line);
  if (auto status = write_text(output.work() / "cmdline", command_line + "\n"); !status) {
    return std::unexpected(status.error());
  }
  std::vector<std::string> names{"vmlinuz", "initrd.img", "cmdline"};
  if (!result.disk_kept) names.push_back(disk);
  for (const std::string& name : names) {
    if (auto status = output.install(name); !status) return std::unexpected(status.error());
  }
  const std::string configuration = fill_in(kVmConfiguration, {{"name", options.name},
                                                               {"memory", kind.memory},
                                                               {"cmdline", command_line},
                                                               {"disk", disk},
                                                               {"forward", kind.forward}});
  const auto written = write_configuration(output, configuration, previous);
  if (!written) return std::unexpected(written.error());
  manifest.configuration =
      *written ? recipe_hash({configuration}) : (previous ? previous->configuration : "");
  manifest.checked_unix_s = now_unix_s();
  manifest.disk = result.disk_kept ? std::nullopt : stamp_of(output.file(disk));
  if (auto status = output.save_manifest(manifest); !status) {
    return std::unexpected(status.error());
  }
  return result;
}

int64_t now_unix_s() {
  using std::chrono::system_clock;
  return std::chrono::duration_cast<std::chrono::seconds>(system_clock::now().time_since_epoch())
      .count();
}

}  // namespace lockstep::image
