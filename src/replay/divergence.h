// The first difference between a machine and the log that drives it.
//
// Values. Owner: none.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/hash.h"
#include "base/types.h"
#include "log/entry.h"

namespace lockstep::replay {

enum class DivergenceKind : uint8_t {
  kDigest,         // the machine's digest is another than the log's
  kStandsStill,    // the machine waits or is off, and the log goes on at a later step
  kRefusedEntry,   // the machine cannot take an entry
  kUnloggedInput,  // the machine asked for an input that the log does not have
};
const char* to_string(DivergenceKind kind);

struct Divergence {
  DivergenceKind kind = DivergenceKind::kDigest;
  Step step;             // where the machine stands
  Step last_good_step;   // of the last digest that matched, or where the replay began
  LogPosition position;  // the frame of the log
  uint64_t entry = 0;    // how many entries were taken from the source before this one
  log::EntryKind entry_kind = log::EntryKind::kDigest;
  Step entry_step;
  std::optional<Hash128> expected;  // kDigest: the log's
  std::optional<Hash128> actual;    // kDigest: the machine's
  std::string reason;               // what the machine said, where it said something

  // Several lines, for people.
  std::string report() const;
  // kDiverged, in one line.
  Error error() const;
};

}  // namespace lockstep::replay
