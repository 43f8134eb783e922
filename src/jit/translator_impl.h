// Internal to jit: the translator's state and the helpers that translated code calls.
#pragma once

#include <array>
#include <memory>
#include <optional>

#include "jit/block_compiler.h"
#include "jit/code_cache.h"
#include "jit/routines.h"
#include "jit/translator.h"
#include "riscv/interpreter/context.h"

namespace lockstep::jit {

// Calls into devices and into the environment run with the host's MXCSR: whatever floating point
// they do must not raise the guest's flags.
class IsolatedBus final : public riscv::Bus {
 public:
  explicit IsolatedBus(riscv::Bus& bus) : bus_(bus) {}
  bool read(GuestAddress address, unsigned size, uint64_t& value) override;
  bool write(GuestAddress address, unsigned size, uint64_t value) override;

 private:
  riscv::Bus& bus_;
};

class IsolatedEnvironment final : public riscv::EnvironmentCalls {
 public:
  explicit IsolatedEnvironment(riscv::EnvironmentCalls& environment) : environment_(environment) {}
  void call(riscv::Hart& hart) override;

 private:
  riscv::EnvironmentCalls& environment_;
};

class Translator final : public riscv::Engine, public riscv::interpreter::Translations {
 public:
  Translator(const Options& options, posix::CodeMemory memory, riscv::Hart& hart,
             riscv::PhysicalMemory& physical, riscv::Bus& bus,
             riscv::EnvironmentCalls& environment);
  ~Translator() override;

  void run_until(Step target) override;
  void request_stop() override { context_.stop = true; }
  void flush() override;
  void watch_writes_again() override { context_.mmu.drop_write_entries(); }
  riscv::EngineStatistics statistics() const override;

  bool has_code(uint64_t page) const override;
  void before_code_write(GuestAddress address, size_t size) override;

 private:
  // A page of code that is written this often without a superblock being hit gives them all up.
  static constexpr uint32_t kRetireAfterWrites = 128;
  static constexpr uint8_t kGiveUpWindowsAfter = 64;

  // What translated code calls; see Helpers.
  static Helpers helpers();
  template <typename T, bool kBoxed>
  static Helpers::Loaded load(Translator* self, uint64_t address, uint64_t site, uint64_t budget);
  template <unsigned kSize>
  static uint64_t store(Translator* self, uint64_t address, uint64_t value, uint64_t site,
                        uint64_t budget);
  static uint64_t step(Translator* self, uint64_t site, uint64_t budget);
  static uint64_t float_step(Translator* self, uint64_t site, uint64_t budget);
  static uint64_t find(Translator* self);

  void run_slice();
  bool step_by_interpreter();
  void note_window_miss(uint32_t entry);
  // The superblock at hart.pc, translated now if it is hot; 0 when there is none.
  uint32_t find_code();
  uint32_t translate(uint64_t page, uint32_t offset);
  std::optional<uint64_t> next_page();
  CodeTable* table_of(uint64_t page);
  void enter(uint32_t code);
  void settle_bank();  // before the Mmu is used
  void publish_bank();
  uint64_t begin_step(uint64_t site, uint64_t budget);  // its pc
  uint64_t outcome_of(riscv::interpreter::Context::Outcome outcome, uint64_t site);
  bool running_code_stands() const;
  void prepare_float();  // from the hart to MXCSR and fp_ready
  void absorb_flags();   // from MXCSR to the hart
  void reset_code();

  riscv::Hart& hart_;
  riscv::PhysicalMemory& memory_;
  IsolatedBus bus_;
  IsolatedEnvironment environment_;
  riscv::interpreter::Context context_;
  CodeCache cache_;
  RuntimeState& state_;
  uint32_t hot_threshold_;
  Routines routines_;
  std::unique_ptr<BlockCompiler> compiler_;
  std::unique_ptr<InstructionRun> run_;  // scratch space of translate()
  uint64_t invalidated_ = 0;             // superblocks, before the store that is under way
  riscv::EngineStatistics statistics_;
};

}  // namespace lockstep::jit
