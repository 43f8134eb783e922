// Drives one core by hand in the tests of the roles. Owner: the test.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "replication/core.h"

namespace lockstep::replication {

inline Options test_options(std::string node) {
  Options options;
  options.vm = std::string("vm");
  options.node = std::move(node);
  options.machine_fingerprint = {1, 2};
  options.build_version = std::string("1");
  options.start_wait_ms = 500;
  return options;
}

class CoreDriver {
 public:
  explicit CoreDriver(Options options) : core_(std::move(options)) {}

  // The actions of this event; they are also the ones that the readers below look at.
  void step(Event event) { actions_ = core_.step(now_, std::move(event)); }
  // Time goes on in ticks of 10 ms; the readers see all actions of all of them.
  void pass_ms(uint64_t ms) {
    std::vector<Action> all;
    for (uint64_t passed = 0; passed < ms; passed += 10) {
      now_ += 10 * kNsPerMs;
      for (Action& action : core_.step(now_, Tick{})) all.push_back(std::move(action));
    }
    actions_ = std::move(all);
  }
  // Time goes on and nothing runs.
  void sleep_ms(uint64_t ms) { now_ += ms * kNsPerMs; }
  void receive(uint64_t connection, Message message) {
    step(MessageReceived{ConnectionId(connection), std::move(message)});
  }

  template <typename T>
  const T* find() const {
    for (const Action& action : actions_) {
      if (const auto* found = std::get_if<T>(&action)) return found;
    }
    return nullptr;
  }
  template <typename T>
  bool did() const {
    return find<T>() != nullptr;
  }
  template <typename M>
  const M* sent() const {
    for (const Action& action : actions_) {
      const auto* send = std::get_if<Send>(&action);
      if (send == nullptr) continue;
      if (const auto* message = std::get_if<M>(&send->message)) return message;
    }
    return nullptr;
  }
  std::vector<uint64_t> released() const {
    std::vector<uint64_t> offsets;
    for (const Action& action : actions_) {
      const auto* release = std::get_if<Release>(&action);
      if (release == nullptr) continue;
      for (const Output& output : release->outputs) offsets.push_back(output.offset);
    }
    return offsets;
  }

  VmState state() const { return core_.view().state; }
  View view() const { return core_.view(); }

 private:
  Core core_;
  HostTime now_ = HostTime(kNsPerMs);
  std::vector<Action> actions_;
};

inline Output output_at(uint64_t step, uint64_t offset) {
  return {Step(step), OutputKind::kFrame, DeviceIndex{0}, offset, Bytes(4)};
}

inline io::AcquireResult no_answer() {
  return io::AcquireResult::unreachable({ErrorCode::kUnavailable, "cannot reach", "arbiter", ""});
}

}  // namespace lockstep::replication
