// A Debian guest in a process of its own, ours or QEMU's: boots it, logs in at its console, and
// runs commands there.
//
// Ours is `lockstep run`, as a user runs it. Both get the same kernel, initrd, command line,
// memory, one processor, and copies of the same disk images (raw files, virtio-blk), a virtio-rng
// and no network. What runs meanwhile in the guest besides the command is what Debian starts; its
// timers are stopped.
//
// Owner: the main thread. The guest's processes end, and their files go, with the object.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "config/vm_config.h"
#include "console.h"
#include "io/posix/interrupts.h"
#include "io/posix/process_control.h"
#include "process_memory.h"
#include "timing.h"

namespace lockstep::bench {

// Enough for a boot, or for a row, in the slowest engine.
inline constexpr std::chrono::seconds kGuestPatience{3600};

enum class Side : uint8_t { kOurs, kQemu };

struct GuestOptions {
  std::string image;      // a directory of `lockstep image build --full`
  std::string workloads;  // an archive that is the guest's second disk
  std::string directory;  // for the guest's own files; made, and removed at the end
  std::string qemu;       // the program
  uint64_t memory_bytes = 0;
  config::Engine engine = config::Engine::kJit;  // of ours
};

struct RunResult {
  Timing timing;
  int status = 0;      // the command's exit code
  std::string output;  // standard output and error, lines ended by "\n"
};

class EngineGuest {
 public:
  // Returns when the guest has reached multi-user and a shell waits in a directory that holds the
  // workloads. `interrupts` outlives the guest.
  static Result<std::unique_ptr<EngineGuest>> boot(Side side, const GuestOptions& options,
                                                   const posix::Interrupts& interrupts);
  ~EngineGuest();
  EngineGuest(const EngineGuest&) = delete;
  EngineGuest& operator=(const EngineGuest&) = delete;

  // Host: from the start of the process to multi-user. Guest: its uptime then.
  const Timing& boot_timing() const { return boot_timing_; }
  // One line of shell. An error means that the guest cannot be used any more.
  Result<RunResult> run(std::string_view command);
  Result<ProcessMemory> memory() const;

 private:
  EngineGuest(Side side, const GuestOptions& options) : side_(side), options_(options) {}
  Status start(const posix::Interrupts& interrupts);
  // A command of the client, on this guest's state directory.
  Result<std::vector<std::string>> our_command(const std::vector<std::string>& arguments) const;
  Result<std::vector<std::string>> qemu_command(const config::VmConfig& config) const;
  Result<config::VmConfig> configuration() const;
  Status connect(const std::string& socket, const posix::Interrupts& interrupts);
  Result<posix::ProcessId> engine_process() const;
  Status wait_for_multi_user(HostTime started);
  Status log_in();
  // Between begin and end mark; `output` is what the console showed.
  Result<RunResult> run_marked(std::string_view command);
  std::string file(std::string_view name) const;

  Side side_;
  GuestOptions options_;
  std::optional<posix::ChildProcess> process_;
  std::optional<posix::ProcessId> engine_;
  std::optional<Console> console_;
  unsigned commands_ = 0;
  Timing boot_timing_;
};

}  // namespace lockstep::bench
