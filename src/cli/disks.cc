#include "cli/disks.h"

#include <filesystem>
#include <fmt/format.h>
#include <optional>

#include "io/posix/directory_arbiter.h"
#include "io/posix/host_files.h"

namespace lockstep::cli {
namespace {

namespace fs = std::filesystem;

// A link is followed: what it points at is replaced, not the link.
Result<std::string> place_of_copy(const std::string& path) {
  std::error_code failed;
  if (!fs::exists(path, failed)) return path;
  const fs::path target = fs::canonical(path, failed);
  if (failed) return fail(ErrorCode::kSystem, "cannot resolve", path, failed.message());
  if (!fs::is_regular_file(target, failed)) {
    return fail(ErrorCode::kIncompatible, "cannot bring up to date", path,
                "it is not a regular file; copy the other replica's image to it by hand, or "
                "configure a file");
  }
  return target.string();
}

}  // namespace

Result<Newest> newest_replica(const config::VmConfig& config, const config::VmLayout& layout) {
  const std::string directory = layout.arbiter_directory(config);
  posix::DirectoryArbiter arbiter(directory);
  const Result<io::ArbiterRegister> held = arbiter.read(config.name);
  if (!held) return std::unexpected(held.error());
  if (held->epoch == Epoch(0)) return Newest{};
  const std::optional<config::Node> owner = config::parse_node(held->owner);
  if (!owner) {
    return fail(ErrorCode::kCorrupt, "cannot use the arbiter's register in", directory,
                fmt::format("epoch {} belongs to \"{}\", which is neither node a nor b",
                            held->epoch.value, held->owner));
  }
  if (fs::exists(layout.refresh_marker(*owner))) {
    return fail(
        ErrorCode::kCorrupt, "cannot use the images of node", std::string(to_string(*owner)),
        fmt::format("they were being brought up to date when that was interrupted, yet the "
                    "arbiter names this node the newest; compare both images, then remove {}",
                    layout.refresh_marker(*owner)));
  }
  return Newest{*owner, held->epoch};
}

Status refresh_other_disks(const config::VmConfig& config, const config::VmLayout& layout,
                           config::Node from,
                           const std::function<void(const std::string& text)>& on_progress) {
  const config::Node to = config::other_node(from);
  const std::string marker = layout.refresh_marker(to);
  if (Status made = posix::make_directory(layout.replica_directory(to)); !made) return made;
  if (Status marked = posix::write_file_atomically(marker, ""); !marked) return marked;
  for (size_t i = 0; i < config.disks.size(); ++i) {
    const std::string source = layout.disk_image(config, from, i);
    const std::string copy = layout.disk_image(config, to, i);
    if (source == copy) continue;  // read-only: both use the one
    const Result<std::string> place = place_of_copy(copy);
    if (!place) return std::unexpected(place.error());
    on_progress(
        fmt::format("copying disk {} of node {} to node {}", i, to_string(from), to_string(to)));
    if (Status copied = posix::copy_file_sparse(source, *place); !copied) return copied;
  }
  std::error_code failed;
  fs::remove(marker, failed);
  if (failed) return fail(ErrorCode::kSystem, "cannot remove", marker, failed.message());
  return {};
}

}  // namespace lockstep::cli
