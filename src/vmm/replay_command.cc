#include "vmm/replay_command.h"

#include <chrono>
#include <fmt/format.h>
#include <optional>
#include <utility>

#include "base/diagnostics.h"
#include "io/posix/anonymous_memory.h"
#include "io/posix/file.h"
#include "io/posix/host_clock.h"
#include "machine/machine.h"
#include "replay/machine_target.h"
#include "replay/replay_outside.h"
#include "replay/replayer.h"
#include "replay/source.h"
#include "riscv/guest_time.h"
#include "vmm/board_file.h"
#include "vmm/engine_choice.h"

namespace lockstep::vmm {
namespace {

constexpr uint64_t kProgressSteps = 500'000'000;

struct Replay {
  std::unique_ptr<posix::AnonymousMemory> ram;
  std::unique_ptr<replay::ReplayOutside> outside;
  std::unique_ptr<machine::Machine> machine;
  std::unique_ptr<replay::FileSource> source;
};

Result<Replay> open_recording(const std::string& path, config::Engine engine) {
  auto file = posix::FileReader::open(path);
  if (!file) return std::unexpected(file.error());
  auto reader = log::LogFileReader::open(std::move(*file));
  if (!reader) return std::unexpected(reader.error());
  auto board = decode_board(reader->header().board, path);
  if (!board) return std::unexpected(board.error());
  auto ram = posix::AnonymousMemory::create(board->memory_bytes);
  if (!ram) return std::unexpected(ram.error());
  Replay replay;
  replay.ram = std::make_unique<posix::AnonymousMemory>(std::move(*ram));
  replay.outside = std::make_unique<replay::ReplayOutside>();
  auto machine = machine::Machine::create(std::move(*board), replay.ram->bytes(), *replay.outside,
                                          engine_choice(engine));
  if (!machine) return std::unexpected(machine.error());
  replay.machine = std::move(*machine);
  replay.source = std::make_unique<replay::FileSource>(std::move(*reader));
  return replay;
}

void print_report(const std::string& path, const Replay& replay, const replay::ReplayCounts& counts,
                  double seconds) {
  const log::LogStatistics& log = replay.source->statistics();
  const replay::OutputTally& tally = replay.outside->tally();
  const double guest_seconds = static_cast<double>(replay.machine->guest_time().value) /
                               static_cast<double>(riscv::kTicksPerSecond);
  fmt::print("replay of {}\n", path);
  fmt::print("steps       {}\n", counts.steps);
  fmt::print("guest time  {:.3f} s, replayed in {:.3f} s by {}\n", guest_seconds, seconds,
             to_string(engine_of(replay.machine->engine_report())));
  fmt::print("entries     {}\n", counts.total());
  fmt::print("digests     {} compared\n", counts.of(log::EntryKind::kDigest));
  fmt::print("outputs     {} console bytes, {} frames, {} disk requests, hash {:016x}\n",
             tally.console_bytes, tally.frames, tally.disk_requests, tally.hash);
  fmt::print("log         {} frames, {} bytes\n{}\n", log.frames, log.wire_bytes, log.text());
  fmt::print("mismatches  {}\n", counts.mismatches);
}

}  // namespace

Status replay_recording(const std::string& path, config::Engine engine) {
  Result<Replay> opened = open_recording(path, engine);
  if (!opened) return std::unexpected(opened.error());
  Replay& replay = *opened;
  replay::MachineTarget target(*replay.machine, [&] { return replay.outside->inputs(); });
  replay::Replayer replayer(*replay.source, target);
  const HostTime start = posix::monotonic_now();
  Step limit(kProgressSteps);
  std::optional<Error> error;
  while (true) {
    const Result<replay::ReplayStop> stop = replayer.run_until(limit);
    if (!stop) {
      error = stop.error();
      break;
    }
    if (*stop != replay::ReplayStop::kLimit) break;
    fmt::print(stderr, "replayed {} million steps\n", limit.value / 1'000'000);
    limit += kProgressSteps;
  }
  const double seconds = static_cast<double>(posix::monotonic_now() - start) / 1e9;
  print_report(path, replay, replayer.counts(), seconds);
  if (replayer.divergence()) fmt::print("{}\n", replayer.divergence()->report());
  if (error) return std::unexpected(*error);
  return {};
}

}  // namespace lockstep::vmm
