// RAM, hart, bus and interpreter put together for tests, and the comparison that most of them need:
// how a run is cut, and what is cached, must not matter.
//
// Owner: the test.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/types.h"
#include "riscv/interpreter/interpreter.h"
#include "riscv/testing/assembler.h"
#include "riscv/testing/page_tables.h"

namespace lockstep::riscv::testing {

inline constexpr GuestAddress kRamBase{0x80000000};

// One device: a window of 4 KiB.
class TestBus final : public Bus {
 public:
  static constexpr GuestAddress kDevice{0x10000000};

  bool read(GuestAddress address, unsigned size, uint64_t& value) override;
  bool write(GuestAddress address, unsigned size, uint64_t value) override;

  std::function<uint64_t(uint64_t offset)> on_read;
  std::function<void(uint64_t offset, uint64_t value)> on_write;
};

// What an ecall from S-mode reaches: a function, or nothing.
class TestEnvironment final : public EnvironmentCalls {
 public:
  void call(Hart& hart) override {
    if (on_call) on_call(hart);
  }
  std::function<void(Hart&)> on_call;
};

class TestGuest {
 private:
  Bytes storage_;

 public:
  static constexpr uint64_t kPages = 256;

  // The layout that tests share; pages elsewhere are theirs.
  static constexpr GuestAddress kCode = kRamBase;
  static constexpr GuestAddress kHandler = kRamBase + 0x10000;  // spins
  static constexpr GuestAddress kData = kRamBase + 0x20000;
  static constexpr GuestAddress kTables = kRamBase + 0x40000;

  // S-mode, bare, at kCode, with stvec at kHandler.
  explicit TestGuest(uint64_t pages = kPages, const EngineFactory& make_engine = make_interpreter);

  void put(const Assembler& code) { memory.write(code.start(), code.bytes()); }
  void run(uint64_t steps) { engine->run_until(hart.step + steps); }
  // Everything that a guest can observe.
  Bytes state();

  std::span<std::byte> ram;
  PhysicalMemory memory;
  Hart hart;
  TestBus bus;
  TestEnvironment environment;
  std::unique_ptr<Engine> engine;
};

// The first field or byte of RAM in which two guests differ, with both values; empty if none.
std::string first_difference_of(TestGuest& left, TestGuest& right);

// Runs the guest that `set_up` makes for `steps` steps in one run, step by step, in random pieces,
// and step by step with a flush of all derived state before each; fails the test when they do not
// end in the same state. Gives the first of them.
std::unique_ptr<TestGuest> run_every_way(uint64_t steps,
                                         const std::function<void(TestGuest&)>& set_up);

}  // namespace lockstep::riscv::testing
