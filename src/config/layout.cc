#include "config/layout.h"

#include <filesystem>
#include <fmt/format.h>
#include <utility>

#include "base/check.h"

namespace lockstep::config {
namespace {

std::string absolute_path(const std::string& path) {
  std::string text = std::filesystem::absolute(path).lexically_normal().string();
  while (text.size() > 1 && text.ends_with('/')) text.pop_back();
  return text;
}

}  // namespace

std::optional<Node> parse_node(std::string_view text) {
  for (const Node node : kNodes) {
    if (text == to_string(node)) return node;
  }
  return std::nullopt;
}

VmLayout::VmLayout(const std::string& state_directory, std::string vm_name)
    : vm_name_(std::move(vm_name)), directory_(absolute_path(state_directory + "/" + vm_name_)) {
}

VmLayout VmLayout::of_vm_directory(const std::string& vm_directory) {
  VmLayout layout;
  layout.directory_ = absolute_path(vm_directory);
  layout.vm_name_ = std::filesystem::path(layout.directory_).filename().string();
  return layout;
}

std::string VmLayout::arbiter_directory(const VmConfig& config) const {
  CHECK(config.protection.arbiter.kind == ArbiterKind::kDirectory);
  const std::filesystem::path configured(config.protection.arbiter.location);
  return (std::filesystem::path(directory_) / configured).lexically_normal().string();
}

std::string VmLayout::replica_directory(Node node) const {
  return below(fmt::format("replica-{}", to_string(node)));
}

std::string VmLayout::disk_image(const VmConfig& config, Node node, size_t index) const {
  const DiskConfig& disk = config.disks.at(index);
  if (node == Node::kA || disk.readonly) return disk.path;
  return fmt::format("{}/disk{}.img", replica_directory(node), index);
}

Result<std::string> default_state_directory(
    const std::function<const char*(const char* name)>& environment) {
  const auto value = [&](const char* name) {
    const char* text = environment(name);
    return std::string(text == nullptr ? "" : text);
  };
  if (const std::string own = value("LOCKSTEP_STATE_DIR"); !own.empty()) return own;
  // The XDG specification has relative values ignored.
  if (const std::string xdg = value("XDG_STATE_HOME"); xdg.starts_with('/')) {
    return xdg + "/lockstep";
  }
  if (const std::string home = value("HOME"); !home.empty()) return home + "/.local/state/lockstep";
  return fail(ErrorCode::kInvalid, "cannot find", "the state directory",
              "none of LOCKSTEP_STATE_DIR, XDG_STATE_HOME and HOME is set; give --state-dir");
}

}  // namespace lockstep::config
