#include "gateway/exchange.h"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

#include "base/check.h"
#include "base/diagnostics.h"

namespace lockstep::gateway {

Exchange::Exchange(ExchangeSettings settings, ExchangeOutside& outside)
    : settings_(std::move(settings)), outside_(outside) {
}

void Exchange::connected(ConnectionId connection) {
  CHECK(connections_.emplace(connection, Connection{}).second);
}

void Exchange::disconnected(ConnectionId connection) {
  const auto found = connections_.find(connection);
  if (found == connections_.end()) return;
  if (live_ == connection) {
    diagnose(Severity::kInfo, "the live replica on node {} has disconnected", live_node_);
    live_.reset();
  }
  connections_.erase(found);
}

void Exchange::received(ConnectionId connection, ByteView message) {
  const auto found = connections_.find(connection);
  CHECK(found != connections_.end());
  const Result<ReplicaMessage> decoded = decode_replica_message(message);
  if (!decoded) {
    refuse(connection, decoded.error().text());
    return;
  }
  if (found->second.welcomed == std::holds_alternative<Hello>(*decoded)) {
    refuse(connection, found->second.welcomed ? "a second Hello" : "the first message is no Hello");
    return;
  }
  std::visit([&](const auto& one) { on(connection, one); }, *decoded);
}

void Exchange::refuse(ConnectionId id, const std::string& reason) {
  diagnose(Severity::kWarning, "refused a replica ({}): {}",
           connections_[id].node.empty() ? "no name yet" : connections_[id].node, reason);
  ++statistics_.connections_refused;
  // A reason may quote what the peer sent: only text goes back.
  std::string text = reason.substr(0, kMaxReasonBytes);
  std::ranges::replace_if(text, [](char c) { return c < 0x20 || c >= 0x7f; }, '?');
  outside_.send(id, Refused{.reason = text});
  disconnected(id);
  outside_.disconnect(id);
}

void Exchange::on(ConnectionId id, const Hello& hello) {
  if (hello.version != kProtocolVersion) {
    refuse(id, fmt::format("the replica speaks version {} of the gateway protocol, this gateway "
                           "version {}; run both from one release",
                           hello.version, kProtocolVersion));
    return;
  }
  if (hello.vm != settings_.vm) {
    refuse(id, fmt::format("this is the gateway of VM {}, not of {}; check the socket's address",
                           settings_.vm, hello.vm));
    return;
  }
  Connection& connection = connections_[id];
  connection.welcomed = true;
  connection.node = hello.node;
  outside_.send(id, Welcome{});
}

// One that has no room for the news has stopped reading: that its connection ends tells it as well.
void Exchange::supersede(ConnectionId id, Epoch epoch) {
  if (outside_.send(id, Superseded{.epoch = epoch})) return;
  disconnected(id);
  outside_.disconnect(id);
}

bool Exchange::may_go_live(ConnectionId id, Epoch epoch) const {
  if (epoch > live_epoch_) return true;
  if (epoch < live_epoch_ || epoch == Epoch(0)) return false;
  if (live_) return live_ == id;
  return connections_.at(id).node == live_node_;
}

void Exchange::on(ConnectionId id, const Live& live) {
  if (!may_go_live(id, live.epoch)) {
    ++statistics_.lives_superseded;
    supersede(id, live_epoch_);
    return;
  }
  if (live.next_input > held_.next()) {
    refuse(id,
           fmt::format("the replica has {} inputs in its log, this gateway has made only {}: it "
                       "belongs to another run of the VM",
                       live.next_input.value, held_.next().value));
    return;
  }
  if (live_ && live_ != id) supersede(*live_, live.epoch);
  ++statistics_.lives_accepted;
  live_ = id;
  live_epoch_ = live.epoch;
  live_node_ = connections_.at(id).node;
  fed_ = live.next_input;
  if (fed_ < held_.oldest()) {
    diagnose(Severity::kError, "node {} wants inputs from {} on, those below {} are forgotten",
             live_node_, fed_.value, held_.oldest().value);
    statistics_.inputs_lost += held_.oldest() - fed_;
    fed_ = held_.oldest();
  }
  diagnose(Severity::kInfo, "node {} is live in epoch {}, inputs from {} on", live_node_,
           live_epoch_.value, fed_.value);
  feed();
}

void Exchange::on(ConnectionId id, const FrameOut& out) {
  if (!is_heard(id, out.epoch)) {
    ++statistics_.frames_dropped_stale;
    return;
  }
  if (!settings_.nics[out.nic.value]) {
    ++statistics_.frames_dropped_no_nic;
    return;
  }
  FrameIndex& next = next_frame_[out.nic.value];
  if (out.index < next) {
    ++statistics_.frames_duplicate;
    return;
  }
  if (out.index > next) {
    ++statistics_.frame_gaps;
    diagnose(Severity::kWarning, "NIC {}: frames {} to {} never came", out.nic.value, next.value,
             out.index.value - 1);
  }
  next = out.index + 1;
  ++statistics_.frames_out;
  statistics_.frame_bytes_out += out.frame.size();
  outside_.frame_to_network(out.nic, out.frame);
}

void Exchange::on(ConnectionId id, const ConsoleOut& out) {
  if (!is_heard(id, out.epoch)) {
    statistics_.console_bytes_dropped_stale += out.bytes.size();
    return;
  }
  ConsoleOffset& next = next_console_[out.port.value];
  ByteView fresh = out.bytes;
  if (out.offset < next) {
    const uint64_t seen = std::min<uint64_t>(next - out.offset, fresh.size());
    statistics_.console_bytes_duplicate += seen;
    fresh = fresh.subspan(seen);
    if (fresh.empty()) return;
  } else if (out.offset > next) {
    ++statistics_.console_gaps;
    diagnose(Severity::kWarning, "console {}: bytes {} to {} never came", out.port.value,
             next.value, out.offset.value - 1);
  }
  next = out.offset + out.bytes.size();
  statistics_.console_bytes_out += fresh.size();
  if (settings_.console_ports[out.port.value]) outside_.console_to_clients(out.port, fresh);
}

void Exchange::on(ConnectionId id, const InputHeld& held) {
  if (live_ != id) return;
  if (held.next_input > fed_) {
    refuse(id, fmt::format("the replica holds inputs below {}, it was sent only those below {}",
                           held.next_input.value, fed_.value));
    return;
  }
  held_.forget_below(held.next_input);
}

bool Exchange::frame_from_network(DeviceIndex nic, ByteView frame) {
  CHECK(settings_.nics.test(nic.value));
  if (frame.size() > kMaxFrameBytes || !held_.push(InputKind::kFrame, nic, frame)) {
    ++statistics_.frames_dropped_full;
    return false;
  }
  ++statistics_.frames_in;
  statistics_.frame_bytes_in += frame.size();
  return true;
}

bool Exchange::console_from_client(DeviceIndex port, ByteView bytes) {
  CHECK(settings_.console_ports.test(port.value));
  CHECK(bytes.size() <= kMaxConsoleBytes);
  if (!held_.push(InputKind::kConsole, port, bytes)) return false;
  statistics_.console_bytes_in += bytes.size();
  return true;
}

void Exchange::feed() {
  if (!live_) return;
  while (fed_ < held_.next() && outside_.send(*live_, held_.at(fed_))) {
    ++statistics_.inputs_sent;
    if (fed_ < ever_fed_) ++statistics_.inputs_resent;
    ++fed_;
    ever_fed_ = std::max(ever_fed_, fed_);
  }
}

}  // namespace lockstep::gateway
