#include "process_memory.h"

#include <charconv>
#include <fmt/format.h>
#include <optional>

#include "io/posix/host_files.h"

namespace lockstep::bench {
namespace {

// "Pss:                 412 kB" for the name "Pss:".
std::optional<uint64_t> field_bytes(std::string_view line, std::string_view name) {
  if (!line.starts_with(name)) return std::nullopt;
  line.remove_prefix(name.size());
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  uint64_t kibibytes = 0;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), kibibytes);
  if (error != std::errc() || std::string_view(end, line.data() + line.size()) != " kB") {
    return std::nullopt;
  }
  return kibibytes << 10;
}

}  // namespace

Result<ProcessMemory> parse_smaps(std::string_view smaps, uint64_t ram_bytes) {
  ProcessMemory memory;
  unsigned of_ram_size = 0;
  bool in_ram = false;
  while (!smaps.empty()) {
    const size_t length = std::min(smaps.find('\n'), smaps.size());
    const std::string_view line = smaps.substr(0, length);
    smaps.remove_prefix(std::min(length + 1, smaps.size()));
    // A mapping's first field is its size.
    if (const auto size = field_bytes(line, "Size:")) {
      in_ram = *size == ram_bytes;
      of_ram_size += in_ram ? 1 : 0;
    } else if (const auto pss = field_bytes(line, "Pss:")) {
      (in_ram ? memory.guest_ram_bytes : memory.other_bytes) += *pss;
    }
  }
  if (of_ram_size == 1) return memory;
  return fail(ErrorCode::kNotFound, "cannot tell the guest's RAM from the rest of a process:",
              fmt::format("{} mappings of {} bytes", of_ram_size, ram_bytes));
}

Result<ProcessMemory> process_memory(posix::ProcessId process, uint64_t ram_bytes) {
  const auto smaps = posix::read_small_file(fmt::format("/proc/{}/smaps", process.value));
  if (!smaps) return std::unexpected(smaps.error());
  return parse_smaps(*smaps, ram_bytes);
}

}  // namespace lockstep::bench
