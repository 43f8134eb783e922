#include "loop_runner.h"

#include <fmt/format.h>

#include "base/check.h"
#include "io/posix/anonymous_memory.h"
#include "io/posix/host_clock.h"

namespace lockstep::bench {
namespace {

// As a replica runs its machine between looks at its inbox.
constexpr uint64_t kSliceSteps = 50'000;

class EmptyBus final : public riscv::Bus {
 public:
  bool read(GuestAddress, unsigned, uint64_t&) override { return false; }
  bool write(GuestAddress, unsigned, uint64_t) override { return false; }
};

class NoEnvironment final : public riscv::EnvironmentCalls {
 public:
  void call(riscv::Hart&) override {}
};

}  // namespace

Result<LoopRun> run_loop(const Loop& loop, const riscv::EngineFactory& make_engine) {
  auto ram = posix::AnonymousMemory::create(kLoopRamBytes);
  if (!ram) return std::unexpected(ram.error());
  riscv::PhysicalMemory memory(kLoopRam, ram->bytes());
  riscv::Hart hart;
  EmptyBus bus;
  NoEnvironment environment;
  const auto engine = make_engine(hart, memory, bus, environment);

  CHECK(memory.write(kLoopRam, loop.code));
  for (const LoopData& data : loop.data) CHECK(memory.write(data.address, data.bytes));
  for (const Register& initial : loop.registers) hart.x[initial.number] = initial.value;
  hart.pc = kLoopRam.value;
  hart.sstatus |= riscv::kStatusFs;

  const HostTime start = posix::monotonic_now();
  while (!hart.waiting && hart.traps == 0 && hart.step < Step(kMaxLoopSteps)) {
    engine->run_until(hart.step + kSliceSteps);
  }
  const HostTime end = posix::monotonic_now();
  if (!hart.waiting || hart.traps != 0) {
    return fail(ErrorCode::kInvalid, "the benchmark loop did not end:", loop.name,
                fmt::format("pc {:#x}, {} traps, cause {}", hart.pc, hart.traps, hart.scause));
  }
  constexpr uint8_t kResultRegister = 10;  // a0
  return LoopRun{.steps = hart.step.value,
                 .seconds = static_cast<double>(end - start) / 1e9,
                 .result = hart.x[kResultRegister]};
}

}  // namespace lockstep::bench
