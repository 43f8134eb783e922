#include "guest_runner.h"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

#include "base/hash.h"
#include "config/load.h"
#include "io/posix/host_clock.h"
#include "io/posix/image_file.h"
#include "overlay_disk.h"
#include "vmm/board_file.h"

namespace lockstep::bench {
namespace {

// How often the runner looks at answers that are due.
constexpr uint64_t kSliceSteps = 50'000;
constexpr uint64_t kWallClockNs = 1'750'000'000'000'000'000;
constexpr std::string_view kReady = "lockstep-guest ready";
constexpr std::string_view kBegin = "<bench-begin>\r\n";
constexpr std::string_view kEnd = "<bench-end>\r\n";

}  // namespace

Result<std::unique_ptr<GuestRunner>> GuestRunner::boot(const std::string& configuration,
                                                       const machine::EngineChoice& engine) {
  const config::Loaded config = config::load_config(configuration);
  if (!config) return std::unexpected(config.error().error());
  std::unique_ptr<GuestRunner> runner(new GuestRunner);
  for (const config::DiskConfig& disk : config->disks) {
    auto image = posix::ImageFile::open(disk.path, posix::ImageFile::Mode::kReadOnly);
    if (!image) return std::unexpected(image.error());
    runner->disks_.push_back(std::make_unique<OverlayDisk>(std::move(*image)));
  }
  auto board = vmm::make_board(*config, runner->disks_, vmm::BootSeed{});
  if (!board) return std::unexpected(board.error());
  auto ram = posix::AnonymousMemory::create(board->memory_bytes);
  if (!ram) return std::unexpected(ram.error());
  runner->ram_ = std::move(*ram);
  auto machine =
      machine::Machine::create(std::move(*board), runner->ram_->bytes(), *runner, engine);
  if (!machine) return std::unexpected(machine.error());
  runner->machine_ = std::move(*machine);

  const HostTime start = posix::monotonic_now();
  const auto ready = runner->wait_for(std::string(kReady));
  if (!ready) return std::unexpected(ready.error());
  runner->boot_ = {.steps = ready->step.value,
                   .seconds = static_cast<double>(ready->time - start) / 1e9,
                   .output = runner->output_};
  return runner;
}

// The quotes keep the terminal's echo of the line from looking like the markers.
Result<CommandRun> GuestRunner::run(const std::string& command) {
  output_.clear();
  const std::string line =
      fmt::format("echo '<bench-''begin>'; {}; echo '<bench-''end>'\n", command);
  if (Status status = type(line); !status) return std::unexpected(status.error());
  const auto begin = wait_for(std::string(kBegin));
  if (!begin) return std::unexpected(begin.error());
  output_.erase(0, begin->end);
  const auto end = wait_for(std::string(kEnd));
  if (!end) return std::unexpected(end.error());
  return CommandRun{.steps = end->step - begin->step,
                    .seconds = static_cast<double>(end->time - begin->time) / 1e9,
                    .output = output_.substr(0, end->end - kEnd.size())};
}

Status GuestRunner::type(const std::string& text) {
  const ByteView bytes = as_byte_view(text);
  return machine_->apply(
      {machine_->step(), log::ConsoleInput{machine::kUartPort, Bytes(bytes.begin(), bytes.end())}});
}

Result<GuestRunner::Sighting> GuestRunner::wait_for(const std::string& text) {
  awaited_ = text;
  sighting_.reset();
  const Step limit = machine_->step() + kMaxCommandSteps;
  while (!sighting_ && machine_->step() < limit) {
    if (Status status = answer_requests(); !status) return std::unexpected(status.error());
    const auto reason = machine_->run_until(std::min(limit, machine_->step() + kSliceSteps));
    if (!reason) return std::unexpected(reason.error());
    if (*reason == machine::StopReason::kPoweredOff) break;
    if (*reason != machine::StopReason::kWaiting || !answers_.empty()) continue;
    if (Status status = pass_idle_time(); !status) return std::unexpected(status.error());
  }
  if (sighting_) return *sighting_;
  return fail(ErrorCode::kUnavailable, "the guest never said", text,
              fmt::format("its console ended with: {}",
                          output_.substr(output_.size() - std::min<size_t>(500, output_.size()))));
}

Status GuestRunner::pass_idle_time() {
  const std::optional<GuestTicks> deadline = machine_->timer_deadline();
  if (!deadline) {
    return fail(ErrorCode::kUnavailable, "the guest waits for ever, at step",
                fmt::format("{}", machine_->step().value), "its console shows why");
  }
  return machine_->apply({machine_->step(), log::Warp{std::max(*deadline, machine_->guest_time()),
                                                      machine_->time_rate_q32()}});
}

Status GuestRunner::answer_requests() {
  for (log::Payload& answer : std::exchange(answers_, {})) {
    if (Status status = machine_->apply({machine_->step(), std::move(answer)}); !status) {
      return status;
    }
  }
  return {};
}

log::DiskCompletion GuestRunner::carry_out(const devices::DiskRequest& request) {
  io::Disk& disk = *disks_[request.disk.value];
  log::DiskCompletion completion{.disk = request.disk, .request = request.request, .data = {}};
  Status status;
  switch (request.operation) {
    case devices::DiskOperation::kRead:
      completion.has_data = true;
      completion.data.resize(request.length);
      status = disk.read(request.offset, completion.data);
      break;
    case devices::DiskOperation::kWrite:
      status = disk.write(request.offset, request.data);
      break;
    case devices::DiskOperation::kFlush:
      status = disk.flush();
      break;
    case devices::DiskOperation::kDiscard:
    case devices::DiskOperation::kWriteZeroes:
      status = disk.discard(request.offset, request.length);
      break;
  }
  if (!status) completion.status = log::DiskStatus::kIoError;
  return completion;
}

void GuestRunner::console_output(Step step, DeviceIndex port, uint64_t, ByteView bytes) {
  if (port != machine::kUartPort) return;
  output_ += as_text(bytes);
  if (!sighting_ && output_.ends_with(awaited_)) {
    sighting_ = {step, posix::monotonic_now(), output_.size()};
    machine_->interrupt();
  }
  if (!sighting_ && output_.size() > 2 * kMaxOutputBytes) output_.erase(0, kMaxOutputBytes);
}

void GuestRunner::disk_request(devices::DiskRequest request) {
  answers_.emplace_back(carry_out(request));
}

// Not random, but the same in every run.
void GuestRunner::entropy_request(uint32_t count) {
  Bytes bytes;
  ByteWriter writer(bytes);
  while (bytes.size() < count) {
    const uint64_t number = entropy_given_++;
    writer.fixed(hash64(std::as_bytes(std::span(&number, 1))));
  }
  bytes.resize(count);
  answers_.emplace_back(log::Entropy{std::move(bytes)});
}

uint64_t GuestRunner::wall_clock_ns(Step step) {
  return kWallClockNs + step.value;
}

}  // namespace lockstep::bench
