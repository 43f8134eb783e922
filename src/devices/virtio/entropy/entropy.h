// virtio-rng (virtio 1.2 §5.4): entropy from outside, asked for and answered later.
//
// Each buffer of the guest's becomes one OutputSink::entropy_request for at most kMaxRequestBytes;
// a log::Entropy answers the oldest. A driver that wants more asks again.
//
// Invariants
//   1. Answers owed by the outside = abandoned_ + outstanding_.size(). Those to requests from
//      before a reset come first, and are dropped.
//   2. At most kQueueSize requests are outstanding, and at most kMaxOwedAnswers answers owed; at
//      either bound buffers stay in the ring until an answer makes room.
//
// Owner: the vCPU thread.
#pragma once

#include <deque>
#include <vector>

#include "devices/device.h"
#include "devices/virtio/model.h"

namespace lockstep::devices::virtio {

class Entropy : public Model {
 public:
  static constexpr uint16_t kQueueSize = 8;
  static constexpr uint32_t kMaxRequestBytes = 256;
  static constexpr size_t kMaxOwedAnswers = 64;

  explicit Entropy(OutputSink& sink) : sink_(sink) {}

  DeviceType type() const override { return DeviceType::kEntropy; }
  uint64_t features() const override { return 0; }
  std::vector<uint16_t> queue_sizes() const override { return {kQueueSize}; }
  void attach(Transport& transport) override { transport_ = &transport; }
  void read_configuration(uint64_t offset, std::span<std::byte> out) const override;
  void notified(uint16_t queue_index) override;
  void queue_stopped(uint16_t queue_index) override;
  void reset() override;
  void visit_state(StateVisitor& visitor) override;

  // Whether a request is without its answer.
  bool awaits_answer() const { return abandoned_ != 0 || !outstanding_.empty(); }
  // Answers the oldest request: applies a log::Entropy. Bytes beyond what it asked for are dropped.
  void provide(ByteView bytes);

  // The answers still owed, oldest first, as the counts of bytes wanted (1 for one that will be
  // dropped): to be asked for again by a replica that goes live.
  std::vector<uint32_t> outstanding() const;

 private:
  struct Request {
    uint16_t head = 0;
    uint32_t wanted_bytes = 0;
    Segments writable;
  };

  bool at_limit() const {
    return outstanding_.size() >= kQueueSize || abandoned_ + outstanding_.size() >= kMaxOwedAnswers;
  }
  void submit_available();
  void answer(const Request& request, ByteView bytes);
  void abandon_outstanding();

  OutputSink& sink_;
  Transport* transport_ = nullptr;
  std::deque<Request> outstanding_;
  uint64_t abandoned_ = 0;
};

}  // namespace lockstep::devices::virtio
