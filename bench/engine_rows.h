// What bench-engine times: the rows, by name, and the order in which they run.
//
// A row is one line of shell, run in a directory that holds the files of bench/workloads and the
// private key kKeyFile. Its output is a function of these files and of the image, so every engine
// must print the same.
//
// Owner: none (constants).
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace lockstep::bench {

// From power-on to multi-user: not a command, but the guest's own boot.
inline constexpr std::string_view kBootRow = "boot";
inline constexpr std::string_view kKeyFile = "key.pem";
// Reads the guest's /usr/bin; on the host a copy of it, which the environment names.
inline constexpr std::string_view kArchiveRow = "tar-gzip";
inline constexpr std::string_view kUsrVariable = "usr";

struct EngineRow {
  std::string_view name;
  // Done before, once in a guest, not timed. May be empty.
  std::string_view prepare;
  std::string_view command;  // empty for kBootRow
  // The program that the host needs to run it, too. Empty: it says nothing on the host.
  std::string_view host_program;
};

// All rows, in the order in which they run.
std::span<const EngineRow> all_rows();

// The rows of a list of names as in "int,fp"; empty: all. kInvalid names what there is.
Result<std::vector<EngineRow>> select_rows(const std::string& names);

}  // namespace lockstep::bench
