// A toy machine for the schedule test: a hash chain over its steps and its logged inputs. Like the
// real one it is a pure function of its log, so any two histories that differ soon differ in
// their outputs.
//
// Invariants: as log/entry.h. Owner: the test.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/types.h"
#include "replication/output.h"

namespace lockstep::replication::schedule {

struct ToyEntry {
  enum class Kind : uint8_t { kInput = 1, kPowerOff = 2, kFailover = 3 };
  Step step;
  Kind kind = Kind::kInput;
  uint64_t value = 0;
};

struct ToyFrame {
  LogPosition position;
  Step horizon;
  std::vector<ToyEntry> entries;

  Bytes encoded() const;
  static std::optional<ToyFrame> decoded(ByteView bytes);
};

class ToyMachine {
 public:
  Step step() const { return step_; }
  void apply(const ToyEntry& entry);
  // One instruction; appends to `outputs` what it sends.
  void execute(std::vector<Output>& outputs);

 private:
  void mix(uint64_t value);

  Step step_;
  uint64_t state_ = 1;
  uint64_t frames_sent_ = 0;
  uint64_t console_bytes_ = 0;
};

}  // namespace lockstep::replication::schedule
