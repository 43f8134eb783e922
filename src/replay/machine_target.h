// A machine as what a replay drives, when its log carries everything: replays of a file.
//
// Owner: the vCPU thread.
#pragma once

#include <functional>
#include <utility>

#include "machine/machine.h"
#include "replay/target.h"

namespace lockstep::replay {

class MachineTarget final : public ReplayTarget {
 public:
  // `inputs` is asked after each run, as ReplayOutside::inputs(). The machine outlives this.
  MachineTarget(machine::Machine& machine, std::function<Status()> inputs)
      : machine_(machine), inputs_(std::move(inputs)) {}

  Step step() const override { return machine_.step(); }
  Result<machine::StopReason> run_until(Step target) override { return machine_.run_until(target); }
  Status apply(log::Entry entry) override { return machine_.apply(entry); }
  Hash128 digest() override { return machine_.digest(); }
  Status inputs() const override { return inputs_(); }

 private:
  machine::Machine& machine_;
  std::function<Status()> inputs_;
};

}  // namespace lockstep::replay
