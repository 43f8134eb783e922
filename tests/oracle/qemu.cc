#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <fstream>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include "base/check.h"
#include "tests/oracle/elf.h"
#include "tests/oracle/runner.h"

extern char** environ;

namespace lockstep::oracle {
namespace {

// The extensions that the generator draws from are named: a QEMU whose defaults lack one, or that
// does not know one, says so.
constexpr const char* kCpu = "rv64,zba=true,zbb=true,zbs=true";

constexpr const char* kInstall =
    "install the Debian package qemu-user-static, or name it by --qemu";

Status write_file(const std::filesystem::path& path, ByteView bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  const std::string_view text = as_text(bytes);
  file.write(text.data(), static_cast<std::streamsize>(text.size()));
  file.close();
  if (!file) return fail(ErrorCode::kSystem, "cannot write the test program", path.string());
  std::error_code error;
  std::filesystem::permissions(path, std::filesystem::perms::owner_all, error);
  if (error) return fail(ErrorCode::kSystem, "cannot make executable", path.string());
  return {};
}

Result<Bytes> read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return fail(ErrorCode::kSystem, "cannot read the dump", path.string());
  std::string text(static_cast<size_t>(file.tellg()), '\0');
  file.seekg(0);
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  const ByteView bytes = as_byte_view(text);
  return Bytes(bytes.begin(), bytes.end());
}

// Runs the command with its standard output in a file; gives what waitpid() said.
Result<int> run_process(std::vector<std::string> command, const std::filesystem::path& output) {
  std::vector<char*> arguments;
  for (std::string& word : command) arguments.push_back(word.data());
  arguments.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output.c_str(),
                                   O_WRONLY | O_CREAT | O_TRUNC, 0600);
  pid_t pid = 0;
  const int error = posix_spawnp(&pid, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    return fail(ErrorCode::kSystem,
                fmt::format("cannot start the oracle ({})", std::strerror(error)), command[0],
                kInstall);
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return fail(ErrorCode::kSystem, "cannot wait for", command[0]);
  }
  return status;
}

Result<Bytes> run_under_qemu(const std::filesystem::path& directory, const std::string& executable,
                             const Program& program) {
  const std::filesystem::path elf = directory / "program";
  const std::filesystem::path dump = directory / "dump";
  if (Status written = write_file(elf, make_elf(program)); !written) {
    return std::unexpected(written.error());
  }
  const Result<int> status = run_process(
      {"timeout", std::to_string(kQemuTimeoutS), executable, "-cpu", kCpu, elf.string()}, dump);
  if (!status) return std::unexpected(status.error());
  if (!WIFEXITED(*status) || WEXITSTATUS(*status) != 0) {
    return fail(ErrorCode::kUnavailable,
                fmt::format("the oracle ended with wait status {:#x}", *status), executable,
                kInstall);
  }
  Result<Bytes> image = read_file(dump);
  if (image && image->size() != program.image.size()) {
    return fail(
        ErrorCode::kCorrupt,
        fmt::format("a dump of {} bytes in place of {}", image->size(), program.image.size()),
        executable);
  }
  return image;
}

}  // namespace

TemporaryDirectory::TemporaryDirectory() {
  std::string name = (std::filesystem::temp_directory_path() / "lockstep-oracle-XXXXXX").string();
  CHECK(mkdtemp(name.data()) != nullptr);
  path_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;  // a directory left behind harms nobody
  std::filesystem::remove_all(path_, ignored);
}

Runner qemu_runner(const TemporaryDirectory& directory, std::string executable) {
  return [path = directory.path(), executable = std::move(executable)](const Program& program) {
    return run_under_qemu(path, executable, program);
  };
}

}  // namespace lockstep::oracle
