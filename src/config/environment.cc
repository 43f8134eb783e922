#include "config/environment.h"

#include <fmt/format.h>
#include <utility>

#include "config/values.h"
#include "io/posix/host_files.h"
#include "io/posix/host_port.h"

namespace lockstep::config {
namespace {

class Findings {
 public:
  // Keeps the error, with advice that names the key.
  template <typename T>
  bool note(const Result<T>& result, std::string_view advice) {
    if (result) return true;
    Error error = result.error();
    error.advice += (error.advice.empty() ? "" : "; ") + std::string(advice);
    errors_.push_back(std::move(error));
    return false;
  }
  void add(Error error) { errors_.push_back(std::move(error)); }
  std::vector<Error> take() { return std::move(errors_); }

 private:
  std::vector<Error> errors_;
};

void check_boot_file(const std::string& path, std::string_view key, Findings& findings) {
  if (path.empty()) return;
  const Result<uint64_t> size =
      posix::readable_file_size(path, fmt::format("cannot read the {}", key));
  if (!findings.note(size, fmt::format("check {} in the configuration", key)) || *size != 0) return;
  findings.add(
      {ErrorCode::kInvalid, fmt::format("cannot use the {}", key), path, "the file is empty"});
}

void check_disk(const DiskConfig& disk, size_t index, Findings& findings) {
  const std::string advice = fmt::format("check path of disk[{}] in the configuration", index);
  const Result<uint64_t> size = disk.readonly
                                    ? posix::readable_file_size(disk.path, "cannot read the disk")
                                    : posix::writable_file_size(disk.path, "cannot open the disk");
  if (!findings.note(size, advice) || (*size != 0 && *size % kSectorSize == 0)) return;
  findings.add(
      {ErrorCode::kInvalid, "cannot use the disk", disk.path,
       fmt::format("its size, {} bytes, is not a positive multiple of {}; make it one with "
                   "truncate",
                   *size, kSectorSize)});
}

void check_forwards(const VmConfig& config, Findings& findings) {
  for (const NetConfig& net : config.nets) {
    for (const PortForward& forward : net.forward) {
      const auto transport =
          forward.protocol == Protocol::kTcp ? posix::Transport::kTcp : posix::Transport::kUdp;
      findings.note(
          posix::probe_host_port(transport, forward.host_address, forward.host_port),
          fmt::format("the forward \"{}\" needs this port; stop what uses it or choose another",
                      format_forward(forward)));
    }
  }
}

void check_arbiter(const VmConfig& config, const VmLayout& layout, Findings& findings) {
  if (config.protection.arbiter.kind != ArbiterKind::kDirectory) return;
  const std::string directory = layout.arbiter_directory(config);
  constexpr std::string_view kAdvice = "check protection.arbiter in the configuration";
  if (!findings.note(posix::make_directory(directory), kAdvice)) return;
  findings.note(posix::check_writable_directory(directory), kAdvice);
}

}  // namespace

std::vector<Error> check_environment(const VmConfig& config, const VmLayout& layout) {
  Findings findings;
  check_boot_file(config.kernel, "kernel", findings);
  check_boot_file(config.initrd, "initrd", findings);
  check_boot_file(config.firmware, "firmware", findings);
  for (size_t i = 0; i < config.disks.size(); ++i) check_disk(config.disks[i], i, findings);
  check_forwards(config, findings);
  check_arbiter(config, layout, findings);
  return findings.take();
}

}  // namespace lockstep::config
