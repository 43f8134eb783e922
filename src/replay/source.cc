#include "replay/source.h"

#include <optional>
#include <utility>

namespace lockstep::replay {

Result<SourceState> FileSource::next(log::Entry& entry) {
  Result<std::optional<log::Entry>> next = reader_.next();
  if (!next.has_value()) return std::unexpected(next.error());
  if (!next->has_value()) return SourceState::kEnd;
  entry = std::move(**next);
  return SourceState::kEntry;
}

Result<SourceState> QueueSource::next(log::Entry& entry) {
  if (next_ == batch_.size()) {
    next_ = 0;
    switch (queue_.pop(batch_, kBatchEntries)) {
      case log::EntryQueue::Pop::kStopped:
        return SourceState::kStopped;
      case log::EntryQueue::Pop::kEnd:
      case log::EntryQueue::Pop::kNothing:
        return SourceState::kEnd;
      case log::EntryQueue::Pop::kEntries:
        break;
    }
  }
  entry = std::move(batch_[next_++]);
  inside_frame_ = entry.kind() != log::EntryKind::kHorizon;
  if (!inside_frame_) ++whole_frames_;
  return SourceState::kEntry;
}

LogPosition QueueSource::position() const {
  return inside_frame_ ? whole_frames_ + 1 : whole_frames_;
}

}  // namespace lockstep::replay
