// Where a build leaves its files, and the manifest that vouches for them.
//
// Work goes on in a directory of its own inside the output directory (same file system, so that a
// rename installs a file whole), which goes with this object; what a killed build left is removed
// by the next one.
//
// Owner: the building thread. Several builds into one directory do not disturb each other's work;
// the one that installs last wins.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "image/debian_packages.h"

namespace lockstep::image {

// A file's size and time of last change, to see whether somebody else wrote to it.
struct FileStamp {
  uint64_t size = 0;
  int64_t modified_ns = 0;
  bool operator==(const FileStamp&) const = default;
};

struct Manifest {
  std::string recipe;          // a hash of all that goes in but the packages
  int64_t checked_unix_s = 0;  // when the packages were last looked up
  std::vector<DebianPackage> packages;
  // The disk as it was built; nothing when the disk was already there and has been kept.
  std::optional<FileStamp> disk;
  std::string configuration;  // a hash of VM.toml as it was written

  std::string to_json() const;
  // Nothing when it is not a manifest of this version.
  static std::optional<Manifest> from_json(std::string_view text);
};

class OutputDirectory {
 public:
  static Result<OutputDirectory> open(const std::filesystem::path& path);
  OutputDirectory(OutputDirectory&& other) noexcept
      : path_(std::exchange(other.path_, {})), work_(std::exchange(other.work_, {})) {}
  OutputDirectory& operator=(OutputDirectory&&) = delete;
  ~OutputDirectory();

  const std::filesystem::path& path() const { return path_; }
  // Empty at first.
  const std::filesystem::path& work() const { return work_; }
  std::filesystem::path file(std::string_view name) const { return path_ / name; }

  std::optional<Manifest> manifest() const;
  Status save_manifest(const Manifest& manifest);

  // All of the names are files in the output directory.
  bool has_all(const std::vector<std::string>& names) const;
  // Moves work()/name to file(name), in place of what is there.
  Status install(const std::string& name);
  // The disk may be replaced: it is not there, or it is as `manifest` says that it was built.
  bool disk_untouched(const std::string& name, const std::optional<Manifest>& manifest) const;

 private:
  OutputDirectory() = default;

  std::filesystem::path path_;
  std::filesystem::path work_;
};

// Nothing when the file does not exist.
std::optional<FileStamp> stamp_of(const std::filesystem::path& path);

}  // namespace lockstep::image
