#include "native_rows.h"

#include <fmt/format.h>

#include "io/posix/host_clock.h"
#include "io/posix/host_files.h"
#include "io/posix/subprocess.h"

namespace lockstep::bench {
namespace {

Status run_in(const std::string& directory, std::string_view command) {
  posix::CommandOptions options;
  options.working_directory = directory;
  options.environment = {{"LC_ALL", "C"}, {std::string(kUsrVariable), directory + "/usr"}};
  const auto result = posix::run_command({"sh", "-c", std::string(command)}, options);
  if (!result) return std::unexpected(result.error());
  if (result->exit_code == 0) return {};
  return fail(ErrorCode::kSystem, "this failed on the host:", std::string(command), result->output);
}

}  // namespace

Status copy_archive_source(const std::string& image, const std::string& directory) {
  if (Status status = posix::make_directory(directory + "/usr"); !status) return status;
  const auto result =
      posix::run_command({"debugfs", "-R", fmt::format("rdump /usr/bin {}/usr", directory), image});
  if (!result) return std::unexpected(result.error());
  if (result->exit_code == 0) return {};
  return fail(ErrorCode::kSystem, "cannot copy /usr/bin out of", image, result->output);
}

Result<std::optional<double>> time_natively(const EngineRow& row, const std::string& directory) {
  if (row.host_program.empty() || posix::find_program(std::string(row.host_program)).empty()) {
    return std::nullopt;
  }
  if (!row.prepare.empty()) {
    if (Status status = run_in(directory, row.prepare); !status) {
      return std::unexpected(status.error());
    }
  }
  const HostTime start = posix::monotonic_now();
  if (Status status = run_in(directory, row.command); !status) {
    return std::unexpected(status.error());
  }
  return static_cast<double>(posix::monotonic_now() - start) / 1e9;
}

}  // namespace lockstep::bench
