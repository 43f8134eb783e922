#include "vmm/vcpu.h"

#include <algorithm>
#include <fmt/format.h>
#include <thread>
#include <utility>

#include "base/check.h"
#include "base/diagnostics.h"
#include "io/posix/host_clock.h"
#include "log/entry_codec.h"
#include "riscv/guest_time.h"

namespace lockstep::vmm {
namespace {

// So much that the primary stops by itself first (max_backup_buffer_bytes): a full queue would keep
// heartbeats waiting, too.
constexpr log::EntryQueueLimits kReplayQueueLimits{4 << 20, size_t{512} << 20};
constexpr double kSleepAtLeastNs = 1'000'000;  // shorter pauses cost more than they save

}  // namespace

Vcpu::Vcpu(std::vector<std::unique_ptr<io::Disk>> disks, Setup setup,
           std::function<void()> wake_loop)
    : outbox_(std::move(wake_loop)),
      disks_(std::move(disks), inbox_,
             [](const std::string& problem) {
               diagnose(Severity::kError, "a disk request failed: {}", problem);
             }),
      setup_(std::move(setup)),
      replay_queue_(kReplayQueueLimits, setup_.replay_space) {
}

Vcpu::~Vcpu() = default;

Result<std::unique_ptr<Vcpu>> Vcpu::create(machine::BoardDescription board,
                                           std::vector<std::unique_ptr<io::Disk>> disks,
                                           Setup setup, std::function<void()> wake_loop) {
  auto ram = posix::AnonymousMemory::create(board.memory_bytes);
  if (!ram) return std::unexpected(ram.error());
  std::unique_ptr<Vcpu> vcpu(new Vcpu(std::move(disks), std::move(setup), std::move(wake_loop)));
  vcpu->ram_ = std::move(*ram);
  auto machine =
      machine::Machine::create(std::move(board), vcpu->ram_->bytes(), *vcpu, vcpu->setup_.engine);
  if (!machine) return std::unexpected(machine.error());
  vcpu->machine_ = std::move(*machine);
  vcpu->engine_report_ = vcpu->machine_->engine_report();
  return vcpu;
}

VcpuFigures Vcpu::figures() const {
  const std::lock_guard lock(statistics_mutex_);
  return {steps_, guest_ticks_, run_ns_, statistics_, engine_report_};
}

void Vcpu::finish_recording() {
  if (!setup_.recorder) return;
  record({machine_->step(), log::Horizon{}});
  if (Status status = setup_.recorder->finish(); !status) {
    diagnose(Severity::kError, "the recording is not whole: {}", status.error().text());
  }
  setup_.recorder.reset();
}

// --- Live ---------------------------------------------------------------------------------------

void Vcpu::run_primary(log::LogCursor log_start) {
  writer_.emplace(log_start);
  disks_.go_live();
  run_live();
}

void Vcpu::run_live() {
  live_ = true;
  const HostTime now = posix::monotonic_now();
  timekeeper_.start(now, machine_->guest_time(), machine_->time_rate_q32());
  last_flush_ = now;
  next_digest_ = machine_->step() + setup_.digest_steps;
  for (uint32_t count : std::exchange(entropy_outstanding_, {})) answer_entropy(count);

  std::vector<log::Payload> inputs;
  while (!failed_) {
    const Orders orders = inbox_.take(inputs);
    if (orders.end) return;
    logging_ = orders.logging && writer_.has_value();
    apply_inputs(inputs);
    if (failed_) break;
    if (machine_->power() != machine::PowerState::kOn) {
      flush();
      notice(replication::PoweredOff{machine_->step()});
      return await_end();
    }
    if (orders.stand_still) {
      stand_still();
      continue;
    }
    if (machine_->waiting()) {
      wait_for_interrupt();
      continue;
    }
    keep_time();
    take_digest_when_due();
    plant_when_due();
    const uint64_t before = run_ns_;
    run_quantum();
    throttle(orders.throttle_permille, run_ns_ - before);
  }
  await_end();
}

void Vcpu::apply_inputs(std::vector<log::Payload>& inputs) {
  if (!inputs.empty() && machine_->waiting()) {
    const Timekeeper::Anchor anchor =
        timekeeper_.warp(posix::monotonic_now(), machine_->guest_time());
    enter(log::Warp{anchor.ticks, anchor.rate_q32});
  }
  for (log::Payload& input : inputs) {
    const auto* control = std::get_if<log::Control>(&input);
    const bool hands_over =
        control != nullptr && control->operation == log::ControlOperation::kFailover;
    enter(std::move(input));
    if (hands_over) hand_over();
  }
}

// The backup takes over at this step; if it does not, the machine goes on here.
void Vcpu::hand_over() {
  const uint64_t stops = inbox_.wait_for([](const Orders&) { return true; }).stops;
  flush();
  notice(replication::FailoverReached{machine_->step()});
  send_notices();
  inbox_.wait_for([&](const Orders& orders) { return orders.stops > stops; });
  inbox_.wait_for([](const Orders& orders) { return !orders.stand_still; });
}

void Vcpu::run_quantum() {
  const HostTime start = posix::monotonic_now();
  const Result<machine::StopReason> ran = machine_->run_until(machine_->step() + kQuantumSteps);
  if (!ran) return fail_locally(ran.error().text());
  const HostTime end = posix::monotonic_now();
  timekeeper_.ran(machine_->step().value - steps_, end - start);
  update_figures(start, end);
  flush_when_due();
}

void Vcpu::update_figures(HostTime start, HostTime end) {
  run_ns_ += end - start;
  steps_ = machine_->step().value;
  guest_ticks_ = machine_->guest_time().value;
  if (end - last_engine_report_ < kEngineReportIntervalNs) return;
  last_engine_report_ = end;
  const machine::EngineReport report = machine_->engine_report();
  const std::lock_guard lock(statistics_mutex_);
  engine_report_ = report;
}

void Vcpu::wait_for_interrupt() {
  flush();
  const std::optional<GuestTicks> deadline = machine_->timer_deadline();
  if (deadline) {
    inbox_.wait_until(timekeeper_.host_time_of(*deadline));
  } else {
    inbox_.wait();
  }
  if (inbox_.something()) return;  // inputs warp by themselves
  const Timekeeper::Anchor anchor =
      timekeeper_.warp(posix::monotonic_now(), machine_->guest_time());
  enter(log::Warp{anchor.ticks, anchor.rate_q32});
}

void Vcpu::stand_still() {
  flush();
  inbox_.wait_for([](const Orders& orders) { return !orders.stand_still; });
}

// The machine's life is over, or out of our hands.
void Vcpu::await_end() {
  send_notices();
  inbox_.wait_for([](const Orders& orders) { return orders.end; });
}

void Vcpu::throttle(uint32_t permille, uint64_t ran_ns) {
  sleep_debt_ns_ += static_cast<double>(ran_ns) * permille / 1000.0;
  if (sleep_debt_ns_ < kSleepAtLeastNs) return;
  flush();
  std::this_thread::sleep_for(std::chrono::nanoseconds(static_cast<int64_t>(sleep_debt_ns_)));
  sleep_debt_ns_ = 0;
}

void Vcpu::keep_time() {
  const auto anchor = timekeeper_.anchor_when_due(posix::monotonic_now(), machine_->guest_time());
  if (anchor) enter(log::TimeAnchor{anchor->ticks, anchor->rate_q32});
}

void Vcpu::take_digest_when_due() {
  const bool read = logging_ || setup_.recorder.has_value();
  if (!read || machine_->step() < next_digest_) return;
  next_digest_ = machine_->step() + setup_.digest_steps;
  const log::Entry entry{machine_->step(), log::Digest{machine_->digest()}};
  record(entry);
  if (logging_) append_to_log(entry);
}

// Right before a digest: of one timer interrupt at another step nothing may be left in the guest a
// few milliseconds later, when a logged anchor has made guest time the same again.
void Vcpu::plant_when_due() {
  const Step step = machine_->step();
  if (!setup_.plant_unlogged_input || step < *setup_.plant_unlogged_input) return;
  if (step + kQuantumSteps < next_digest_) return;
  setup_.plant_unlogged_input.reset();
  const log::Payload input =
      log::TimeAnchor{machine_->guest_time() + riscv::kTicksPerSecond, machine_->time_rate_q32()};
  CHECK(machine_->apply({machine_->step(), input}));
}

// --- The log ------------------------------------------------------------------------------------

void Vcpu::enter(log::Payload payload) {
  log::Entry entry{machine_->step(), std::move(payload)};
  record(entry);
  if (logging_) {
    // A disk read's data does not travel: the backup has a disk of its own (M14).
    if (auto* completion = std::get_if<log::DiskCompletion>(&entry.payload);
        completion != nullptr && completion->has_data) {
      log::DiskCompletion bare = *completion;
      bare.has_data = false;
      bare.data.clear();
      append_to_log({entry.step, std::move(bare)});
    } else {
      append_to_log(entry);
    }
  }
  // What a gateway or a disk of ours gave, a machine of ours takes.
  const Status applied = machine_->apply(entry);
  if (!applied) fail_locally(applied.error().text());
}

void Vcpu::append_to_log(const log::Entry& entry) {
  if (!writer_->fits(entry)) flush();
  writer_->append(entry);
}

void Vcpu::record(const log::Entry& entry) {
  if (!setup_.recorder) return;
  if (!log::encodable(entry)) {
    diagnose(Severity::kError, "the recording ends here: a {} entry is larger than a log can hold",
             log::to_string(entry.kind()));
    setup_.recorder.reset();
    return;
  }
  if (Status status = setup_.recorder->record(entry); !status) {
    diagnose(Severity::kError, "the recording ends here: {}", status.error().text());
    setup_.recorder.reset();
  }
}

void Vcpu::flush_when_due() {
  const bool due = posix::monotonic_now() - last_flush_ >= kFlushIntervalNs;
  if (output_pending_ || console_chunk_ || due) flush();
}

// Hands the outputs so far, and the frame whose horizon passes them, to the loop.
void Vcpu::flush() {
  if (console_chunk_) {
    notice(replication::OutputProduced{std::move(*console_chunk_)});
    console_chunk_.reset();
  }
  output_pending_ = false;
  last_flush_ = posix::monotonic_now();
  const Step step = machine_->step();
  if (logging_ && (step > last_horizon_ || writer_->pending_entries() > 0)) {
    replication::FrameAppended frame;
    writer_->take(step, frame.frame);
    frame.position = writer_->cursor().position;
    frame.horizon = step;
    frame.horizon_ticks = machine_->guest_time();
    last_horizon_ = step;
    notice(std::move(frame));
    const std::lock_guard lock(statistics_mutex_);
    statistics_ = writer_->statistics();
  }
  // Nobody reads a log: the inputs taken are reported on their own.
  if (!logging_ && machine_->inputs_applied() != reported_inputs_) notice(replication::Tick{});
  if (setup_.recorder) record({step, log::Horizon{}});
  send_notices();
}

void Vcpu::notice(replication::Event event) {
  notices_.push_back(
      {std::move(event), machine_->step(), machine_->guest_time(), machine_->inputs_applied()});
}

void Vcpu::send_notices() {
  if (notices_.empty()) return;
  outbox_.post(std::move(notices_));
  notices_.clear();
}

// Nothing that the machine does from now on may count.
void Vcpu::fail_locally(std::string reason) {
  failed_ = true;
  notice(replication::LocalFailure{std::move(reason)});
  send_notices();
}

// --- machine::Outside ---------------------------------------------------------------------------

// Console output leaves in chunks; a chunk waits for the newest of its bytes.
void Vcpu::console_output(Step step, DeviceIndex port, uint64_t offset, ByteView bytes) {
  if (console_chunk_ &&
      (console_chunk_->device != port || console_chunk_->data.size() >= kMaxConsoleChunk)) {
    notice(replication::OutputProduced{std::move(*console_chunk_)});
    console_chunk_.reset();
  }
  if (!console_chunk_) {
    console_chunk_ = replication::Output{step, replication::OutputKind::kConsole, port, offset, {}};
  }
  console_chunk_->step = step;
  console_chunk_->data.insert(console_chunk_->data.end(), bytes.begin(), bytes.end());
}

void Vcpu::frame_output(Step step, DeviceIndex nic, uint64_t index, ByteView frame) {
  if (console_chunk_) {  // outputs keep their order
    notice(replication::OutputProduced{std::move(*console_chunk_)});
    console_chunk_.reset();
  }
  notice(replication::OutputProduced{
      {step, replication::OutputKind::kFrame, nic, index, Bytes(frame.begin(), frame.end())}});
  output_pending_ = true;
  if (live_) machine_->interrupt();  // somebody waits for it: flush at once
}

void Vcpu::entropy_request(uint32_t count) {
  if (live_) {
    answer_entropy(count);
  } else {
    entropy_outstanding_.push_back(count);
  }
}

void Vcpu::answer_entropy(uint32_t count) {
  log::Entropy entropy;
  entropy.bytes.resize(count);
  posix::fill_with_entropy(entropy.bytes);
  inbox_.post(std::move(entropy));
}

uint64_t Vcpu::wall_clock_ns(Step step) {
  if (!live_) {
    unlogged_clock_read_ = step;
    return 0;
  }
  const log::Entry entry{step, log::WallClockRead{posix::wall_clock_ns()}};
  record(entry);
  if (logging_) append_to_log(entry);
  return std::get<log::WallClockRead>(entry.payload).nanoseconds;
}

}  // namespace lockstep::vmm
