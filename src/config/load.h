// Reading a VM's configuration file (TOML 1.0): checks everything the file alone can show, and
// reports every problem of the file, each with its place.
//
// Thread-safe: nothing here is shared.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "config/vm_config.h"

namespace lockstep::config {

struct Problem {
  size_t line = 1;  // both count from 1
  size_t column = 1;
  std::string key;  // "disk[0].path"; empty when the file as a whole is meant
  std::string text;
  ErrorCode code = ErrorCode::kInvalid;  // kIncompatible: designed, not in this version
};

struct Problems {
  std::string file;
  std::vector<Problem> list;  // in the order of the file, never empty

  // One line each: "redis.toml:3:1: memmory: unknown key; did you mean memory?"
  std::string text() const;
  // All of them as one Error. Its code is kIncompatible only when every problem's is.
  Error error() const;
};

using Loaded = std::expected<VmConfig, Problems>;

// `path` is the file; relative paths in it start from its directory.
Loaded load_config(const std::string& path);
// `file`: what problems call it, and whose directory relative paths start from.
Loaded parse_config(std::string_view text, const std::string& file);

// The known key nearest to `key` by edit distance, or an empty view when none is near.
std::string_view nearest_key(std::string_view key, const std::vector<std::string_view>& known);

}  // namespace lockstep::config
