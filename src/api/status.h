// What a replica tells about itself, and what a VM looks like from the outside: the types of the
// API, and their JSON (docs/api.md).
//
// Reading is strict: a missing or unknown member, a wrong type or an unknown name is an error, so
// that two versions of the programs never half-understand each other.
//
// Units are in the names. Rates are over the last second or so. Owner: none (values).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace lockstep::api {

// What an operator sees (design §10).
enum class ReplicaState : uint8_t {
  kStarting,
  kSolo,  // live without a backup
  kCloning,
  kProtected,
  kFailingOver,
  kWaitingForArbiter,
  kHalted,
  kDiverged,
  kOff,   // the guest was powered off, or never started
  kGone,  // said by the client only: the process is not there
};
// "waiting-for-arbiter".
std::string_view to_string(ReplicaState state);
std::optional<ReplicaState> parse_replica_state(std::string_view text);

enum class Role : uint8_t { kPrimary, kBackup, kNone };
std::string_view to_string(Role role);

struct EntryTraffic {
  uint64_t entries = 0;
  uint64_t bytes = 0;
  double bits_per_second = 0;
  bool operator==(const EntryTraffic&) const = default;
};

struct FailoverRecord {
  std::string when;        // UTC, RFC 3339
  double blackout_ms = 0;  // from the last sign of the old live replica to this one being live
  std::string reason;
  bool operator==(const FailoverRecord&) const = default;
};

// Counts are since power-on; those from superblocks on are a translator's, and 0 of an interpreter.
struct EngineStatus {
  std::string name;             // "jit", "interpreter"
  double steps_per_second = 0;  // while the guest runs, waiting aside
  uint64_t walks = 0;           // of page tables
  uint64_t superblocks = 0;
  uint64_t instructions = 0;  // translated
  uint64_t code_bytes = 0;    // emitted
  uint64_t invalidated = 0;   // superblocks, by stores to them
  uint64_t evicted = 0;       // superblocks, for want of space
  uint64_t interpreted_steps = 0;
  uint64_t data_misses = 0;   // accesses off the fast path
  uint64_t fetch_misses = 0;  // jumps to a page that was not in the TLB
  // Ways out of translated code.
  uint64_t cold_exits = 0;    // to code that is not translated
  uint64_t budget_exits = 0;  // because the run ends within the next superblock
  uint64_t step_exits = 0;    // to have one instruction interpreted
  uint64_t leave_exits = 0;   // because an interrupt, a stop or the timer must be looked at
  uint64_t single_steps = 0;  // instructions interpreted without leaving
  bool operator==(const EngineStatus&) const = default;
};

struct ReplicaStatus {
  std::string vm;
  std::string node;  // "a" or "b"
  Role role = Role::kNone;
  ReplicaState state = ReplicaState::kStarting;
  std::string reason;  // of the state; never empty
  int pid = 0;
  uint64_t epoch = 0;
  uint64_t step = 0;
  double guest_time_s = 0;
  bool peer_connected = false;
  double heartbeat_age_ms = 0;  // since the peer's last sign of life; 0 without a peer
  double lag_ms = 0;            // how far the backup is behind
  uint64_t unacknowledged_bytes = 0;
  // On the logging channel since the process started: frames, acknowledgements and heartbeats.
  uint64_t channel_sent_bytes = 0;
  uint64_t channel_received_bytes = 0;
  double hold_time_p50_us = 0;  // how long outputs waited in the gate
  double hold_time_p99_us = 0;
  uint32_t throttle_permille = 0;           // how much the primary is slowed
  std::map<std::string, EntryTraffic> log;  // by kind of entry
  std::vector<FailoverRecord> failovers;    // this process's, the oldest first
  EngineStatus engine;
  std::optional<std::string> divergence;  // the first difference, when state is diverged
  bool operator==(const ReplicaStatus&) const = default;

  // Of all kinds together.
  double log_bits_per_second() const;
};

// Something that happened, the oldest first where there are several.
struct EventRecord {
  std::string when;  // UTC, RFC 3339
  std::string kind;  // "state", "failover", "peer", "throttle", …
  std::string text;
  bool operator==(const EventRecord&) const = default;
};

// One replica as the client found it.
struct ReplicaView {
  bool alive = false;    // its process runs and answers
  ReplicaStatus status;  // when not alive: vm, node, pid if known, state kGone and a reason
  bool operator==(const ReplicaView&) const = default;
};

struct GatewayView {
  bool alive = false;
  int pid = 0;
  std::string problem;  // why not alive; else empty
  // What the gateway answered: a JSON object, "{}" when not alive.
  std::string details_json = "{}";
  bool operator==(const GatewayView&) const = default;
};

struct VmStatus {
  std::string name;
  std::vector<ReplicaView> replicas;
  GatewayView gateway;
  bool operator==(const VmStatus&) const = default;

  // The live replica's (a primary's) state, else that of one that still answers, else kGone. kOff
  // without any: the VM was not started, or stopped in order.
  ReplicaState state() const;
  std::string reason() const;
};

std::string to_json(const ReplicaStatus& status);
std::string to_json(const std::vector<EventRecord>& events);
std::string to_json(const VmStatus& status);  // indented, for people and scripts
std::string to_json(const Error& error);

// `object`: where the text came from, for the error.
Result<ReplicaStatus> parse_replica_status(std::string_view json, const std::string& object);
Result<std::vector<EventRecord>> parse_events(std::string_view json, const std::string& object);
Result<VmStatus> parse_vm_status(std::string_view json, const std::string& object);
Result<Error> parse_error(std::string_view json, const std::string& object);

}  // namespace lockstep::api
