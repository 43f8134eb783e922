// Ports for tests of devices: what left the machine is noted, the clock is set by hand.
//
// Owner: the test.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "devices/device.h"

namespace lockstep::devices::testing {

class RecordingSink : public OutputSink {
 public:
  void console_output(DeviceIndex port, ByteView bytes) override {
    if (console.size() <= port.value) console.resize(port.value + 1);
    console[port.value] += as_text(bytes);
  }
  void frame_output(DeviceIndex, ByteView frame) override {
    frames.emplace_back(frame.begin(), frame.end());
  }
  void disk_request(DiskRequest request) override { disk_requests.push_back(std::move(request)); }
  void entropy_request(uint32_t count) override { entropy_requests.push_back(count); }
  void power_request(PowerRequest request) override { power_requests.push_back(request); }

  // The text that left through a console port.
  std::string console_text(uint32_t port) const {
    return port < console.size() ? console[port] : std::string();
  }

  std::vector<std::string> console;
  std::vector<Bytes> frames;
  std::vector<DiskRequest> disk_requests;
  std::vector<uint32_t> entropy_requests;
  std::vector<PowerRequest> power_requests;
};

class RecordingLine : public InterruptLine {
 public:
  void set(bool asserted) override {
    if (asserted && !level) ++rising_edges;
    level = asserted;
  }

  bool level = false;
  int rising_edges = 0;
};

class ManualWallClock : public WallClock {
 public:
  uint64_t read_ns() override {
    ++reads;
    return now_ns;
  }

  uint64_t now_ns = 0;
  int reads = 0;
};

}  // namespace lockstep::devices::testing
