// What the builds of both kinds of guest have in common.
//
// Owner: the building thread.
#pragma once

#include <filesystem>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "image/build.h"
#include "image/output_directory.h"

namespace lockstep::image {

// Numbers the steps of a build for the person who waits.
class ProgressReporter {
 public:
  ProgressReporter(const BuildOptions& options, unsigned steps)
      : options_(options), steps_(steps) {}
  // Begins the next step.
  void next(std::string_view text);
  // More about the step under way.
  void detail(std::string_view text) const;

 private:
  const BuildOptions& options_;
  unsigned steps_;
  unsigned step_ = 0;
};

// The names of the files that a build leaves.
std::string disk_name(const BuildOptions& options);
std::vector<std::string> output_names(const BuildOptions& options);

struct GuestKind {
  const char* default_name;
  uint64_t default_disk_bytes;
  uint64_t min_disk_bytes;
  std::string_view memory;   // for VM.toml
  std::string_view forward;  // for VM.toml: a list of quoted forwards
  std::string_view command_line;
};

// `options` with the defaults of the kind filled in, checked.
Result<BuildOptions> complete_options(const BuildOptions& options, const GuestKind& kind);

// $XDG_CACHE_HOME/lockstep/image, or ~/.cache/lockstep/image; options.cache_directory first.
Result<std::filesystem::path> cache_directory(const BuildOptions& options);

// Error kNoSpace when the file system that holds `directory` has fewer bytes left.
Status require_space(const std::filesystem::path& directory, uint64_t bytes);

// A hash of texts, as hexadecimal digits; where one ends and the next begins counts.
std::string recipe_hash(const std::vector<std::string>& parts);

// An ext4 file system with the content of `tree`, all of it root's, as a sparse file.
Status make_disk(const std::filesystem::path& tree, const std::filesystem::path& disk,
                 uint64_t bytes, const std::string& label);

// Puts what stands in output.work() in place: vmlinuz, initrd.img, the disk; writes cmdline and
// VM.toml (unless edited), and `manifest` last.
Result<BuildResult> install_guest(OutputDirectory& output, Manifest manifest,
                                  const BuildOptions& options, const GuestKind& kind);

int64_t now_unix_s();

}  // namespace lockstep::image
