// Independent checker of one schedule: sees what the outside world, the arbiter and the wires see,
// never the inside of a core.
//
// Checked: the Output Rule (nothing leaves before its cause is held by whoever could go live), the
// rules R1 to R5 of design §6, that no output contradicts another one, and that none is lost.
// The first violation is kept. Owner: the test.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "replication/events.h"

namespace lockstep::replication::schedule {

inline constexpr size_t kNodes = 2;

class ScheduleChecker {
 public:
  // The register has moved: `node` owns `epoch`, whether or not it has been told.
  void on_acquired(size_t node, Epoch epoch);
  void on_told_lost(size_t node);
  // `node` was told that the other one is live in `epoch` and that it may go live itself.
  void on_welcomed(size_t node, Epoch epoch);
  void on_held(size_t node, Step horizon);
  // `node` runs again, after a time that it must have noticed.
  void on_back_from_absence(size_t node);
  void on_start_executing(size_t node);
  void on_go_live(size_t node, Epoch epoch);
  void on_release(size_t node, const Output& output);
  void on_halt(size_t node, VmState state);

  std::optional<size_t> owner() const { return owner_; }
  Epoch epoch() const { return epoch_; }
  bool powered_off() const { return powered_off_; }
  bool welcomed(size_t node) const { return nodes_[node].welcomed_in == epoch_; }
  uint64_t released_count() const { return released_.size(); }
  const std::string& violation() const { return violation_; }
  void violated(std::string what);

 private:
  struct Node {
    bool told_lost = false;
    bool ended = false;
    std::optional<Epoch> welcomed_in;
    Step held_horizon;
    bool back_from_absence_when_not_owner = false;
  };
  using Name = std::pair<OutputKind, uint64_t>;

  std::string who(size_t node) const;
  void check_first_release(size_t node, const Output& output);

  std::array<Node, kNodes> nodes_;
  Epoch epoch_;
  std::optional<size_t> owner_;
  bool powered_off_ = false;
  std::map<Name, Bytes> released_;
  std::map<OutputKind, uint64_t> next_offset_;
  std::string violation_;
};

}  // namespace lockstep::replication::schedule
