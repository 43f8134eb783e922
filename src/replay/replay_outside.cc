#include "replay/replay_outside.h"

#include <array>
#include <fmt/format.h>

#include "base/hash.h"

namespace lockstep::replay {

void ReplayOutside::mix(uint64_t first, uint64_t second, uint64_t third, ByteView bytes) {
  const std::array<uint64_t, 4> place = {tally_.hash, first, second, third};
  tally_.hash = hash64(bytes, hash64(std::as_bytes(std::span(place))));
}

void ReplayOutside::console_output(Step step, DeviceIndex port, uint64_t offset, ByteView bytes) {
  tally_.console_bytes += bytes.size();
  mix(step.value, port.value, offset, bytes);
  if (listener_) listener_(port, bytes);
}

void ReplayOutside::frame_output(Step step, DeviceIndex nic, uint64_t index, ByteView frame) {
  ++tally_.frames;
  tally_.frame_bytes += frame.size();
  mix(step.value, nic.value, index, frame);
}

void ReplayOutside::disk_request(devices::DiskRequest request) {
  ++tally_.disk_requests;
  mix(request.disk.value, request.request, request.offset, request.data);
}

void ReplayOutside::entropy_request(uint32_t count) {
  ++tally_.entropy_requests;
  mix(count, 0, 0, {});
}

uint64_t ReplayOutside::wall_clock_ns(Step step) {
  if (!unlogged_read_.has_value()) unlogged_read_ = step;
  return 0;
}

Status ReplayOutside::inputs() const {
  if (!unlogged_read_.has_value()) return {};
  return fail(ErrorCode::kDiverged, "the machine read the wall clock at step",
              fmt::format("{}", unlogged_read_->value), "the log holds no such read");
}

}  // namespace lockstep::replay
