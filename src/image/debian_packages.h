// Packages of Debian for riscv64, through the machine's own apt with state directories of its own:
// nothing of the machine's package state is read or changed.
//
// Owner: the calling thread. apt locks the directories against other processes.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace lockstep::image {

inline constexpr const char* kDebianSuite = "trixie";
inline constexpr const char* kDebianKeyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
// A resolution larger than this is not what a small guest is made of.
inline constexpr size_t kMaxPackages = 1000;

struct DebianPackage {
  std::string name;
  std::string version;
  std::string file;  // the name of the .deb
  bool operator==(const DebianPackage&) const = default;
};

// One line of `apt-get --print-uris`: 'URI' file size hash. Name empty: it is no such line.
DebianPackage parse_print_uris_line(std::string_view line);

// Debian Policy §5.6.1.
bool is_package_name(std::string_view name);

class DebianPackages {
 public:
  // `cache`: kept from build to build.
  static Result<DebianPackages> open(const std::filesystem::path& cache, const std::string& mirror);

  // Fetches the package lists when they have changed.
  Status update();
  // The named packages with all that they depend on.
  Result<std::vector<DebianPackage>> resolve(const std::vector<std::string>& names);
  // Fetches what is not in the cache yet, checks all of it.
  Status download(const std::vector<DebianPackage>& packages);
  // `directory` exists.
  Status unpack(const DebianPackage& package, const std::filesystem::path& directory);

 private:
  std::vector<std::string> apt_get(const std::vector<std::string>& arguments) const;
  // Not apt's own archives directory: resolve() would leave out what it finds there.
  std::filesystem::path archives() const { return cache_ / "packages"; }

  std::filesystem::path cache_;
};

}  // namespace lockstep::image
