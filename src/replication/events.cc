#include "replication/events.h"

namespace lockstep::replication {

const char* to_string(VmState state) {
  switch (state) {
    case VmState::kStarting:
      return "starting";
    case VmState::kSolo:
      return "solo";
    case VmState::kProtected:
      return "protected";
    case VmState::kFailingOver:
      return "failing-over";
    case VmState::kWaitingForArbiter:
      return "waiting-for-arbiter";
    case VmState::kHalted:
      return "halted";
    case VmState::kDiverged:
      return "diverged";
    case VmState::kOff:
      return "off";
  }
  return "unknown";
}

}  // namespace lockstep::replication
