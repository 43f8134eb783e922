#include "replication/schedule_world.h"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

#include "base/check.h"

namespace lockstep::replication::schedule {

namespace {

constexpr uint64_t kNsPerUs = 1'000;
constexpr uint64_t kFaultsUntilUs = 600'000;
// Longest wait of the protocol (an ordered failover without an answer), retries, and some.
constexpr uint64_t kSettleUs = 5'000'000;
constexpr uint64_t kSettleStepUs = 20'000;
constexpr uint64_t kOutputsThatShowProgress = 5;
constexpr size_t kTraceLines = 400;

Options toy_options(size_t node, PlantedBug planted_bug) {
  Options options;
  options.vm = std::string("toy");
  options.node = std::string(1, node == 0 ? 'A' : 'B');
  options.machine_fingerprint = {1, 2};
  options.build_version = std::string("test");
  options.start_wait_ms = 100;
  options.suspect_after_ms = 60;
  options.solo_absence_ms = 200;
  options.guest_ticks_per_ms = 10;
  options.target_lag_ms = 20;
  options.max_unacknowledged_bytes = 600;
  options.max_backup_buffer_bytes = 900;
  options.max_held_bytes = 1'500;
  options.planted_bug = planted_bug;
  return options;
}

GuestTicks ticks_at(Step step) {
  return GuestTicks(step.value * 5);
}

}  // namespace

uint64_t Random::next() {
  state_ += 0x9e3779b97f4a7c15;
  uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

World::World(uint64_t seed, PlantedBug planted_bug, bool traced)
    : seed_(seed), random_(seed), traced_(traced) {
  for (size_t index = 0; index < kNodes; ++index)
    start_node(index, toy_options(index, planted_bug));
}

void World::note(const std::string& text) {
  if (!traced_) return;
  if (trace_.size() >= kTraceLines) trace_.erase(trace_.begin());
  trace_.push_back(fmt::format("{:>9} us  {}", now_.value / kNsPerUs, text));
}

void World::at(uint64_t delay_us, std::function<void()> call) {
  timers_.push({now_ + delay_us * kNsPerUs, order_++, std::move(call)});
}

void World::run_until(HostTime end) {
  while (!timers_.empty() && timers_.top().at <= end && checker_.violation().empty()) {
    Timer timer = timers_.top();
    timers_.pop();
    now_ = timer.at;
    timer.call();
  }
  now_ = end;
}

// --- Nodes --------------------------------------------------------------------------------------

void World::start_node(size_t index, Options options) {
  absence_ns_ =
      options.suspect_after_ms * kNsPerMs * FailureDetector::kPrimaryPatiencePermille / 1000;
  nodes_[index].core = std::make_unique<Core>(std::move(options));
  const Role role = index == kPrimary ? Role::kPrimary : Role::kBackup;
  at(0, [this, index, role] { feed(index, Started{role, checker_.epoch()}); });
  at(random_.below(10'000), [this, index] { tick_loop(index); });
  at(random_.below(10'000), [this, index] { run_loop(index); });
}

void World::deliver(size_t index, std::function<void()> call) {
  Node& node = nodes_[index];
  if (node.crashed) return;
  if (node.frozen) {
    node.parked.push_back(std::move(call));
  } else {
    call();
  }
}

void World::feed(size_t index, Event event) {
  Node& node = nodes_[index];
  if (node.crashed) return;
  CHECK(!node.frozen);
  std::vector<Event> consequences;
  for (Action& action : node.core->step(now_, std::move(event))) {
    if (node.crash_after_actions && (*node.crash_after_actions)-- == 0) crash(index);
    if (node.crashed) return;
    carry_out(index, action, consequences);
  }
  for (Event& consequence : consequences) feed(index, std::move(consequence));
}

void World::carry_out(size_t index, Action& action, std::vector<Event>& consequences) {
  Node& node = nodes_[index];
  const char* name = index == kPrimary ? "A" : "B";
  if (auto* message = std::get_if<Send>(&action)) {
    send(index, message->connection, message->message);
  } else if (auto* closing = std::get_if<CloseChannel>(&action)) {
    note(fmt::format("{} closes: {}", name, closing->reason));
    close(index, closing->connection);
  } else if (auto* release = std::get_if<Release>(&action)) {
    for (const Output& output : release->outputs) checker_.on_release(index, output);
  } else if (auto* question = std::get_if<AskArbiter>(&action)) {
    note(fmt::format("{} asks from epoch {}", name, question->from.value));
    ask(index, question->from);
  } else if (std::get_if<StartExecuting>(&action)) {
    checker_.on_start_executing(index);
    node.executing = true;
  } else if (auto* live = std::get_if<GoLive>(&action)) {
    note(fmt::format("{} goes live in epoch {}", name, live->epoch.value));
    checker_.on_go_live(index, live->epoch);
    coverage_.went_live = true;
    node.replay_queue.clear();
    node.executing = true;
  } else if (std::get_if<StopExecution>(&action)) {
    if (node.stopped) checker_.violated(fmt::format("{} was stopped twice", name));
    coverage_.execution_stopped = true;
    node.stopped = true;
  } else if (std::get_if<ResumeExecution>(&action)) {
    if (!node.stopped) checker_.violated(fmt::format("{} was resumed, but runs", name));
    node.stopped = node.stands_still = false;
  } else if (auto* hold = std::get_if<HoldFrame>(&action)) {
    auto frame = ToyFrame::decoded(hold->frame);
    CHECK(frame && frame->position == hold->position);
    checker_.on_held(index, frame->horizon);
    consequences.push_back(FrameHeld{frame->position, frame->horizon, hold->frame.size()});
    node.replay_queue.push_back(std::move(*frame));
  } else if (std::get_if<LogFailover>(&action)) {
    node.wants_failover = true;
  } else if (auto* halt = std::get_if<Halt>(&action)) {
    note(fmt::format("{} ends: {} ({})", name, to_string(halt->state), halt->reason));
    checker_.on_halt(index, halt->state);
    node.ended = true;
    coverage_.powered_off |= halt->state == VmState::kOff;
  } else if (auto* changed = std::get_if<StateChanged>(&action)) {
    note(fmt::format("{}: {} -> {} ({})", name, to_string(changed->from), to_string(changed->to),
                     changed->reason));
    note_state(index, *changed);
  }
}

void World::note_state(size_t index, const StateChanged& changed) {
  coverage_.was_protected |= index == kPrimary && changed.to == VmState::kProtected;
  coverage_.solo_after_loss |= index == kPrimary && changed.to == VmState::kSolo &&
                               changed.from == VmState::kWaitingForArbiter;
  coverage_.waited_for_arbiter |= changed.to == VmState::kWaitingForArbiter && index == kBackup;
  coverage_.failover_ordered |= changed.to == VmState::kFailingOver && index == kPrimary;
}

void World::crash(size_t index) {
  Node& node = nodes_[index];
  if (node.crashed) return;
  note(fmt::format("{} crashes", index == kPrimary ? "A" : "B"));
  // A process that dies closes its sockets; a host that dies says nothing.
  if (node.connection && random_.chance(500)) close(index, *node.connection);
  node.crashed = true;
  node.parked.clear();
}

void World::freeze(size_t index, uint64_t for_us) {
  Node& node = nodes_[index];
  if (node.crashed || node.frozen) return;
  note(fmt::format("{} stands still for {} us", index == kPrimary ? "A" : "B", for_us));
  node.frozen = true;
  node.frozen_since = now_;
  at(for_us, [this, index] { thaw(index); });
}

void World::thaw(size_t index) {
  Node& node = nodes_[index];
  if (!node.frozen || node.crashed) return;
  note(fmt::format("{} runs again", index == kPrimary ? "A" : "B"));
  node.frozen = false;
  if (now_ - node.frozen_since >= absence_ns_) checker_.on_back_from_absence(index);
  // Which of the things that have become ready comes first is anyone's guess.
  const uint64_t order = random_.below(3);
  if (order == 0) feed(index, Tick{});
  if (order == 1) node.executing ? execute_slice(index) : replay_slice(index);
  while (!node.parked.empty() && !node.frozen) {
    auto call = std::move(node.parked.front());
    node.parked.pop_front();
    call();
  }
}

void World::tick_loop(size_t index) {
  Node& node = nodes_[index];
  if (node.crashed) return;
  if (!node.frozen) feed(index, Tick{});
  at(10'000, [this, index] { tick_loop(index); });
}

void World::run_loop(size_t index) {
  Node& node = nodes_[index];
  if (!alive(index)) return;
  if (!node.frozen) node.executing ? execute_slice(index) : replay_slice(index);
  at(random_.between(1'000, 8'000), [this, index] { run_loop(index); });
}

void World::execute_slice(size_t index) {
  Node& node = nodes_[index];
  if (!alive(index) || node.stopped || node.stands_still) return;
  std::vector<ToyEntry> entries;
  for (uint64_t count = random_.below(12); count > 0; --count) {
    if (random_.chance(200)) {
      entries.push_back({node.machine.step(), ToyEntry::Kind::kInput, random_.next()});
      node.machine.apply(entries.back());
    }
    std::vector<Output> outputs;
    node.machine.execute(outputs);
    for (Output& output : outputs) feed(index, OutputProduced{std::move(output)});
    if (!alive(index)) return;
  }
  const bool power_off = std::exchange(node.wants_power_off, false);
  const bool failover = !power_off && std::exchange(node.wants_failover, false);
  if (power_off) entries.push_back({node.machine.step(), ToyEntry::Kind::kPowerOff, 0});
  if (failover) entries.push_back({node.machine.step(), ToyEntry::Kind::kFailover, 0});
  node.stands_still = power_off || failover;
  append_frame(index, std::move(entries));
  if (power_off && alive(index)) feed(index, PoweredOff{node.machine.step()});
  if (failover && alive(index)) feed(index, FailoverReached{node.machine.step()});
}

void World::append_frame(size_t index, std::vector<ToyEntry> entries) {
  Node& node = nodes_[index];
  const Step step = node.machine.step();
  const ToyFrame frame{++node.position, step, std::move(entries)};
  feed(index, FrameAppended{frame.position, step, ticks_at(step), frame.encoded()});
}

void World::replay_slice(size_t index) {
  Node& node = nodes_[index];
  if (!alive(index) || node.stopped || node.replay_queue.empty()) return;
  LogPosition drained = node.position;
  for (uint64_t budget = random_.below(24); budget > 0 && alive(index); --budget) {
    if (!replay_step(index, drained)) break;
  }
  if (!alive(index) || node.executing) return;
  node.position = drained;
  feed(index, Replayed{node.machine.step(), ticks_at(node.machine.step()), drained});
}

// One entry, one instruction, or the end of one frame. False: nothing to do.
bool World::replay_step(size_t index, LogPosition& drained) {
  Node& node = nodes_[index];
  if (node.replay_queue.empty()) return false;
  ToyFrame& frame = node.replay_queue.front();
  if (node.next_entry < frame.entries.size() &&
      frame.entries[node.next_entry].step == node.machine.step()) {
    const ToyEntry entry = frame.entries[node.next_entry++];
    node.machine.apply(entry);
    if (entry.kind == ToyEntry::Kind::kPowerOff) feed(index, PoweredOff{entry.step});
    if (entry.kind == ToyEntry::Kind::kFailover) feed(index, FailoverReached{entry.step});
    return true;
  }
  if (node.machine.step() == frame.horizon) {
    drained = frame.position;
    node.next_entry = 0;
    node.replay_queue.pop_front();
    return true;
  }
  std::vector<Output> outputs;
  node.machine.execute(outputs);
  for (Output& output : outputs) feed(index, OutputProduced{std::move(output)});
  return true;
}

// --- Channel ------------------------------------------------------------------------------------

uint64_t World::network_delay_us() {
  return random_.chance(30) ? random_.below(30'000) : 50 + random_.below(2'000);
}

void World::connect_loop() {
  Node& backup = nodes_[kBackup];
  Node& primary = nodes_[kPrimary];
  if (!alive(kBackup) || backup.core->view().state != VmState::kStarting) return;
  at(20'000, [this] { connect_loop(); });
  if (backup.frozen || backup.connection || primary.crashed) return;
  const ConnectionId connection = ++newest_connection_;
  wires_[connection];
  primary.connection = backup.connection = connection;
  deliver(kPrimary, [this, connection] { feed(kPrimary, PeerConnected{connection}); });
  feed(kBackup, PeerConnected{connection});
}

void World::arrive_later(size_t to, ConnectionId connection, std::function<void()> call) {
  Wire& wire = wires_[connection];
  wire.in_flight[to].push_back(std::move(call));
  wire.arrival[to] = std::max(wire.arrival[to], now_ + network_delay_us() * kNsPerUs);
  at((wire.arrival[to] - now_) / kNsPerUs, [this, to, connection] { arrive(to, connection); });
}

// The oldest message towards `to`: a stream keeps its order, whatever happens to it.
void World::arrive(size_t to, ConnectionId connection) {
  Wire& wire = wires_[connection];
  if (wire.broken) return;
  if (wire.stalled) {
    ++wire.overdue[to];
    return;
  }
  auto call = std::move(wire.in_flight[to].front());
  wire.in_flight[to].pop_front();
  deliver(to, [this, to, connection, call = std::move(call)] {
    if (!wires_[connection].closed[to]) call();
  });
}

void World::send(size_t from, ConnectionId connection, const Message& message) {
  const size_t to = 1 - from;
  if (std::holds_alternative<Welcome>(message)) checker_.on_welcomed(to, checker_.epoch());
  if (wires_[connection].closed[from]) return;
  Bytes bytes = encode(message);
  arrive_later(to, connection, [this, to, connection, bytes = std::move(bytes)] {
    auto decoded = decode(bytes);
    CHECK(decoded);
    feed(to, MessageReceived{connection, std::move(*decoded)});
  });
}

void World::close(size_t from, ConnectionId connection) {
  Wire& wire = wires_[connection];
  if (std::exchange(wire.closed[from], true)) return;
  if (nodes_[from].connection == connection) nodes_[from].connection.reset();
  const size_t to = 1 - from;
  arrive_later(to, connection, [this, to, connection] {
    wires_[connection].closed[to] = true;
    if (nodes_[to].connection == connection) nodes_[to].connection.reset();
    feed(to, PeerDisconnected{connection, "end of file"});
  });
}

void World::stall(uint64_t for_us) {
  const ConnectionId connection = newest_connection_;
  wires_[connection].stalled = true;
  note(fmt::format("the link stalls for {} us", for_us));
  at(for_us, [this, connection] {
    Wire& wire = wires_[connection];
    wire.stalled = false;
    for (size_t end = 0; end < kNodes; ++end) {
      for (uint64_t count = std::exchange(wire.overdue[end], 0); count > 0; --count) {
        arrive(end, connection);
      }
    }
  });
}

void World::break_wire() {
  const ConnectionId connection = newest_connection_;
  Wire& wire = wires_[connection];
  if (std::exchange(wire.broken, true)) return;
  note("the link is reset");
  for (size_t end = 0; end < kNodes; ++end) {
    at(random_.below(50'000), [this, end, connection] {
      deliver(end, [this, end, connection] {
        if (std::exchange(wires_[connection].closed[end], true)) return;
        if (nodes_[end].connection == connection) nodes_[end].connection.reset();
        feed(end, PeerDisconnected{connection, "reset"});
      });
    });
  }
}

// --- Arbiter ------------------------------------------------------------------------------------

io::AcquireResult World::acquire(size_t index, Epoch from) {
  const Epoch epoch = checker_.epoch();
  if (epoch == from) {
    checker_.on_acquired(index, from + 1);
    return io::AcquireResult::won(from + 1);
  }
  // The same node asks again: its earlier question was answered, but the answer was lost.
  if (epoch == from + 1 && checker_.owner() == index) return io::AcquireResult::won(epoch);
  return io::AcquireResult::lost(epoch, checker_.owner() == kPrimary ? "A" : "B");
}

void World::ask(size_t index, Epoch from) {
  const uint64_t there_us = 100 + random_.below(10'000);
  const bool reachable = nodes_[index].arbiter_reachable;
  if (!reachable) {
    // A question without an answer may have its effect all the same.
    if (random_.chance(300)) at(there_us, [this, index, from] { acquire(index, from); });
    at(5'000 + random_.below(30'000), [this, index] {
      deliver(index, [this, index] {
        feed(index, ArbiterAnswered{io::AcquireResult::unreachable(
                        {ErrorCode::kUnavailable, "no answer", "the arbiter", ""})});
      });
    });
    return;
  }
  at(there_us, [this, index, from] {
    io::AcquireResult result = acquire(index, from);
    at(100 + random_.below(10'000), [this, index, result] {
      deliver(index, [this, index, result] {
        if (std::holds_alternative<io::AcquireResult::Lost>(result.value)) {
          checker_.on_told_lost(index);
          coverage_.lost_the_race = true;
        }
        feed(index, ArbiterAnswered{result});
      });
    });
  });
}

// --- Schedule -----------------------------------------------------------------------------------

void World::plan_faults() {
  at(random_.chance(900) ? random_.below(80'000) : random_.below(300'000),
     [this] { connect_loop(); });
  for (uint64_t count = random_.between(1, 4); count > 0; --count) plan_one_fault();
}

void World::plan_one_fault() {
  const uint64_t when_us = random_.below(kFaultsUntilUs);
  const size_t victim = random_.below(kNodes);
  const uint64_t length_us =
      random_.chance(500) ? random_.between(1'000, 60'000) : random_.between(60'000, 400'000);
  std::function<void()> fault;
  switch (random_.below(10)) {
    case 0:
    case 1:
      fault = [this, victim] { crash(victim); };
      break;
    case 2:
      fault = [this, victim] { nodes_[victim].crash_after_actions = random_.below(6); };
      break;
    case 3:
    case 4:
      fault = [this, victim, length_us] { freeze(victim, length_us); };
      break;
    case 5:
      fault = [this, length_us] { stall(length_us); };
      break;
    case 6:
      fault = [this] { break_wire(); };
      break;
    case 7:
      fault = [this, victim, length_us] {
        note(fmt::format("node {} cannot reach the arbiter for {} us", victim, length_us));
        nodes_[victim].arbiter_reachable = false;
        at(length_us, [this, victim] { nodes_[victim].arbiter_reachable = true; });
      };
      break;
    case 8:
      fault = [this] {
        for (Node& node : nodes_) node.wants_power_off = node.executing;
      };
      break;
    default:
      fault = [this] {
        for (size_t index = 0; index < kNodes; ++index) {
          deliver(index, [this, index] { feed(index, FailoverRequested{}); });
        }
      };
  }
  at(when_us, std::move(fault));
}

void World::heal() {
  healed_ = true;
  released_when_healed_ = checker_.released_count();
  for (size_t index = 0; index < kNodes; ++index) {
    nodes_[index].arbiter_reachable = true;
    nodes_[index].crash_after_actions.reset();
  }
}

// Why the pair has not come to rest, or "".
std::string World::unsettled() const {
  bool live = false;
  for (size_t index = 0; index < kNodes; ++index) {
    const Node& node = nodes_[index];
    if (node.crashed) continue;
    const View view = node.core->view();
    const bool other_alive = alive(1 - index);
    const std::string state = fmt::format("{} is {} ({})", index == kPrimary ? "A" : "B",
                                          to_string(view.state), view.reason);
    if (view.state == VmState::kFailingOver || view.state == VmState::kWaitingForArbiter) {
      return state;
    }
    if (view.state == VmState::kStarting && (index == kPrimary || other_alive)) return state;
    if (view.state == VmState::kProtected && !other_alive) return state;
    if (view.state == VmState::kHalted && (checker_.owner() == index || checker_.welcomed(index))) {
      return fmt::format("{} though it could be live", state);
    }
    live |= node.executing && (view.state == VmState::kSolo || view.state == VmState::kProtected);
  }
  if (live && checker_.released_count() < released_when_healed_ + kOutputsThatShowProgress) {
    return "the live node makes no progress";
  }
  return "";
}

std::string World::run() {
  plan_faults();
  run_until(HostTime(kFaultsUntilUs * kNsPerUs));
  heal();
  const HostTime last = now_ + kSettleUs * kNsPerUs;
  std::string open = "not looked yet";
  while (now_ < last && checker_.violation().empty() && !open.empty()) {
    run_until(now_ + kSettleStepUs * kNsPerUs);
    open = unsettled();
  }
  if (checker_.violation().empty() && !open.empty())
    checker_.violated(fmt::format("liveness: {}", open));
  return checker_.violation();
}

}  // namespace lockstep::replication::schedule
