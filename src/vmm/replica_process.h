// One replica as a process: the protocol core, and everything that it moves.
//
// The loop's thread (main) owns the core, the channel and the gateway link; the vCPU thread owns
// the machine and the log; disks and the arbiter have threads of their own. Threads meet in Inbox,
// Outbox, EntryQueue and EventLoop::post, nowhere else.
//
// The acknowledgement of a frame, the gate and the release of an output are one run of the loop,
// with no hand-over between threads.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "api/server.h"
#include "api/status.h"
#include "config/layout.h"
#include "config/vm_config.h"
#include "io/posix/event_loop.h"
#include "log/frame.h"
#include "machine/board.h"
#include "replication/core.h"
#include "vmm/arbiter_thread.h"
#include "vmm/channel.h"
#include "vmm/gateway_link.h"
#include "vmm/status_board.h"
#include "vmm/vcpu.h"

namespace lockstep::vmm {

enum class StartRole : uint8_t { kPrimary, kBackup, kSolo };

struct ReplicaSettings {
  config::VmConfig config;
  config::VmLayout layout;
  config::Node node = config::Node::kA;
  StartRole role = StartRole::kPrimary;
  Epoch from_epoch;         // what the arbiter's register held when the VM was started
  std::string record_file;  // empty: none
  std::optional<Step> plant_unlogged_input;
  uint64_t digest_steps = kDigestSteps;
};

class ReplicaProcess {
 public:
  // Checks and opens everything; nothing runs yet.
  static Result<std::unique_ptr<ReplicaProcess>> create(ReplicaSettings settings);
  ~ReplicaProcess();

  // Until the VM is off or a signal asks to end.
  void run();

 private:
  explicit ReplicaProcess(ReplicaSettings settings);

  Status open();
  Result<Vcpu::Setup> make_setup(const machine::BoardDescription& board);
  Status start_api();
  void watch_signals();
  void tick();
  void watch_own_delay(HostTime now);
  void step(replication::Event event);
  void take_notices();
  void report_held_inputs();
  void end_vcpu();

  void carry_out(replication::Send& action);
  void carry_out(replication::CloseChannel& action);
  void carry_out(replication::Release& action);
  void carry_out(replication::DropHeldOutputs& action);
  void carry_out(replication::AskArbiter& action);
  void carry_out(replication::StartExecuting& action);
  void carry_out(replication::GoLive& action);
  void carry_out(replication::StopExecution& action);
  void carry_out(replication::ResumeExecution& action);
  void carry_out(replication::SetThrottle& action);
  void carry_out(replication::HoldFrame& action);
  void carry_out(replication::LogFailover& action);
  void carry_out(replication::RequestRefused& action);
  void carry_out(replication::StateChanged& action);
  void carry_out(replication::Halt& action);
  void push_held_frame();

  ReplicaSettings settings_;
  posix::EventLoop loop_;
  posix::Fd signals_;
  Hash128 fingerprint_;
  StatusBoard status_;
  std::unique_ptr<Vcpu> vcpu_;
  std::unique_ptr<replication::Core> core_;
  std::unique_ptr<Channel> channel_;
  std::unique_ptr<GatewayLink> gateway_;
  std::unique_ptr<ArbiterThread> arbiter_;
  std::unique_ptr<api::ApiServer> api_;
  std::thread vcpu_thread_;

  std::deque<replication::Event> events_;  // not yet given to the core
  bool stepping_ = false;

  // Inputs that the machine had taken when a frame was made, until the frame is acknowledged.
  struct FrameInputs {
    LogPosition position;
    uint64_t inputs = 0;
  };
  std::deque<FrameInputs> frame_inputs_;
  uint64_t inputs_applied_ = 0;

  // A backup: the frame that found no room in the replay queue.
  struct HeldFrame {
    LogPosition position;
    Step horizon;
    uint64_t bytes = 0;
    std::vector<log::Entry> entries;
  };
  std::optional<log::FrameReader> frame_reader_;
  std::optional<HeldFrame> held_frame_;
  HostTime last_sign_of_peer_;
  HostTime last_tick_;
  std::string lost_primary_because_;
};

}  // namespace lockstep::vmm
