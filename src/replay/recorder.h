// Records what a machine was given, so that a replay of the file gives the same machine again.
//
// The recorder is told of each entry as it is applied, with the data that was applied (a disk read
// whose data came from the replica's own image is recorded with that data), and how far the machine
// has run. A recording that fails ends; it never stops the machine.
//
// Owner: the vCPU thread.
#pragma once

#include <cstdint>
#include <utility>

#include "base/error.h"
#include "base/types.h"
#include "log/entry.h"
#include "log/file.h"

namespace lockstep::replay {

class Recorder {
 public:
  // What a crash of the process may lose at most, beside what a frame holds: this many steps.
  static constexpr uint64_t kFlushSteps = 200'000'000;

  explicit Recorder(log::LogFileWriter file);

  // `entry` is being applied; a Horizon says how far the machine may have run. The first error is
  // given every time from then on, and nothing more is recorded.
  Status record(const log::Entry& entry);
  // The machine has run to `step`: every entry before it has been recorded.
  Status reached(Step step) { return record({step, log::Horizon{}}); }
  // The recording is whole and on its disk.
  Status finish() { return file_.sync(); }

  const log::LogCursor& cursor() const { return file_.cursor(); }
  const log::LogStatistics& statistics() const { return file_.statistics(); }

 private:
  log::LogFileWriter file_;
  Step flushed_;
};

}  // namespace lockstep::replay
