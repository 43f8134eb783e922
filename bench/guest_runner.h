// A guest image in a machine of this process: boots it, types commands at its console and measures
// them, in steps of the machine and seconds of the host.
//
// The machine runs alone: no log, no other replica, no network. Disk requests are carried out at
// once, idle waits pass at once, and guest time is a function of steps alone, so that two runs of
// one build differ in nothing but the host's seconds. The image is not changed (overlay_disk.h).
//
// Invariant: between two calls the guest's shell waits for a line.
//
// Owner: the main thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/types.h"
#include "io/disk.h"
#include "io/posix/anonymous_memory.h"
#include "machine/machine.h"

namespace lockstep::bench {

// Enough for a boot, or for one command.
inline constexpr uint64_t kMaxCommandSteps = 100'000'000'000;
// Of a command's output this much is kept, the last of it.
inline constexpr size_t kMaxOutputBytes = size_t{1} << 16;

struct CommandRun {
  uint64_t steps = 0;
  double seconds = 0;  // of the host
  std::string output;  // without the markers
};

class GuestRunner final : private machine::Outside {
 public:
  // `configuration`: the VM.toml that `lockstep image build` made of a small guest. Boots until the
  // guest says that it is ready. kUnavailable when it never does.
  static Result<std::unique_ptr<GuestRunner>> boot(const std::string& configuration,
                                                   const machine::EngineChoice& engine = {});

  const CommandRun& boot_run() const { return boot_; }
  // Runs one line of shell. kUnavailable when it does not end within kMaxCommandSteps.
  Result<CommandRun> run(const std::string& command);

 private:
  // Where the last byte of a text appeared on the console.
  struct Sighting {
    Step step;
    HostTime time;
    size_t end = 0;  // in output_
  };

  GuestRunner() = default;
  Status type(const std::string& text);
  Result<Sighting> wait_for(const std::string& text);
  Status pass_idle_time();
  Status answer_requests();
  log::DiskCompletion carry_out(const devices::DiskRequest& request);

  void console_output(Step step, DeviceIndex port, uint64_t offset, ByteView bytes) override;
  void frame_output(Step, DeviceIndex, uint64_t, ByteView) override {}
  void disk_request(devices::DiskRequest request) override;
  void entropy_request(uint32_t count) override;
  uint64_t wall_clock_ns(Step step) override;

  std::vector<std::unique_ptr<io::Disk>> disks_;
  std::optional<posix::AnonymousMemory> ram_;
  std::unique_ptr<machine::Machine> machine_;
  std::vector<log::Payload> answers_;
  uint64_t entropy_given_ = 0;
  std::string output_;
  std::string awaited_;
  std::optional<Sighting> sighting_;
  CommandRun boot_;
};

}  // namespace lockstep::bench
