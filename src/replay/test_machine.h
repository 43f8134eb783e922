// A small deterministic machine for the tests of replay: its state is a hash of all that happened
// to it. At some steps it waits for an entry, which depends on the state, as a guest's WFI does.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "base/hash.h"
#include "log/entry_codec.h"
#include "replay/target.h"

namespace lockstep::replay {

class TestMachine final : public ReplayTarget {
 public:
  static constexpr DeviceIndex kBrokenDisk{7};

  Step step() const override { return step_; }

  Result<machine::StopReason> run_until(Step target) override {
    while (step_ < target) {
      if (off_) return machine::StopReason::kPoweredOff;
      if (waiting_) return machine::StopReason::kWaiting;
      mix(step_.value);
      ++step_;
      if (fails_at_ == step_) return fail(ErrorCode::kSystem, "cannot run on", "this replica");
      if (flip_at_ == step_) state_.low ^= 1;
      if (reads_clock_at_ == step_) asked_ = true;
      waiting_ = state_.low % 64 == 0;
    }
    return machine::StopReason::kReached;
  }

  Status apply(log::Entry entry) override {
    if (entry.step != step_) {
      return fail(ErrorCode::kDiverged, "cannot apply an entry of another", "step");
    }
    if (const auto* completion = std::get_if<log::DiskCompletion>(&entry.payload)) {
      if (completion->disk == kBrokenDisk) {
        return fail(ErrorCode::kSystem, "cannot read", "this replica's disk");
      }
      if (completion->disk != DeviceIndex{}) {
        return fail(ErrorCode::kDiverged, "there is no such disk as", "disk 1");
      }
    }
    Bytes bytes;
    log::encode_entry(entry, Step(0), bytes);
    mix(hash64(bytes));
    waiting_ = false;
    if (std::holds_alternative<log::Control>(entry.payload)) off_ = true;
    return {};
  }

  Hash128 digest() override { return state_; }

  Status inputs() const override {
    if (!asked_) return {};
    return fail(ErrorCode::kDiverged, "the machine read", "the clock");
  }

  bool waiting() const { return waiting_; }
  // Faults to plant: a bit of the state changes, an input is asked for, after that many steps.
  void flip_at(Step step) { flip_at_ = step; }
  void read_clock_at(Step step) { reads_clock_at_ = step; }
  void fail_at(Step step) { fails_at_ = step; }

 private:
  void mix(uint64_t value) { state_ = hash128(std::as_bytes(std::span(&value, 1)), state_.low); }

  Step step_;
  Hash128 state_{1, 2};
  bool waiting_ = false;
  bool off_ = false;
  bool asked_ = false;
  std::optional<Step> flip_at_;
  std::optional<Step> reads_clock_at_;
  std::optional<Step> fails_at_;
};

}  // namespace lockstep::replay
