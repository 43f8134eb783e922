// What the operator sees of a core: state, reason and the numbers that explain a slow or unsafe
// pair. A copy, true after the last step(). Units are in the names. Owner: whoever holds it.
#pragma once

#include <cstdint>
#include <string>

#include "base/types.h"
#include "replication/events.h"

namespace lockstep::replication {

struct View {
  Role role = Role::kPrimary;
  VmState state = VmState::kStarting;
  std::string reason;
  Epoch epoch;
  std::string peer_node;  // empty: none
  LogPosition appended;
  LogPosition acknowledged;
  LogPosition released;
  uint64_t unacknowledged_bytes = 0;
  uint64_t held_output_bytes = 0;
  uint64_t hold_p50_ns = 0;
  uint64_t hold_p99_ns = 0;
  uint64_t backup_buffer_bytes = 0;
  uint64_t lag_ms = 0;        // a primary's view, in guest time
  uint64_t steps_behind = 0;  // a backup's view: the primary's newest horizon minus its own step
  uint32_t throttle_permille = 0;
  uint64_t heartbeat_age_ns = 0;    // since the peer was last heard
  uint64_t suspicion_after_ns = 0;  // the timeout in force
};

}  // namespace lockstep::replication
