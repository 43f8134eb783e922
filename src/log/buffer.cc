#include "log/buffer.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "log/entry_codec.h"

namespace lockstep::log {

size_t memory_bytes(const Entry& entry) {
  return sizeof(Entry) + data_bytes(entry);
}

EntryQueue::EntryQueue(EntryQueueLimits limits, std::function<void()> space)
    : limits_(limits), space_(std::move(space)) {
  CHECK(limits.max_entries > 0 && limits.max_bytes > 0);
}

EntryQueue::Push EntryQueue::push(std::vector<Entry>& entries) {
  CHECK(!entries.empty() && entries.back().kind() == EntryKind::kHorizon);
  size_t bytes = 0;
  for (const Entry& entry : entries) bytes += memory_bytes(entry);
  {
    const std::lock_guard lock(mutex_);
    CHECK(!ended_);
    if (stopped_) return Push::kStopped;
    const bool fits = queue_.size() + entries.size() <= limits_.max_entries &&
                      bytes_ + bytes <= limits_.max_bytes;
    if (!fits && !queue_.empty()) {
      refused_ = true;
      return Push::kFull;
    }
    CHECK(entries.back().step >= horizon_);
    horizon_ = entries.back().step;
    bytes_ += bytes;
    std::move(entries.begin(), entries.end(), std::back_inserter(queue_));
  }
  entries.clear();
  filled_.notify_one();
  return Push::kTaken;
}

void EntryQueue::end() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  filled_.notify_all();
}

EntryQueue::Pop EntryQueue::pop(std::vector<Entry>& batch, size_t max_entries) {
  return take(batch, max_entries, Wait::kYes);
}

EntryQueue::Pop EntryQueue::try_pop(std::vector<Entry>& batch, size_t max_entries) {
  return take(batch, max_entries, Wait::kNo);
}

EntryQueue::Pop EntryQueue::take(std::vector<Entry>& batch, size_t max_entries, Wait wait) {
  CHECK(max_entries > 0);
  batch.clear();
  bool tell_space = false;
  {
    std::unique_lock lock(mutex_);
    if (wait == Wait::kYes) {
      filled_.wait(lock, [this] { return stopped_ || ended_ || !queue_.empty(); });
    }
    if (stopped_) return Pop::kStopped;
    if (queue_.empty()) return ended_ ? Pop::kEnd : Pop::kNothing;

    const size_t count = std::min(max_entries, queue_.size());
    const auto last = queue_.begin() + static_cast<std::ptrdiff_t>(count);
    for (auto entry = queue_.begin(); entry != last; ++entry) {
      bytes_ -= memory_bytes(*entry);
      batch.push_back(std::move(*entry));
    }
    queue_.erase(queue_.begin(), last);
    const bool half_free =
        queue_.size() <= limits_.max_entries / 2 && bytes_ <= limits_.max_bytes / 2;
    // A frame that does not fit into the free half is refused once more, and told of once more.
    tell_space = refused_ && half_free;
    if (tell_space) refused_ = false;
  }
  if (tell_space && space_) space_();
  return Pop::kEntries;
}

void EntryQueue::stop() {
  bool tell_space = false;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    tell_space = std::exchange(refused_, false);
  }
  filled_.notify_all();
  if (tell_space && space_) space_();
}

Step EntryQueue::horizon() const {
  const std::lock_guard lock(mutex_);
  return horizon_;
}

size_t EntryQueue::entries() const {
  const std::lock_guard lock(mutex_);
  return queue_.size();
}

size_t EntryQueue::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace lockstep::log
