// The vCPU thread: the one place where the machine runs.
//
// A primary produces the log (run_live), a backup consumes it (run_replay) and may then go on as a
// live replica. Both drive the same machine through run_until() and apply().
//
// Invariants
//   1. Every input is applied at a step, and is in the log at that step before any output that
//      follows from it leaves this thread.
//   2. An output leaves this thread before the frame whose horizon passes it.
//   3. Before the machine stands still, a frame with its step as horizon has left.
//
// Owner of the machine, the log's writer and the disks' submissions: this thread. Orders and inputs
// come by the inbox, events leave by the outbox.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "io/posix/anonymous_memory.h"
#include "log/buffer.h"
#include "log/frame.h"
#include "machine/machine.h"
#include "replay/recorder.h"
#include "replication/output.h"
#include "vmm/disks.h"
#include "vmm/inbox.h"
#include "vmm/outbox.h"
#include "vmm/timekeeper.h"
#include "vmm/vcpu_figures.h"

namespace lockstep::vmm {

// A replica's own limits on how the machine is run. None of them is visible to the guest.
inline constexpr uint64_t kQuantumSteps = 50'000;
inline constexpr uint64_t kFlushIntervalNs = 2'000'000;
inline constexpr uint64_t kReportIntervalNs = 5'000'000;
inline constexpr uint64_t kEngineReportIntervalNs = 50'000'000;
inline constexpr uint64_t kDigestSteps = 64'000'000;
inline constexpr size_t kMaxConsoleChunk = 8 * 1024;  // console bytes that leave as one output

class Vcpu final : public machine::Outside {
 public:
  struct Setup {
    machine::EngineChoice engine;
    std::optional<replay::Recorder> recorder;
    uint64_t digest_steps = kDigestSteps;
    // The replay queue has room again; called on the vCPU thread.
    std::function<void()> replay_space;
    // For tests: an input that is applied and not logged, before the first digest from this step
    // on.
    std::optional<Step> plant_unlogged_input;
  };

  static Result<std::unique_ptr<Vcpu>> create(machine::BoardDescription board,
                                              std::vector<std::unique_ptr<io::Disk>> disks,
                                              Setup setup, std::function<void()> wake_loop);
  ~Vcpu() override;

  Inbox& inbox() { return inbox_; }
  Outbox& outbox() { return outbox_; }
  log::EntryQueue& replay_queue() { return replay_queue_; }
  // Thread-safe. The log's numbers are as of the last flush, the engine's at most
  // kEngineReportIntervalNs of running older than the machine.
  VcpuFigures figures() const;

  // The recording of this replica is whole on its disk. After the thread has ended.
  void finish_recording();

  // The thread's body: a primary from `log_start` on, until it is ordered to end.
  void run_primary(log::LogCursor log_start);
  // A backup's: follows the replay queue, goes live when ordered to, returns when ordered to end.
  void run_backup();

  // machine::Outside
  void console_output(Step step, DeviceIndex port, uint64_t offset, ByteView bytes) override;
  void frame_output(Step step, DeviceIndex nic, uint64_t index, ByteView frame) override;
  void disk_request(devices::DiskRequest request) override { disks_.submit(std::move(request)); }
  void entropy_request(uint32_t count) override;
  uint64_t wall_clock_ns(Step step) override;

 private:
  friend class ReplicaTarget;
  friend class ReportingSource;

  Vcpu(std::vector<std::unique_ptr<io::Disk>> disks, Setup setup, std::function<void()> wake_loop);

  void run_live();
  void apply_inputs(std::vector<log::Payload>& inputs);
  void hand_over();
  void run_quantum();
  void wait_for_interrupt();
  void stand_still();
  void await_end();
  void throttle(uint32_t permille, uint64_t ran_ns);
  void keep_time();
  void take_digest_when_due();
  void plant_when_due();

  // Applies a payload at the machine's step and puts it into the log.
  void enter(log::Payload payload);
  void append_to_log(const log::Entry& entry);
  void record(const log::Entry& entry);
  void flush();
  void flush_when_due();
  void notice(replication::Event event);
  void send_notices();
  void report_replayed(LogPosition drained);
  void fail_locally(std::string reason);
  // The machine ran from `start` to `end`.
  void update_figures(HostTime start, HostTime end);
  void answer_entropy(uint32_t count);

  Inbox inbox_;
  Outbox outbox_;
  Disks disks_;
  Setup setup_;
  std::optional<posix::AnonymousMemory> ram_;
  std::unique_ptr<machine::Machine> machine_;
  log::EntryQueue replay_queue_;
  Timekeeper timekeeper_;
  // Numbers for the status, kept up to date by this thread; read by any.
  std::atomic<uint64_t> steps_{0};
  std::atomic<uint64_t> guest_ticks_{0};
  std::atomic<uint64_t> run_ns_{0};

  bool live_ = false;
  bool failed_ = false;
  bool logging_ = true;
  bool off_reported_ = false;
  uint64_t reported_inputs_ = 0;
  std::optional<log::FrameWriter> writer_;
  mutable std::mutex statistics_mutex_;
  log::LogStatistics statistics_;        // guarded by statistics_mutex_
  machine::EngineReport engine_report_;  // guarded by statistics_mutex_
  HostTime last_engine_report_;
  std::vector<Notice> notices_;
  std::optional<replication::Output> console_chunk_;  // console output not yet in notices_
  HostTime last_flush_;
  Step last_horizon_;
  bool output_pending_ = false;
  Step next_digest_;
  double sleep_debt_ns_ = 0;
  std::deque<uint32_t> entropy_outstanding_;  // requests that no log entry has answered
  std::optional<Step> unlogged_clock_read_;
};

}  // namespace lockstep::vmm
