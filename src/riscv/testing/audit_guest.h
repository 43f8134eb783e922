// A guest for comparing engines: RAM, a hart, and devices whose every answer depends on the step of
// the access, so that an engine that is a step off shows.
//
// A register of the device is chosen by bits 9 to 7 of the offset in its page: kAuditDevice in
// audit_program.h. Any access to the interrupt controller's window lowers the line. An ecall from
// S-mode does one of the same by a0.
//
// Invariant: what a guest does is a function of its program, its hart and its inputs.
//
// Owner: the test.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "base/bytes.h"
#include "base/types.h"
#include "riscv/engine.h"
#include "riscv/testing/audit_program.h"

namespace lockstep::riscv::testing {

class AuditGuest final : public Bus, public EnvironmentCalls {
 public:
  static constexpr GuestAddress kRam = kAuditRam;
  static constexpr uint64_t kPages = kAuditPages;
  static constexpr GuestAddress kDevice = kAuditDevice;  // 4 KiB
  static constexpr GuestAddress kController{0xc00'0000};
  static constexpr uint64_t kControllerSize = 0x40'0000;
  static constexpr GuestAddress kClock{0x10'1000};  // 4 KiB: as the device

  // The program outlives this.
  AuditGuest(const AuditProgram& program, const EngineFactory& make_engine);

  // Runs to `target`; returns before it when the hart waits or the guest stopped the run. An error
  // text when the engine stopped anywhere else, or did not stop.
  std::optional<std::string> run_until(Step target);
  // Overwrites RAM in `writable` pages by a copy of other such bytes: a function of `random`.
  void copy_memory(uint64_t random);
  // What stands at pc, whether or not it may be fetched; a compressed instruction zero-extended.
  std::optional<uint32_t> next_instruction() const;
  // Every field that the guest can observe but RAM, and what its devices saw.
  void visit_state(StateVisitor& visitor);

  bool read(GuestAddress address, unsigned size, uint64_t& value) override;
  bool write(GuestAddress address, unsigned size, uint64_t value) override;
  void call(Hart& caller) override;

 private:
  Bytes storage_;

 public:
  std::span<std::byte> ram;
  PhysicalMemory memory;
  Hart hart;
  std::unique_ptr<Engine> engine;

 private:
  uint64_t observe(uint64_t what, uint64_t operand);
  bool access(GuestAddress address, uint64_t operand, uint64_t& value);
  void stop_run();

  const AuditProgram& program_;
  std::optional<Step> stop_wanted_;
  // Of every access to a device and every call, with its step.
  uint64_t seen_ = 0;
  uint64_t accesses_ = 0;
};

}  // namespace lockstep::riscv::testing
