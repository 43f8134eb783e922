#include "vmm/gateway_link.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "base/diagnostics.h"

namespace lockstep::vmm {
namespace {

constexpr size_t kMaxWaitingOutputs = 16'384;

}  // namespace

GatewayLink::GatewayLink(posix::EventLoop& loop, posix::SocketAddress address, std::string vm,
                         std::string node, Callbacks callbacks)
    : loop_(loop),
      address_(std::move(address)),
      vm_(std::move(vm)),
      node_(std::move(node)),
      callbacks_(std::move(callbacks)) {
  connect();
}

GatewayLink::~GatewayLink() {
  if (retry_) loop_.cancel(*retry_);
}

void GatewayLink::connect() {
  retry_.reset();
  Result<posix::Fd> fd = posix::start_connect(address_);
  if (!fd || !posix::finish_connect(fd->get(), address_)) return retry_later();
  posix::MessageSocket::Callbacks callbacks;
  callbacks.on_message = [this](ByteView message) { on_message(message); };
  callbacks.on_closed = [this](const Error& reason) {
    diagnose(Severity::kWarning, "the gateway's connection ended: {}", reason.text());
    retry_later();
  };
  socket_ = std::make_unique<posix::MessageSocket>(
      loop_, std::move(*fd), posix::MessageLimits{gateway::kMaxMessageBytes, kMaxQueuedBytes},
      std::move(callbacks));
  send(gateway::Hello{gateway::kProtocolVersion, vm_, node_});
}

void GatewayLink::retry_later() {
  socket_.reset();
  welcome_ = false;
  if (!retry_) retry_ = loop_.at(posix::EventLoop::now() + kRetryNs, [this] { connect(); });
}

void GatewayLink::on_message(ByteView bytes) {
  const Result<gateway::GatewayMessage> message = gateway::decode_gateway_message(bytes);
  if (!message) {
    diagnose(Severity::kError, "the gateway sent what cannot be: {}", message.error().text());
    return retry_later();
  }
  if (std::holds_alternative<gateway::Welcome>(*message)) {
    welcome_ = true;
    if (live_) say_live();
    return;
  }
  if (const auto* refused = std::get_if<gateway::Refused>(&*message)) {
    diagnose(Severity::kError, "the gateway refuses this replica: {}", refused->reason);
    return;
  }
  if (const auto* superseded = std::get_if<gateway::Superseded>(&*message)) {
    if (live_ && superseded->epoch >= *live_) callbacks_.on_superseded(superseded->epoch);
    return;
  }
  take_input(std::get<gateway::Input>(*message));
}

void GatewayLink::take_input(const gateway::Input& input) {
  if (!live_ || input.sequence.value < next_input_) return;
  if (input.sequence.value > next_input_) {
    diagnose(Severity::kError, "the gateway's input {} came where {} is next", input.sequence.value,
             next_input_);
    return retry_later();
  }
  ++next_input_;
  Bytes data(input.bytes.begin(), input.bytes.end());
  if (input.kind == gateway::InputKind::kFrame) {
    callbacks_.on_input(log::FrameIn{input.device, std::move(data)});
  } else {
    callbacks_.on_input(log::ConsoleInput{input.device, std::move(data)});
  }
}

void GatewayLink::go_live(Epoch epoch, uint64_t next_input) {
  // A replica that was live already keeps what it took and has not applied yet.
  next_input_ = std::max(next_input_, next_input);
  live_ = epoch;
  if (welcome_) say_live();
}

void GatewayLink::say_live() {
  send(gateway::Live{*live_, gateway::InputSequence(next_input_)});
  const std::vector<replication::Output> waiting = std::exchange(waiting_, {});
  release(waiting);
  if (held_ > 0) send(gateway::InputHeld{gateway::InputSequence(held_)});
}

void GatewayLink::release(const std::vector<replication::Output>& outputs) {
  if (!live_) return;
  if (!welcome_) {
    for (const replication::Output& output : outputs) {
      // A network may lose frames; a console's bytes have to be bounded somewhere.
      if (waiting_.size() < kMaxWaitingOutputs) waiting_.push_back(output);
    }
    return;
  }
  socket_->hold();
  for (const replication::Output& output : outputs) send_output(output);
  if (socket_) socket_->release();
}

void GatewayLink::send_output(const replication::Output& output) {
  switch (output.kind) {
    case replication::OutputKind::kFrame:
      return send(gateway::FrameOut{*live_, output.device, gateway::FrameIndex(output.offset),
                                    output.data});
    case replication::OutputKind::kConsole: {
      ByteView rest = output.data;
      uint64_t offset = output.offset;
      while (!rest.empty()) {
        const size_t size = std::min(rest.size(), gateway::kMaxConsoleBytes);
        send(gateway::ConsoleOut{*live_, output.device, gateway::ConsoleOffset(offset),
                                 rest.first(size)});
        rest = rest.subspan(size);
        offset += size;
      }
      return;
    }
    case replication::OutputKind::kPower:
      return;
  }
}

void GatewayLink::inputs_held(uint64_t next_input) {
  if (next_input <= held_) return;
  held_ = next_input;
  if (live_ && welcome_) send(gateway::InputHeld{gateway::InputSequence(held_)});
}

void GatewayLink::send(const gateway::ReplicaMessage& message) {
  if (!socket_) return;
  const gateway::EncodedMessage encoded = gateway::encode(message);
  if (!socket_->send(encoded.parts())) {
    diagnose(Severity::kWarning, "the gateway does not read: an output is lost");
  }
}

}  // namespace lockstep::vmm
