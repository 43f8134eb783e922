// What every device model is made of.
//
// A device is deterministic: it changes only when it handles a guest access or applies a log entry,
// on the vCPU thread. It writes guest memory and raises interrupts only then. What leaves the
// machine leaves through the OutputSink; what needs an answer from outside (a disk, entropy) is
// asked for there and answered by a log entry later. There is no clock, thread, file or random
// number in a device.
//
// The guest is never trusted: any value in any register or ring is handled, with a device error at
// worst.
//
// Owner: the vCPU thread.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/state_visitor.h"
#include "base/types.h"

namespace lockstep::devices {

// 1, 2, 4 or 8 bytes.
enum class AccessSize : uint8_t { k1 = 1, k2 = 2, k4 = 4, k8 = 8 };

class MmioDevice {
 public:
  virtual ~MmioDevice() = default;
  // `offset` is below the size of the window the board gave the device; it may be misaligned. A
  // register that does not exist reads as zero and ignores writes.
  virtual uint64_t read(uint64_t offset, AccessSize size) = 0;
  virtual void write(uint64_t offset, AccessSize size, uint64_t value) = 0;
  // The power-on state, as if just built.
  virtual void reset() = 0;
  virtual void visit_state(StateVisitor& visitor) = 0;
};

// A level-triggered wire to the interrupt controller.
class InterruptLine {
 public:
  virtual ~InterruptLine() = default;
  virtual void set(bool asserted) = 0;
};

enum class DiskOperation : uint8_t { kRead, kWrite, kFlush, kDiscard, kWriteZeroes };

// Offsets and lengths are multiples of 512 bytes and within the disk. Requests are carried out as
// if one after the other, in the order in which they were submitted.
struct DiskRequest {
  DeviceIndex disk;
  uint64_t request = 0;  // numbered from 0; the DiskCompletion carries the same number
  DiskOperation operation = DiskOperation::kRead;
  uint64_t offset = 0;  // bytes
  uint64_t length = 0;  // bytes; kRead, kDiscard, kWriteZeroes. kWrite: data.size()
  Bytes data;           // kWrite
};

enum class PowerRequest : uint8_t { kPowerOff, kReset, kFailure };

// Everything that leaves the machine. Called from inside run_until() and apply(); an implementation
// only notes and returns.
class OutputSink {
 public:
  virtual ~OutputSink() = default;
  virtual void console_output(DeviceIndex port, ByteView bytes) = 0;
  // One Ethernet frame, complete: checksums filled in, segmented.
  virtual void frame_output(DeviceIndex nic, ByteView frame) = 0;
  virtual void disk_request(DiskRequest request) = 0;
  // `count` bytes are wanted; answered by a log::Entropy with 1 to `count` bytes.
  virtual void entropy_request(uint32_t count) = 0;
  virtual void power_request(PowerRequest request) = 0;
};

// The time of day, for the real-time clock. Each call is a non-deterministic input: a primary asks
// the host and logs the answer, a replica takes it from the log.
class WallClock {
 public:
  virtual ~WallClock() = default;
  virtual uint64_t read_ns() = 0;  // since 1970-01-01T00:00:00Z
};

}  // namespace lockstep::devices
