#include "engine_run.h"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>

#include "base/check.h"
#include "config/load.h"
#include "io/posix/host_files.h"
#include "native_rows.h"

namespace lockstep::bench {
namespace {

namespace fs = std::filesystem;

constexpr const char* kWorkloads = LOCKSTEP_BENCH_WORKLOADS;
constexpr const char* kKeyBits = "2048";
// Not newer than the guest's.
constexpr const char* kJavaRelease = "17";

const char* name_of(Side side) {
  return side == Side::kOurs ? "ours" : "QEMU";
}

std::string_view name_of(config::Engine engine) {
  switch (engine) {
    case config::Engine::kInterpreter:
      return "interpreter";
    case config::Engine::kJit:
      return "jit";
  }
  return "jit";
}

Status run_tool(const std::vector<std::string>& command) {
  const auto result = posix::run_command(command);
  if (!result) return std::unexpected(result.error());
  if (result->exit_code == 0) return {};
  return fail(ErrorCode::kSystem, "this program failed:", command[0], result->output);
}

Status copy_workloads(const fs::path& to) {
  std::error_code error;
  fs::copy(kWorkloads, to, fs::copy_options::recursive, error);
  if (!error) return {};
  return fail(ErrorCode::kNotFound, "cannot copy the workloads", kWorkloads,
              error.message() + "; run a bench-engine whose source tree is in place");
}

// "QEMU emulator version 7.2.22 (…)".
Result<std::string> version_of(const std::string& qemu) {
  const auto result = posix::run_command({qemu, "--version"});
  if (!result) return std::unexpected(result.error());
  return result->output.substr(0, result->output.find('\n'));
}

}  // namespace

EngineRun::EngineRun(RunOptions options, const posix::Interrupts& interrupts)
    : options_(std::move(options)),
      interrupts_(interrupts),
      directory_(
          (fs::temp_directory_path() / fmt::format("bench-engine-{}", posix::this_process().value))
              .string()) {
  for (const EngineRow& row : options_.rows) {
    report_.rows.emplace_back().name = row.name;
  }
  report_.engine = name_of(options_.engine);
  report_.guest_memory_bytes = options_.memory_bytes;
  report_.rounds = options_.rounds;
}

EngineRun::~EngineRun() {
  seats_.clear();  // their files are in the directory
  std::error_code ignored;
  fs::remove_all(directory_, ignored);
}

Status EngineRun::run() {
  if (std::ranges::find(options_.sides, Side::kQemu) != options_.sides.end()) {
    options_.qemu = posix::find_program(options_.qemu);
    auto version = version_of(options_.qemu);
    if (!version) return std::unexpected(version.error());
    report_.qemu_version = std::move(*version);
  }
  const config::Loaded config = config::load_config(options_.image + "/VM.toml");
  if (!config) return std::unexpected(config.error().error());
  if (config->disks.empty()) {
    return fail(ErrorCode::kInvalid, "there is no disk in", options_.image + "/VM.toml");
  }
  if (Status status = make_workloads(config->disks[0].path); !status) return status;
  for (unsigned round = 1; round <= options_.rounds && !interrupts_.pending(); ++round) {
    run_round(round);
  }
  return {};
}

// One private key and one compiled class for all, so that all do the same.
Status EngineRun::make_workloads(const std::string& root_disk) {
  if (Status status = posix::make_directory(directory_); !status) return status;
  const fs::path native = fs::path(directory_) / "native";
  if (Status status = copy_workloads(native); !status) return status;
  Status status = run_tool({"openssl", "genrsa", "-out", (native / kKeyFile).string(), kKeyBits});
  if (!status) return status;
  if (!posix::find_program("javac").empty()) {
    status = run_tool({"javac", "--release", kJavaRelease, "-d", native.string(),
                       (native / "Work.java").string()});
    if (!status) return status;
  }
  std::error_code error;
  const fs::path staged = fs::path(directory_) / "staged";
  fs::copy(native, staged, fs::copy_options::recursive, error);
  if (error) {
    return fail(ErrorCode::kSystem, "cannot copy the workloads to", staged.string(),
                error.message());
  }
  if (!options_.kbench.empty()) {
    fs::copy_file(options_.kbench, staged / "kbench", error);
    if (error) return fail(ErrorCode::kNotFound, "cannot copy", options_.kbench, error.message());
  }
  status = run_tool({"tar", "-C", staged.string(), "-cf", directory_ + "/workloads.tar", "."});
  if (!status || !options_.native || !selected(kArchiveRow)) return status;
  return copy_archive_source(root_disk, native.string());
}

bool EngineRun::selected(std::string_view row) const {
  return std::ranges::find(options_.rows, row, &EngineRow::name) != options_.rows.end();
}

void EngineRun::run_round(unsigned round) {
  for (const Side side : options_.sides) boot(side, round);
  for (const EngineRow& row : options_.rows) {
    if (row.name == kBootRow) continue;
    RowResult& result = result_of(row.name);
    for (const Side side : options_.sides) {
      if (interrupts_.pending()) return;
      run_row(side, row, result);
    }
    if (options_.native) run_natively(row, result);
  }
  seats_.clear();
}

void EngineRun::boot(Side side, unsigned round) {
  Seat& seat = seats_[side];
  fmt::print(stderr, "round {} of {}: booting {}\n", round, options_.rounds, name_of(side));
  const bool ours = side == Side::kOurs;
  const GuestOptions guest_options{.image = options_.image,
                                   .workloads = directory_ + "/workloads.tar",
                                   .directory = directory_ + (ours ? "/ours" : "/qemu"),
                                   .qemu = options_.qemu,
                                   .memory_bytes = options_.memory_bytes,
                                   .engine = options_.engine};
  auto guest = EngineGuest::boot(side, guest_options, interrupts_);
  if (!guest) {
    seat.lost = fmt::format("{} did not boot: {}", name_of(side), guest.error().text());
    fmt::print(stderr, "{}\n", seat.lost);
    if (selected(kBootRow)) result_of(kBootRow).error = seat.lost;
    return;
  }
  seat.guest = std::move(*guest);
  const Timing& timing = seat.guest->boot_timing();
  fmt::print(stderr, "  {:<15} {:<5} {:8.3f} s, {:8.3f} s in the guest\n", kBootRow, name_of(side),
             timing.host_seconds, timing.guest_seconds);
  if (selected(kBootRow)) {
    RowResult& row = result_of(kBootRow);
    (ours ? row.ours : row.qemu).push_back(timing);
  }
  note_memory(side);
}

void EngineRun::run_row(Side side, const EngineRow& row, RowResult& result) {
  Seat& seat = seats_[side];
  const auto timing = run_in(seat, row);
  if (!timing) {
    if (result.error.empty()) {
      result.error = fmt::format("{}: {}", name_of(side), timing.error().text());
    }
    fmt::print(stderr, "  {:<15} {:<5} {}\n", row.name, name_of(side), timing.error().text());
    return;
  }
  (side == Side::kOurs ? result.ours : result.qemu).push_back(*timing);
  fmt::print(stderr, "  {:<15} {:<5} {:8.3f} s, {:8.3f} s in the guest\n", row.name, name_of(side),
             timing->host_seconds, timing->guest_seconds);
  note_memory(side);
}

Result<Timing> EngineRun::run_in(Seat& seat, const EngineRow& row) {
  if (!seat.guest) return fail(ErrorCode::kUnavailable, "there is no guest:", seat.lost);
  const auto run = [&](std::string_view command) {
    auto result = seat.guest->run(command);
    if (!result) {
      seat.lost = result.error().text();
      seat.guest.reset();
    } else if (result->status != 0) {
      result = fail(ErrorCode::kUnavailable, "this failed in the guest:", std::string(command),
                    fmt::format("exit code {}, {:?}", result->status, result->output));
    }
    return result;
  };
  if (!row.prepare.empty() && seat.prepared.insert(std::string(row.prepare)).second) {
    if (const auto prepared = run(row.prepare); !prepared) {
      return std::unexpected(prepared.error());
    }
  }
  const auto result = run(row.command);
  if (!result) return std::unexpected(result.error());
  return check_output(row, *result);
}

Result<Timing> EngineRun::check_output(const EngineRow& row, const RunResult& run) {
  const auto [first, is_first] = outputs_.try_emplace(std::string(row.name), run.output);
  if (is_first || first->second == run.output) return run.timing;
  return fail(ErrorCode::kDiverged, "two engines, or two rounds, print different results for",
              std::string(row.name), fmt::format("{:?} and {:?}", first->second, run.output));
}

// A host without the right version of something is no reason to have no benchmark.
void EngineRun::run_natively(const EngineRow& row, RowResult& result) {
  const auto seconds = time_natively(row, directory_ + "/native");
  if (!seconds) {
    fmt::print(stderr, "  {:<15} host  {}\n", row.name, seconds.error().text());
  } else if (*seconds) {
    result.native_seconds.push_back(**seconds);
  }
}

void EngineRun::note_memory(Side side) {
  const auto& guest = seats_[side].guest;
  const auto memory = guest->memory();
  if (!memory) {
    fmt::print(stderr, "{}: {}\n", name_of(side), memory.error().text());
    return;
  }
  auto& most = side == Side::kOurs ? report_.our_memory_bytes : report_.qemu_memory_bytes;
  most = std::max(most.value_or(0), memory->other_bytes);
}

RowResult& EngineRun::result_of(std::string_view name) {
  const auto found = std::ranges::find(report_.rows, name, &RowResult::name);
  CHECK(found != report_.rows.end());
  return *found;
}

}  // namespace lockstep::bench
