// The outside of a machine that is driven by a file alone: nothing leaves it.
//
// Outputs are counted and hashed, so that two replays of one log can be compared; console output
// may be listened to. Disk and entropy requests are answered by the log. A clock read that the log
// does not hold is noted: the machine has diverged.
//
// Owner: the vCPU thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <utility>

#include "base/bytes.h"
#include "base/error.h"
#include "base/types.h"
#include "devices/device.h"
#include "machine/machine.h"

namespace lockstep::replay {

struct OutputTally {
  uint64_t console_bytes = 0;
  uint64_t frames = 0;
  uint64_t frame_bytes = 0;
  uint64_t disk_requests = 0;
  uint64_t entropy_requests = 0;
  uint64_t hash = 0;  // of every output with its step, device and number, in order
  bool operator==(const OutputTally&) const = default;
};

class ReplayOutside final : public machine::Outside {
 public:
  using ConsoleListener = std::function<void(DeviceIndex port, ByteView bytes)>;

  explicit ReplayOutside(ConsoleListener listener = {}) : listener_(std::move(listener)) {}

  void console_output(Step step, DeviceIndex port, uint64_t offset, ByteView bytes) override;
  void frame_output(Step step, DeviceIndex nic, uint64_t index, ByteView frame) override;
  void disk_request(devices::DiskRequest request) override;
  void entropy_request(uint32_t count) override;
  uint64_t wall_clock_ns(Step step) override;

  const OutputTally& tally() const { return tally_; }
  // For ReplayTarget::inputs().
  Status inputs() const;

 private:
  void mix(uint64_t first, uint64_t second, uint64_t third, ByteView bytes);

  ConsoleListener listener_;
  OutputTally tally_;
  std::optional<Step> unlogged_read_;
};

}  // namespace lockstep::replay
