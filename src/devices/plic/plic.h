// The platform-level interrupt controller, as SiFive's and as QEMU's `virt` board has it.
//
// Sources are level-triggered wires. A source's gateway forwards one request at a time: after a
// claim, the source is pending again only once its handler has completed it and the wire is still
// asserted. A context is one hart in one privilege mode; it is told through an InterruptLine
// whether an enabled source with a priority above its threshold is pending.
//
// Which contexts exist is the board's choice: it passes one line per context, nullptr for a context
// that has registers but is wired to nothing (the M-mode contexts of a board without M-mode).
//
// The levels of the source wires are part of this state: after a restore the devices do not drive
// their lines again.
//
// Invariants
//   1. Source 0 does not exist: never pending, never enabled.
//   2. A source whose wire is asserted is pending or claimed.
//   3. Each context's line is what eligible_source() says.
//
// Owner: the vCPU thread. Source: RISC-V Platform-Level Interrupt Controller Specification 1.0.0.
#pragma once

#include <array>
#include <vector>

#include "devices/device.h"

namespace lockstep::devices {

class Plic : public MmioDevice {
 public:
  static constexpr uint64_t kWindowSize = 0x600000;
  static constexpr uint32_t kMaxSources = 1023;    // §1.1
  static constexpr uint32_t kVirtSources = 95;     // riscv,ndev of QEMU's `virt`
  static constexpr uint32_t kMaxContexts = 15872;  // §1.1
  static constexpr uint32_t kMaxPriority = 7;

  // Sources are numbered 1 to `source_count`.
  Plic(uint32_t source_count, std::vector<InterruptLine*> context_lines);
  Plic(const Plic&) = delete;
  Plic& operator=(const Plic&) = delete;

  // The wire of a source; lives as long as this.
  InterruptLine& source(uint32_t number);

  // Registers are 4 bytes wide and aligned; other accesses read zero and write nothing.
  uint64_t read(uint64_t offset, AccessSize size) override;
  void write(uint64_t offset, AccessSize size, uint64_t value) override;
  // The wires are taken to be deasserted: a board resets its devices together, in any order.
  void reset() override;
  void visit_state(StateVisitor& visitor) override;

 private:
  static constexpr uint32_t kWords = (kMaxSources + 1) / 32;
  using SourceSet = std::array<uint32_t, kWords>;

  class SourceLine : public InterruptLine {
   public:
    SourceLine(Plic& plic, uint32_t number) : plic_(plic), number_(number) {}
    void set(bool asserted) override { plic_.set_level(number_, asserted); }

   private:
    Plic& plic_;
    uint32_t number_;
  };

  struct Context {
    InterruptLine* line = nullptr;
    uint32_t threshold = 0;
    SourceSet enabled{};
  };

  bool exists(uint32_t source) const { return source != 0 && source < priority_.size(); }
  void set_level(uint32_t source, bool asserted);
  uint32_t eligible_source(const Context& context, uint32_t threshold) const;
  uint32_t claim(Context& context);
  void complete(const Context& context, uint32_t source);
  void update_lines();
  uint32_t implemented_mask(uint32_t word) const;
  uint32_t read_register(uint64_t offset);
  void write_register(uint64_t offset, uint32_t value);

  std::vector<SourceLine> lines_;
  std::vector<uint32_t> priority_;  // by source
  SourceSet level_{};
  SourceSet pending_{};
  SourceSet claimed_{};
  std::vector<Context> contexts_;
};

}  // namespace lockstep::devices
