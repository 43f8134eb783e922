// One random schedule: two cores, an arbiter, a channel that delays, stalls and breaks, and toy
// machines, in virtual time. Faults are drawn from the seed: crashes (also between two actions of
// one step), stopped processes, cut links, an arbiter out of reach or ambiguous, an operator who
// powers off or asks for a failover. Then the faults stop, and the pair must settle.
//
// The same seed gives the same schedule, on any host. Owner: the test.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <vector>

#include "replication/core.h"
#include "replication/schedule_checker.h"
#include "replication/schedule_machine.h"

namespace lockstep::replication::schedule {

// SplitMix64: small, and the same everywhere.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next();
  uint64_t below(uint64_t end) { return next() % end; }
  uint64_t between(uint64_t first, uint64_t last) { return first + below(last - first + 1); }
  bool chance(uint64_t permille) { return below(1000) < permille; }

 private:
  uint64_t state_;
};

class World {
 public:
  World(uint64_t seed, PlantedBug planted_bug, bool traced = false);

  // The whole schedule. Empty: all well. Otherwise the first violation.
  std::string run();
  const std::vector<std::string>& trace() const { return trace_; }

  // Did the schedule come by these? For the test that schedules are worth running.
  struct Coverage {
    bool was_protected = false;
    bool went_live = false;
    bool solo_after_loss = false;
    bool waited_for_arbiter = false;
    bool powered_off = false;
    bool failover_ordered = false;
    bool execution_stopped = false;
    bool lost_the_race = false;
  };
  const Coverage& coverage() const { return coverage_; }

 private:
  static constexpr size_t kPrimary = 0;
  static constexpr size_t kBackup = 1;

  struct Node {
    std::unique_ptr<Core> core;
    ToyMachine machine;
    bool crashed = false;
    std::optional<uint64_t> crash_after_actions;
    bool frozen = false;
    HostTime frozen_since;
    std::deque<std::function<void()>> parked;  // what arrived while it was frozen
    bool arbiter_reachable = true;
    bool executing = false;  // as a primary, or live
    bool stopped = false;    // StopExecution
    bool stands_still = false;
    bool ended = false;
    bool wants_power_off = false;
    bool wants_failover = false;
    LogPosition position;  // last appended, or drained
    std::deque<ToyFrame> replay_queue;
    size_t next_entry = 0;
    std::optional<ConnectionId> connection;
  };
  struct Wire {
    std::array<bool, kNodes> closed{};     // this end hears nothing more
    std::array<HostTime, kNodes> arrival;  // of the last message towards this end
    bool stalled = false;
    bool broken = false;
    std::array<std::deque<std::function<void()>>, kNodes> in_flight;  // towards this end
    std::array<uint64_t, kNodes> overdue{};  // how many of them a stall keeps
  };
  struct Timer {
    HostTime at;
    uint64_t order = 0;
    std::function<void()> call;
    bool operator>(const Timer& other) const {
      return at != other.at ? at > other.at : order > other.order;
    }
  };

  void at(uint64_t delay_us, std::function<void()> call);
  void run_until(HostTime end);
  void note(const std::string& text);

  // Nodes.
  void start_node(size_t index, Options options);
  void deliver(size_t index, std::function<void()> call);
  void feed(size_t index, Event event);
  void carry_out(size_t index, Action& action, std::vector<Event>& consequences);
  void note_state(size_t index, const StateChanged& changed);
  void crash(size_t index);
  void freeze(size_t index, uint64_t for_us);
  void thaw(size_t index);
  void tick_loop(size_t index);
  void run_loop(size_t index);
  void execute_slice(size_t index);
  void append_frame(size_t index, std::vector<ToyEntry> entries);
  void replay_slice(size_t index);
  bool replay_step(size_t index, LogPosition& drained);
  bool alive(size_t index) const { return !nodes_[index].crashed && !nodes_[index].ended; }

  // Channel.
  void connect_loop();
  void send(size_t from, ConnectionId connection, const Message& message);
  void close(size_t from, ConnectionId connection);
  void arrive_later(size_t to, ConnectionId connection, std::function<void()> call);
  void arrive(size_t to, ConnectionId connection);
  void stall(uint64_t for_us);
  void break_wire();
  uint64_t network_delay_us();

  // Arbiter.
  void ask(size_t index, Epoch from);
  io::AcquireResult acquire(size_t index, Epoch from);

  // Schedule.
  void plan_faults();
  void plan_one_fault();
  void heal();
  std::string unsettled() const;

  const uint64_t seed_;
  Random random_;
  const bool traced_;
  std::vector<std::string> trace_;
  HostTime now_;
  uint64_t order_ = 0;
  std::priority_queue<Timer, std::vector<Timer>, std::greater<>> timers_;
  std::array<Node, kNodes> nodes_;
  std::map<ConnectionId, Wire> wires_;
  ConnectionId newest_connection_;
  bool healed_ = false;
  uint64_t released_when_healed_ = 0;
  uint64_t absence_ns_ = 0;
  ScheduleChecker checker_;
  Coverage coverage_;
};

}  // namespace lockstep::replication::schedule
