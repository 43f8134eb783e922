#include "vmm/replica_process.h"

#include <fmt/format.h>
#include <utility>
#include <variant>

#include "base/check.h"
#include "base/diagnostics.h"
#include "io/posix/directory_arbiter.h"
#include "io/posix/file.h"
#include "io/posix/process.h"
#include "riscv/guest_time.h"
#include "vmm/board_file.h"
#include "vmm/engine_choice.h"

namespace lockstep::vmm {
namespace {

constexpr std::string_view kBuildVersion = LOCKSTEP_VERSION;
constexpr uint64_t kMaxBackupBufferBytes = uint64_t{32} << 20;  // frames held, not yet replayed
constexpr uint64_t kNsPerMs = 1'000'000;
// After the end: the last words to the peer leave, and who polls the status sees the end.
constexpr uint64_t kLingerNs = 200 * kNsPerMs;

replication::Options core_options(const ReplicaSettings& settings, Hash128 fingerprint) {
  const config::ProtectionConfig& protection = settings.config.protection;
  replication::Options options;
  options.vm = settings.config.name;
  options.node = to_string(settings.node);
  options.machine_fingerprint = fingerprint;
  options.build_version = kBuildVersion;
  options.start_wait_ms = settings.role == StartRole::kSolo ? 0 : protection.start_wait_ms;
  options.heartbeat_ms = protection.heartbeat_ms;
  options.suspect_after_ms = protection.suspect_after_ms;
  options.guest_ticks_per_ms = riscv::kTicksPerSecond / 1'000;
  options.target_lag_ms = protection.target_lag_ms;
  options.max_unacknowledged_bytes = protection.max_unacknowledged;
  options.max_backup_buffer_bytes = kMaxBackupBufferBytes;
  return options;
}

}  // namespace

ReplicaProcess::ReplicaProcess(ReplicaSettings settings)
    : settings_(std::move(settings)),
      status_(settings_.config.name, std::string(to_string(settings_.node))) {
}

Result<std::unique_ptr<ReplicaProcess>> ReplicaProcess::create(ReplicaSettings settings) {
  std::unique_ptr<ReplicaProcess> process(new ReplicaProcess(std::move(settings)));
  if (Status opened = process->open(); !opened) return std::unexpected(opened.error());
  return process;
}

ReplicaProcess::~ReplicaProcess() {
  end_vcpu();
}

Status ReplicaProcess::open() {
  Result<posix::Fd> signals = posix::termination_signals();
  if (!signals) return std::unexpected(signals.error());
  signals_ = std::move(*signals);
  posix::ignore_broken_pipes();

  auto seed = read_boot_seed(settings_.layout);
  if (!seed) return std::unexpected(seed.error());
  auto disks = open_disks(settings_.config, settings_.layout, settings_.node);
  if (!disks) return std::unexpected(disks.error());
  auto board = make_board(settings_.config, *disks, *seed);
  if (!board) return std::unexpected(board.error());
  fingerprint_ = board->fingerprint();
  Result<Vcpu::Setup> setup = make_setup(*board);
  if (!setup) return std::unexpected(setup.error());
  auto vcpu = Vcpu::create(std::move(*board), std::move(*disks), std::move(*setup),
                           [this] { loop_.post([this] { take_notices(); }); });
  if (!vcpu) return std::unexpected(vcpu.error());
  vcpu_ = std::move(*vcpu);
  core_ = std::make_unique<replication::Core>(core_options(settings_, fingerprint_));

  channel_ = std::make_unique<Channel>(
      loop_, Channel::Callbacks{[this](replication::Event event) { step(std::move(event)); },
                                [this] { report_held_inputs(); }});
  gateway_ = std::make_unique<GatewayLink>(
      loop_, posix::SocketAddress::unix_path(settings_.layout.gateway_socket()),
      settings_.config.name, std::string(to_string(settings_.node)),
      GatewayLink::Callbacks{[this](log::Payload input) { vcpu_->inbox().post(std::move(input)); },
                             [this](Epoch epoch) {
                               step(replication::LocalFailure{fmt::format(
                                   "another replica is live in epoch {}", epoch.value)});
                             }});
  arbiter_ = std::make_unique<ArbiterThread>(
      loop_,
      std::make_unique<posix::DirectoryArbiter>(
          settings_.layout.arbiter_directory(settings_.config)),
      settings_.config.name, std::string(to_string(settings_.node)),
      [this](io::AcquireResult result) { step(replication::ArbiterAnswered{std::move(result)}); });
  status_.update(core_->view(), vcpu_->figures(), posix::EventLoop::now());
  return start_api();
}

Result<Vcpu::Setup> ReplicaProcess::make_setup(const machine::BoardDescription& board) {
  Vcpu::Setup setup;
  setup.engine = engine_choice(settings_.config, settings_.node);
  setup.plant_unlogged_input = settings_.plant_unlogged_input;
  setup.digest_steps = settings_.digest_steps;
  setup.replay_space = [this] { loop_.post([this] { push_held_frame(); }); };
  if (settings_.record_file.empty()) return setup;
  auto file = posix::FileWriter::create(settings_.record_file, posix::IfExists::kReplace);
  if (!file) return std::unexpected(file.error());
  log::LogFileHeader header{encode_board(board, settings_.config),
                            log::start_of_run(fingerprint_, settings_.from_epoch.value + 1)};
  auto writer = log::LogFileWriter::create(std::move(*file), header);
  if (!writer) return std::unexpected(writer.error());
  setup.recorder.emplace(std::move(*writer));
  return setup;
}

Status ReplicaProcess::start_api() {
  api::ApiHandlers handlers;
  handlers.status = [this] { return status_.status(); };
  handlers.events = [this] { return status_.events(); };
  handlers.power_off = [this]() -> Status {
    if (status_.status().role != api::Role::kPrimary) {
      return fail(ErrorCode::kInvalid,
                  "this replica is the backup:", std::string(to_string(settings_.node)),
                  "ask the primary");
    }
    vcpu_->inbox().post(log::Control{log::ControlOperation::kPowerOff});
    return {};
  };
  handlers.failover = [this]() -> Status {
    if (status_.status().state != api::ReplicaState::kProtected ||
        status_.status().role != api::Role::kPrimary) {
      return fail(ErrorCode::kInvalid, "only the primary of a protected VM can hand over:",
                  std::string(to_string(settings_.node)), "see `lockstep status`");
    }
    loop_.post([this] { step(replication::FailoverRequested{}); });
    return {};
  };
  auto server = api::ApiServer::start(settings_.layout.api_socket(settings_.node), handlers);
  if (!server) return std::unexpected(server.error());
  api_ = std::move(*server);
  return {};
}

void ReplicaProcess::run() {
  watch_signals();
  // A late heartbeat looks like a dead replica, and this thread does little at a time.
  if (!posix::run_thread_promptly()) {
    diagnose(Severity::kInfo,
             "no real-time priority for the loop: a busy host may delay heartbeats");
  }
  const posix::SocketAddress channel =
      posix::SocketAddress::unix_path(settings_.layout.channel_socket());
  if (settings_.role == StartRole::kBackup) {
    vcpu_thread_ = std::thread([this] { vcpu_->run_backup(); });
    step(replication::Started{replication::Role::kBackup, settings_.from_epoch});
    channel_->connect(channel);
  } else {
    if (settings_.role == StartRole::kPrimary) {
      if (Status listening = channel_->listen(channel); !listening) {
        // The VM runs all the same; it says why it is alone.
        diagnose(Severity::kError, "{}", listening.error().text());
      }
    }
    step(replication::Started{replication::Role::kPrimary, settings_.from_epoch});
  }
  tick();
  loop_.run();
  end_vcpu();
  vcpu_->finish_recording();
}

void ReplicaProcess::end_vcpu() {
  if (!vcpu_thread_.joinable()) return;
  vcpu_->inbox().order([](Orders& orders) { orders.end = true; });
  vcpu_->replay_queue().stop();
  vcpu_thread_.join();
}

void ReplicaProcess::watch_signals() {
  loop_.watch(signals_.get(), posix::EventLoop::kReadable, [this](uint32_t) {
    loop_.unwatch(signals_.get());
    diagnose(Severity::kInfo, "asked to end by a signal");
    step(replication::LocalFailure{"the process was asked to end"});
    loop_.at(posix::EventLoop::now() + kLingerNs, [this] { loop_.stop(); });
  });
}

void ReplicaProcess::tick() {
  const HostTime now = posix::EventLoop::now();
  watch_own_delay(now);
  step(replication::Tick{});
  const replication::View view = core_->view();
  if (view.state == replication::VmState::kProtected) {
    last_sign_of_peer_ = HostTime(now.value - view.heartbeat_age_ns);
  }
  status_.update(view, vcpu_->figures(), now);
  status_.set_channel_traffic(channel_->traffic());
  const uint64_t interval_ns = settings_.config.protection.heartbeat_ms * kNsPerMs;
  loop_.at(now + interval_ns, [this] { tick(); });
}

// A loop that stands still is what makes a healthy peer look silent: the operator should know.
void ReplicaProcess::watch_own_delay(HostTime now) {
  const uint64_t gap_ns = last_tick_.value == 0 ? 0 : now - last_tick_;
  last_tick_ = now;
  const uint64_t worth_saying_ns = settings_.config.protection.suspect_after_ms * kNsPerMs / 2;
  if (gap_ns < worth_saying_ns) return;
  const std::string text =
      fmt::format("this process got no processor for {} ms", gap_ns / kNsPerMs);
  diagnose(Severity::kWarning, "{}", text);
  status_.add_event("delay", text);
}

// An action may lead to another event; the core hears of it after all actions of this one.
void ReplicaProcess::step(replication::Event event) {
  events_.push_back(std::move(event));
  if (stepping_) return;
  stepping_ = true;
  while (!events_.empty()) {
    replication::Event next = std::move(events_.front());
    events_.pop_front();
    if (const auto* diverged = std::get_if<replication::Diverged>(&next)) {
      diagnose(Severity::kError, "{}", diverged->report);
      status_.set_divergence(diverged->report);
    }
    for (replication::Action& action : core_->step(posix::EventLoop::now(), std::move(next))) {
      std::visit([this](auto& wanted) { carry_out(wanted); }, action);
    }
  }
  stepping_ = false;
}

void ReplicaProcess::take_notices() {
  for (Notice& notice : vcpu_->outbox().take()) {
    inputs_applied_ = notice.inputs_applied;
    if (const auto* frame = std::get_if<replication::FrameAppended>(&notice.event)) {
      frame_inputs_.push_back({frame->position, notice.inputs_applied});
    }
    step(std::move(notice.event));
  }
  report_held_inputs();
}

// What every replica that may go live holds, the gateway may forget.
void ReplicaProcess::report_held_inputs() {
  const replication::View view = core_->view();
  if (view.role != replication::Role::kPrimary) return;
  if (view.state == replication::VmState::kSolo) {
    frame_inputs_.clear();
    return gateway_->inputs_held(inputs_applied_);
  }
  std::optional<uint64_t> held;
  while (!frame_inputs_.empty() && frame_inputs_.front().position <= view.acknowledged) {
    held = frame_inputs_.front().inputs;
    frame_inputs_.pop_front();
  }
  if (held) gateway_->inputs_held(*held);
}

// --- Actions ------------------------------------------------------------------------------------

void ReplicaProcess::carry_out(replication::Send& action) {
  channel_->send(action.connection, action.message);
}

void ReplicaProcess::carry_out(replication::CloseChannel& action) {
  channel_->close(action.connection, action.reason);
}

void ReplicaProcess::carry_out(replication::Release& action) {
  gateway_->release(action.outputs);
}

void ReplicaProcess::carry_out(replication::DropHeldOutputs& action) {
  diagnose(Severity::kWarning, "{} bytes of output that were never acknowledged are dropped",
           action.bytes);
}

void ReplicaProcess::carry_out(replication::AskArbiter& action) {
  arbiter_->acquire(action.from);
}

void ReplicaProcess::carry_out(replication::StartExecuting& action) {
  gateway_->go_live(action.epoch, inputs_applied_);
  const log::LogCursor start = log::start_of_run(fingerprint_, action.epoch.value);
  vcpu_thread_ = std::thread([this, start] { vcpu_->run_primary(start); });
}

void ReplicaProcess::carry_out(replication::GoLive& action) {
  const double blackout_ms = static_cast<double>(posix::EventLoop::now() - last_sign_of_peer_) /
                             static_cast<double>(kNsPerMs);
  gateway_->go_live(action.epoch, inputs_applied_);
  vcpu_->inbox().order([](Orders& orders) {
    orders.live = true;
    orders.logging = false;
  });
  vcpu_->replay_queue().end();
  status_.add_failover(blackout_ms, lost_primary_because_);
  const std::string text =
      fmt::format("live in epoch {}, {:.1f} ms after the last sign of the old primary",
                  action.epoch.value, blackout_ms);
  status_.add_event("failover", text);
  diagnose(Severity::kInfo, "{}", text);
}

void ReplicaProcess::carry_out(replication::StopExecution& action) {
  status_.add_event("stop", action.reason);
  vcpu_->inbox().order([](Orders& orders) {
    orders.stand_still = true;
    ++orders.stops;
  });
}

void ReplicaProcess::carry_out(replication::ResumeExecution&) {
  vcpu_->inbox().order([](Orders& orders) { orders.stand_still = false; });
}

void ReplicaProcess::carry_out(replication::SetThrottle& action) {
  vcpu_->inbox().order([&](Orders& orders) { orders.throttle_permille = action.permille; });
}

void ReplicaProcess::carry_out(replication::HoldFrame& action) {
  if (!frame_reader_) {
    frame_reader_.emplace(log::start_of_run(fingerprint_, core_->view().epoch.value),
                          "the logging channel");
  }
  frame_reader_->append(action.frame);
  log::Frame frame;
  const Result<bool> whole = frame_reader_->next(frame);
  if (!whole || !*whole) {
    const Error error =
        whole ? Error{ErrorCode::kCorrupt, "the frame is not whole", "", ""} : whole.error();
    return step(replication::FrameRejected{action.position, error});
  }
  CHECK(!held_frame_);
  held_frame_ =
      HeldFrame{frame.position, frame.horizon, action.frame.size(), std::move(frame.entries)};
  push_held_frame();
}

void ReplicaProcess::push_held_frame() {
  if (!held_frame_) return;
  switch (vcpu_->replay_queue().push(held_frame_->entries)) {
    case log::EntryQueue::Push::kFull:
      return channel_->pause_reading();
    case log::EntryQueue::Push::kStopped:
      break;
    case log::EntryQueue::Push::kTaken:
      step(replication::FrameHeld{held_frame_->position, held_frame_->horizon, held_frame_->bytes});
      break;
  }
  held_frame_.reset();
  channel_->resume_reading();
}

void ReplicaProcess::carry_out(replication::LogFailover&) {
  vcpu_->inbox().post(log::Control{log::ControlOperation::kFailover});
}

void ReplicaProcess::carry_out(replication::RequestRefused& action) {
  status_.add_event("refused", action.reason);
  diagnose(Severity::kWarning, "a request was refused: {}", action.reason);
}

void ReplicaProcess::carry_out(replication::StateChanged& action) {
  const std::string text =
      fmt::format("{} -> {}: {}", to_string(action.from), to_string(action.to), action.reason);
  diagnose(Severity::kInfo, "{}", text);
  status_.add_event("state", text);
  const HostTime now = posix::EventLoop::now();
  if (action.to == replication::VmState::kFailingOver) {
    lost_primary_because_ = action.reason;
  }
  if (action.to == replication::VmState::kSolo) {
    vcpu_->inbox().order([](Orders& orders) { orders.logging = false; });
  }
  status_.update(core_->view(), vcpu_->figures(), now);
}

void ReplicaProcess::carry_out(replication::Halt& action) {
  diagnose(Severity::kInfo, "{}: {}", to_string(action.state), action.reason);
  gateway_->fall_silent();
  vcpu_->inbox().order([](Orders& orders) { orders.end = true; });
  vcpu_->replay_queue().stop();
  status_.update(core_->view(), vcpu_->figures(), posix::EventLoop::now());
  // A replica that halted or diverged stays, to say why; one whose VM is off is done.
  if (action.state == replication::VmState::kOff) {
    loop_.at(posix::EventLoop::now() + kLingerNs, [this] { loop_.stop(); });
  }
}

}  // namespace lockstep::vmm
