// The two sides of the comparison: something that runs a program and gives the memory image that it
// leaves, of the size of program.image.
//
// Owner: one thread at a time.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "base/bytes.h"
#include "base/error.h"
#include "tests/oracle/program.h"

namespace lockstep::oracle {

using Runner = std::function<Result<Bytes>(const Program&)>;

// A directory for files of one process; removed with all that is in it.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// User-mode QEMU, as a process for each run: the outside oracle. `executable` is looked up in PATH.
// A run that takes longer than kQemuTimeoutS is ended and is an error.
inline constexpr int kQemuTimeoutS = 60;
Runner qemu_runner(const TemporaryDirectory& directory, std::string executable);

}  // namespace lockstep::oracle
