// Linux kernel modules: what they depend on, and a slim form that loads fast.
//
// Why slim: a riscv64 module carries a symbol for every relaxation label (215,000 in ext4.ko) and
// type information whose first use makes the kernel parse its own. Both cost the guest over a
// billion instructions per boot and serve only debugging. Code and relocations stay as they are.
//
// Owner: none (pure functions, but the index reads directories).
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

namespace lockstep::image {

// "virtio-rng" and "virtio_rng" are the same module; this is the form with underscores.
std::string module_name(std::string_view file_or_module);

// The modules that must be loaded before (the `depends` field of .modinfo).
Result<std::vector<std::string>> module_dependencies(ByteView module, const std::string& name);

// The module without .BTF and without the local labels that no relocation uses. Functions and
// objects keep their names, so that a kernel's back trace stays readable. A module of a shape that
// is not understood comes back as it is.
Result<Bytes> slim_module(ByteView module, const std::string& name);

// The modules of one kernel, from the tree that its package unpacks to.
class ModuleIndex {
 public:
  // `directory`: …/usr/lib/modules/VERSION.
  static Result<ModuleIndex> scan(const std::filesystem::path& directory);

  bool built_in(const std::string& module) const { return built_in_.contains(module); }
  // The file, uncompressed (by xz or zstd, in place, the first time).
  Result<std::filesystem::path> file(const std::string& module);

 private:
  std::filesystem::path directory_;
  std::map<std::string, std::filesystem::path> files_;
  std::set<std::string> built_in_;
};

struct LoadedModule {
  std::string name;
  Bytes content;
};

// `wanted` and all that they depend on, in an order in which they can be loaded. What is built into
// the kernel is left out.
Result<std::vector<LoadedModule>> modules_in_load_order(ModuleIndex& index,
                                                        const std::vector<std::string>& wanted);

}  // namespace lockstep::image
