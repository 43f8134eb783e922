#include "replay/recorder.h"

namespace lockstep::replay {

Recorder::Recorder(log::LogFileWriter file)
    : file_(std::move(file)), flushed_(file_.cursor().horizon) {
}

Status Recorder::record(const log::Entry& entry) {
  Status recorded = file_.append(entry);
  if (!recorded.has_value() || entry.step - flushed_ < kFlushSteps) return recorded;
  flushed_ = entry.step;
  return file_.flush();
}

}  // namespace lockstep::replay
