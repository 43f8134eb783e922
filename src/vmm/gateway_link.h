// A replica's connection to its VM's gateway: outputs out, inputs in.
//
// Inputs are numbered; each one becomes exactly one log entry, so the number of the next one wanted
// is what the machine counts (Machine::inputs_applied). A lost connection is made again, and a live
// replica then says again how far it is: the gateway sends what is missing.
//
// Owner: the loop's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/gateway_protocol.h"
#include "io/posix/event_loop.h"
#include "io/posix/message_socket.h"
#include "io/posix/stream_socket.h"
#include "log/entry.h"
#include "replication/output.h"

namespace lockstep::vmm {

class GatewayLink {
 public:
  struct Callbacks {
    std::function<void(log::Payload input)> on_input;
    // Another replica is live in a newer epoch.
    std::function<void(Epoch epoch)> on_superseded;
  };

  GatewayLink(posix::EventLoop& loop, posix::SocketAddress address, std::string vm,
              std::string node, Callbacks callbacks);
  ~GatewayLink();

  // This replica is live and has every input below `next_input`.
  void go_live(Epoch epoch, uint64_t next_input);
  // Not live any more: nothing more is sent.
  void fall_silent() { live_.reset(); }
  void release(const std::vector<replication::Output>& outputs);
  void inputs_held(uint64_t next_input);
  bool connected() const { return welcome_; }

 private:
  static constexpr size_t kMaxQueuedBytes = size_t{64} << 20;
  static constexpr uint64_t kRetryNs = 20'000'000;

  void connect();
  void retry_later();
  void on_message(ByteView bytes);
  void take_input(const gateway::Input& input);
  void say_live();
  void send(const gateway::ReplicaMessage& message);
  void send_output(const replication::Output& output);

  posix::EventLoop& loop_;
  posix::SocketAddress address_;
  const std::string vm_;
  const std::string node_;
  Callbacks callbacks_;
  std::unique_ptr<posix::MessageSocket> socket_;
  std::optional<posix::EventLoop::TimerId> retry_;
  bool welcome_ = false;
  std::optional<Epoch> live_;
  uint64_t next_input_ = 0;  // the number of the next input that was not taken yet
  uint64_t held_ = 0;        // what inputs_held() said last
  // Released while there was no connection; the gateway drops what it has already.
  std::vector<replication::Output> waiting_;
};

}  // namespace lockstep::vmm
