#include "devices/syscon/syscon.h"

namespace lockstep::devices {

uint64_t Syscon::read(uint64_t, AccessSize) {
  return 0;
}

void Syscon::write(uint64_t offset, AccessSize size, uint64_t value) {
  if (offset != 0 || (size != AccessSize::k2 && size != AccessSize::k4)) return;
  // The high half may carry an exit code; what matters to a VM is that it failed.
  switch (value & 0xffff) {
    case kFailure:
      sink_.power_request(PowerRequest::kFailure);
      break;
    case kPowerOff:
      sink_.power_request(PowerRequest::kPowerOff);
      break;
    case kReset:
      sink_.power_request(PowerRequest::kReset);
      break;
    default:
      break;
  }
}

void Syscon::visit_state(StateVisitor& visitor) {
  visitor.enter("syscon", 0);
  visitor.leave();
}

}  // namespace lockstep::devices
