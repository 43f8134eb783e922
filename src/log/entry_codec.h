// One entry as bytes: tag, step delta, payload of the kind (docs/formats/log.md §5).
//
// Decoding is strict: what it accepts, encoding writes again bit for bit.
//
// Pure functions. Owner: none.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "log/entry.h"

namespace lockstep::log {

// The tag of a kind on the wire. Fixed for ever; the order of EntryKind is not.
constexpr uint8_t wire_tag(EntryKind kind) {
  switch (kind) {
    case EntryKind::kTimeAnchor:
      return 1;
    case EntryKind::kWarp:
      return 2;
    case EntryKind::kFrameIn:
      return 3;
    case EntryKind::kDiskCompletion:
      return 4;
    case EntryKind::kConsoleInput:
      return 5;
    case EntryKind::kEntropy:
      return 6;
    case EntryKind::kWallClockRead:
      return 7;
    case EntryKind::kControl:
      return 8;
    case EntryKind::kDigest:
      return 9;
    case EntryKind::kHorizon:
      return 10;
  }
  return 0;
}

enum class EntryFault : uint8_t {
  kNone,
  kUnknownKind,   // a tag that this version does not have
  kMalformed,     // runs past the end, or a number is not in its one encoding
  kBadValue,      // a field holds a value that its kind does not have
  kTooLarge,      // longer than the limit of its kind
  kStepOverflow,  // the delta leads past the last step
};
const char* to_string(EntryFault fault);

// The bytes of data that an entry carries: packet, disk data, console bytes, entropy.
size_t data_bytes(const Entry& entry);

// True when the entry is one that the format can carry: data within the limit of its kind, no data
// where has_data is false.
bool encodable(const Entry& entry);

// Appends `entry`. Requires: encodable(entry), entry.step >= previous.
void encode_entry(const Entry& entry, Step previous, Bytes& out);

// Takes one entry off `reader`. On a fault `entry` has no meaning.
EntryFault decode_entry(ByteReader& reader, Step previous, Entry& entry);

}  // namespace lockstep::log
