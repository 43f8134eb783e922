// The inputs that a gateway keeps until every log that needs them has them.
//
// Invariants
//   1. Inputs are numbered without gaps: those in [oldest(), next()) are kept.
//   2. At most kMaxHeldInputs of them and kMaxHeldBytes bytes.
//   3. Both ends only grow.
//
// Pure state. Owner: the gateway's loop thread. Units: bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "base/bytes.h"
#include "io/gateway_protocol.h"

namespace lockstep::gateway {

inline constexpr size_t kMaxHeldInputs = 32'768;
inline constexpr size_t kMaxHeldBytes = size_t{32} * 1024 * 1024;

class HeldInputs {
 public:
  bool has_room(size_t bytes) const;
  // False: no room, nothing kept.
  bool push(InputKind kind, DeviceIndex device, ByteView bytes);
  // Forgets those below `sequence`, which is at most next().
  void forget_below(InputSequence sequence);
  // `sequence` is in [oldest(), next()). The bytes stay where they are until it is forgotten.
  Input at(InputSequence sequence) const;

  InputSequence oldest() const { return oldest_; }
  InputSequence next() const { return oldest_ + held_.size(); }
  size_t count() const { return held_.size(); }
  size_t bytes() const { return bytes_; }

 private:
  struct Held {
    InputKind kind;
    DeviceIndex device;
    Bytes bytes;
  };

  std::deque<Held> held_;
  InputSequence oldest_;
  size_t bytes_ = 0;
  std::vector<Bytes> spare_;  // buffers of forgotten inputs, for the next ones
};

}  // namespace lockstep::gateway
