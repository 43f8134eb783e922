// The replication core of one replica: the whole protocol as a function of what has happened.
//
//   actions = core.step(now, event)
//
// No I/O, no thread, no clock: the same code runs in the daemon and in the simulator. What the
// caller promises is in events.h. A peer is never trusted: whatever it sends ends, at worst, the
// connection or this backup, with a reason. CHECKs are for the caller's own promises.
//
// The rules that hold (design §6), each with a test that fails when it is broken:
//   R1 live only by winning the next epoch     R2 who loses ends     R3 no answer: wait, gate shut
//   R4 from the Welcome on the gate opens only by a win     R5 a process that slept emits nothing
//
// Owner: one thread. Units: host time in nanoseconds. Source: design §4 to §6.
#pragma once

#include <variant>
#include <vector>

#include "replication/backup_role.h"
#include "replication/events.h"
#include "replication/options.h"
#include "replication/primary_role.h"
#include "replication/replica.h"
#include "replication/view.h"

namespace lockstep::replication {

class Core {
 public:
  explicit Core(Options options);
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  // The first event is Started. After the end (Halt) nothing happens but that who connects is
  // told so. A `now` before the previous one counts as the previous one.
  std::vector<Action> step(HostTime now, Event event);

  View view() const;

 private:
  void answer_after_end(const Event& event);

  Replica replica_;
  std::variant<std::monostate, PrimaryRole, BackupRole> role_;
};

}  // namespace lockstep::replication
