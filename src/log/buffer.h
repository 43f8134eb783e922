// The bounded buffer of entries between the thread of a channel and the vCPU thread of a replica.
//
// The channel's thread pushes whole frames' entries and never blocks: a frame that finds no room
// stays with its caller, who stops reading the channel until the space callback says that there is
// room again (design §4: full stops the primary). The vCPU thread pops and blocks when there is
// nothing (empty stops the backup).
//
// Invariants
//   1. Entries leave in the order in which they came; none is lost, unless by stop().
//   2. entries <= max_entries and bytes <= max_bytes, except that an empty queue takes any one
//   frame.
//   3. horizon() only grows; every entry before it has been pushed.
//   4. After end() nothing is pushed; after stop() nothing is popped.
//
// Thread-safe. Units: bytes of memory, as memory_bytes() counts them.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <vector>

#include "base/types.h"
#include "log/entry.h"

namespace lockstep::log {

struct EntryQueueLimits {
  size_t max_entries = 262'144;
  size_t max_bytes = size_t{64} << 20;
};

// What an entry takes in memory.
size_t memory_bytes(const Entry& entry);

class EntryQueue {
 public:
  enum class Push : uint8_t {
    kTaken,
    kFull,     // nothing was taken; the space callback will come
    kStopped,  // the consumer wants no more
  };
  enum class Pop : uint8_t {
    kEntries,
    kNothing,  // try_pop() only: nothing now
    kEnd,      // all that was pushed before end() has been popped
    kStopped,
  };

  // `space` is called after a push was refused with kFull and half of each limit is free again: on
  // the popping thread, or in stop(), without a lock held. It may post to the channel's thread.
  explicit EntryQueue(EntryQueueLimits limits, std::function<void()> space = {});

  // The producer. `entries` end with a Horizon, as a frame's do; they are moved from when taken.
  Push push(std::vector<Entry>& entries);
  // Nothing will follow.
  void end();

  // The consumer: replaces `batch` by all entries that are there, at most `max_entries` of them.
  // pop() waits for the first.
  Pop pop(std::vector<Entry>& batch, size_t max_entries);
  Pop try_pop(std::vector<Entry>& batch, size_t max_entries);

  // Any thread: ends every wait, now and from now on.
  void stop();

  Step horizon() const;  // the last one pushed
  size_t entries() const;
  size_t bytes() const;

 private:
  enum class Wait : uint8_t { kYes, kNo };
  Pop take(std::vector<Entry>& batch, size_t max_entries, Wait wait);

  const EntryQueueLimits limits_;
  const std::function<void()> space_;

  mutable std::mutex mutex_;
  std::condition_variable filled_;
  std::deque<Entry> queue_;
  size_t bytes_ = 0;
  Step horizon_;
  bool ended_ = false;
  bool stopped_ = false;
  bool refused_ = false;  // the producer waits for space_
};

}  // namespace lockstep::log
