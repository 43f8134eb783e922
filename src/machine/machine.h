// One virtual machine: state' = machine(state, log).
//
// Everything inside is deterministic and advances by executed steps and applied log entries only. A
// primary, a backup and a replay drive the same functions: run_until() and apply().
//
// Invariants
//   1. run_until(target) stops at exactly `target`, unless the hart waits or the power is off.
//   2. What leaves the machine is numbered: console bytes by port, frames by NIC, disk requests by
//      disk, each from 0; inputs from the gateway (frames and console input) are counted. Replicas
//      at the same step have the same numbers.
//   3. digest() is a function of the state that a guest can observe: no cache, no host time.
//   4. A restart of the guest reads kernel and initrd again. Without the bytes of the first time
//   the
//      machine cannot go on: run_until() and apply() then give that error, now and ever after, and
//      its state is of no meaning.
//
// Owner: the vCPU thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/state_visitor.h"
#include "base/types.h"
#include "devices/device.h"
#include "log/entry.h"
#include "machine/board.h"
#include "machine/engine_choice.h"

namespace lockstep::machine {

// What the machine reaches outside. Called from inside run_until() and apply(); an implementation
// only notes and returns. `step` is that of the instruction (or entry) that caused it.
class Outside {
 public:
  virtual ~Outside() = default;
  virtual void console_output(Step step, DeviceIndex port, uint64_t offset, ByteView bytes) = 0;
  virtual void frame_output(Step step, DeviceIndex nic, uint64_t index, ByteView frame) = 0;
  virtual void disk_request(devices::DiskRequest request) = 0;
  virtual void entropy_request(uint32_t count) = 0;
  // The instruction at `step` reads the time of day and no WallClockRead was applied at this step.
  // A primary answers and appends that entry; for a replica it is a divergence.
  virtual uint64_t wall_clock_ns(Step step) = 0;
};

enum class StopReason : uint8_t {
  kReached,      // step() == target
  kInterrupted,  // earlier, because interrupt() was called from inside
  kWaiting,      // the hart waits for an interrupt; only log entries can go on
  kPoweredOff,   // and stays so
};

enum class PowerState : uint8_t { kOn, kOff, kFailed };

class Machine {
 public:
  // `ram` is zeroed, page-aligned and of board.memory_bytes; it and `outside` outlive this. Starts
  // in the power-on state. kInvalid when kernel, initrd and device tree do not fit the memory;
  // errors of BootFile::read().
  static Result<std::unique_ptr<Machine>> create(BoardDescription board, std::span<std::byte> ram,
                                                 Outside& outside, const EngineChoice& engine = {});
  ~Machine();
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  // An error when a restart failed.
  Result<StopReason> run_until(Step target);
  // From inside a call of Outside: run_until() returns after this instruction. Where runs are cut
  // changes nothing that the guest can see.
  void interrupt();
  // An entry at step(). kDiverged when the machine cannot take it: another step, a device or
  // request that does not exist, time that goes backwards, or a digest that differs. Another error
  // when a restart failed.
  Status apply(const log::Entry& entry);

  Step step() const;
  bool waiting() const;
  PowerState power() const;
  GuestTicks guest_time() const;
  uint64_t time_rate_q32() const;
  // The guest time at which the timer interrupt becomes pending; nothing when it will not.
  std::optional<GuestTicks> timer_deadline() const;
  // How many inputs of the gateway (frame-in and console-input entries) were applied.
  uint64_t inputs_applied() const;
  // Instructions retired and traps taken are told apart for statistics only.
  uint64_t traps() const;

  Hash128 digest();
  // Names and values of every field of the state but RAM, to find the first difference.
  void visit_state(StateVisitor& visitor);
  ByteView ram() const;
  const BoardDescription& board() const;
  EngineReport engine_report() const;

  // Drops everything that is derived (TLB, decoded code): invisible, for tests.
  void flush_derived_state();

 private:
  class Impl;
  explicit Machine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace lockstep::machine
