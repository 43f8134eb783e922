// One output of the machine, as it waits in the gate.
//
// (device, offset) names it for ever: both replicas count the same frames and console bytes, so
// whoever is outside (the gateway, the console) drops what a failover repeats, exactly.
//
// Owner: whoever holds it (values). Source: design §5.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/types.h"

namespace lockstep::replication {

enum class OutputKind : uint8_t { kFrame, kConsole, kPower };

struct Output {
  Step step;  // the instruction that produced it
  OutputKind kind = OutputKind::kFrame;
  DeviceIndex device;
  uint64_t offset = 0;  // kFrame: index of the frame on this NIC; kConsole: byte in this stream
  Bytes data;           // kFrame, kConsole
  bool operator==(const Output&) const = default;
};

}  // namespace lockstep::replication
