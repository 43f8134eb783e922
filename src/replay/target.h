// What a replay drives: a machine, with the answers that its log does not carry.
//
// A replica fills in what it has by itself before it hands an entry on (the data of a disk read
// from its own image), and cuts long runs into slices where it has other work to do. For a file
// alone, MachineTarget is enough.
//
// Owner: the vCPU thread.
#pragma once

#include "base/error.h"
#include "base/hash.h"
#include "base/types.h"
#include "log/entry.h"
#include "machine/machine.h"

namespace lockstep::replay {

class ReplayTarget {
 public:
  virtual ~ReplayTarget() = default;
  virtual Step step() const = 0;
  // Stops at `target`, or earlier when the machine waits or is off. An error when this replica
  // cannot run it on.
  virtual Result<machine::StopReason> run_until(Step target) = 0;
  // An entry at step(), neither a Digest nor a Horizon. kDiverged when the machine cannot take it;
  // another error when this replica cannot give it what it needs.
  virtual Status apply(log::Entry entry) = 0;
  virtual Hash128 digest() = 0;
  // An error once the machine has asked for an input that it was not given.
  virtual Status inputs() const = 0;
};

}  // namespace lockstep::replay
