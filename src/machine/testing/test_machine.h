// A machine with its RAM and an outside that notes everything, for tests.
//
// Owner: the test.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "io/posix/anonymous_memory.h"
#include "machine/machine.h"

namespace lockstep::machine::testing {

struct OutputNote {
  Step step;
  DeviceIndex device;
  uint64_t number = 0;
  Bytes bytes;
  bool operator==(const OutputNote&) const = default;
};

class NotingOutside : public Outside {
 public:
  void console_output(Step step, DeviceIndex port, uint64_t offset, ByteView bytes) override {
    console.push_back({step, port, offset, Bytes(bytes.begin(), bytes.end())});
    if (on_output) on_output();
  }
  void frame_output(Step step, DeviceIndex nic, uint64_t index, ByteView frame) override {
    frames.push_back({step, nic, index, Bytes(frame.begin(), frame.end())});
    if (on_output) on_output();
  }
  void disk_request(devices::DiskRequest request) override {
    disk_requests.push_back(std::move(request));
  }
  void entropy_request(uint32_t count) override { entropy_requests.push_back(count); }
  uint64_t wall_clock_ns(Step step) override {
    clock_reads.push_back(step);
    return clock ? clock(step) : 0;
  }

  std::vector<OutputNote> console;
  std::vector<OutputNote> frames;
  std::vector<devices::DiskRequest> disk_requests;
  std::vector<uint32_t> entropy_requests;
  std::vector<Step> clock_reads;
  std::function<uint64_t(Step)> clock;
  std::function<void()> on_output;
};

// A boot file in memory, which a test may change or take away.
class MemoryBootSource : public BootFileSource {
 public:
  explicit MemoryBootSource(Bytes contents) : bytes(std::move(contents)) {}
  Result<Bytes> read() override { return bytes; }
  const std::string& name() const override { return name_; }

  Result<Bytes> bytes;

 private:
  std::string name_ = "kernel in memory";
};

class TestMachine {
 public:
  static constexpr uint64_t kLoadOffset = 2 << 20;  // where the kernel goes in RAM

  // One disk, one NIC, the least RAM.
  static BoardDescription board_of(const Bytes& kernel_image,
                                   riscv::IsaExtensions isa = riscv::kAllExtensions,
                                   std::shared_ptr<MemoryBootSource> source = nullptr) {
    BoardDescription board;
    board.isa = isa;
    board.memory_bytes = kMinMemory;
    board.disks.push_back({uint64_t{1} << 20, false, "test"});
    board.nics.push_back({});
    board.kernel_text_offset = kLoadOffset;
    board.kernel_image_size = kernel_image.size();
    if (source == nullptr) source = std::make_shared<MemoryBootSource>(kernel_image);
    board.kernel = BootFile(kernel_image, std::move(source));
    return board;
  }

  // What a restart reads again.
  std::shared_ptr<MemoryBootSource> kernel;

  explicit TestMachine(const Bytes& kernel_image, riscv::IsaExtensions isa = riscv::kAllExtensions,
                       const EngineChoice& engine = {})
      : kernel(std::make_shared<MemoryBootSource>(kernel_image)),
        ram_(posix::AnonymousMemory::create(kMinMemory).value()) {
    Result<std::unique_ptr<Machine>> made =
        Machine::create(board_of(kernel_image, isa, kernel), ram_.bytes(), outside, engine);
    CHECK(made.has_value());
    machine = std::move(*made);
  }

  // At the machine's step.
  Status apply(log::Payload payload) {
    return machine->apply({machine->step(), std::move(payload)});
  }

 private:
  posix::AnonymousMemory ram_;

 public:
  NotingOutside outside;
  std::unique_ptr<Machine> machine;
};

}  // namespace lockstep::machine::testing
