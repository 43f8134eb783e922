#include "log/entry.h"

namespace lockstep::log {

const char* to_string(EntryKind kind) {
  switch (kind) {
    case EntryKind::kTimeAnchor:
      return "time-anchor";
    case EntryKind::kWarp:
      return "warp";
    case EntryKind::kFrameIn:
      return "frame-in";
    case EntryKind::kDiskCompletion:
      return "disk-completion";
    case EntryKind::kConsoleInput:
      return "console-input";
    case EntryKind::kEntropy:
      return "entropy";
    case EntryKind::kWallClockRead:
      return "wall-clock-read";
    case EntryKind::kControl:
      return "control";
    case EntryKind::kDigest:
      return "digest";
    case EntryKind::kHorizon:
      return "horizon";
  }
  return "unknown";
}

}  // namespace lockstep::log
