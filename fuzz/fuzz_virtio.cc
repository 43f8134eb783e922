// Every device model against a hostile guest and a hostile log: the input is a script of register
// accesses, writes to guest memory and log entries. Nothing may crash, hang or write outside guest
// memory. Each script runs twice, on one board and on boards that hand over to a fresh one by save
// and restore: both must end with the same state, memory and output, so a field that visit_state
// forgets is found.
//
// The script is a run of operations, each one byte and its operands; it ends with the input.

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/state_visitors.h"
#include "devices/goldfish_rtc/goldfish_rtc.h"
#include "devices/plic/plic.h"
#include "devices/syscon/syscon.h"
#include "devices/uart16550/uart16550.h"
#include "devices/virtio/block/block.h"
#include "devices/virtio/console/console.h"
#include "devices/virtio/entropy/entropy.h"
#include "devices/virtio/mmio_transport.h"
#include "devices/virtio/net/net.h"
#include "riscv/physical_memory.h"

namespace lockstep::devices {
namespace {

constexpr GuestAddress kRamBase{0x80000000};
constexpr size_t kRamBytes = 256 * 1024;
constexpr uint64_t kDiskBytes = 64 * 1024;
constexpr size_t kMaxDiskDataBytes = 64 * 1024;
constexpr int kMaxOperations = 500;
constexpr int kMaxSaves = 4;  // they are the slow ones
constexpr uint64_t kQueueStride = 0x4000;
constexpr uint64_t kAvailableOffset = 0x1000;
constexpr uint64_t kUsedOffset = 0x2000;
constexpr uint16_t kScriptQueueSize = 8;

enum class Operation : uint8_t {
  kRead,
  kWrite,
  kWriteMemory,
  kStartDriver,
  kDescriptor,
  kMakeAvailable,
  kNotify,
  kCompleteDisk,
  kFrame,
  kConsoleInput,
  kEntropy,
  kAnnounce,
  kReset,
  kSaveAndRestore,
};
constexpr uint8_t kOperations = 14;

// Checks what leaves against the contracts of OutputSink and chains it into a hash.
class CheckingSink : public OutputSink {
 public:
  void console_output(DeviceIndex port, ByteView bytes) override { note(bytes, port.value); }
  void frame_output(DeviceIndex, ByteView frame) override {
    CHECK(frame.size() >= virtio::kEthernetHeaderBytes && frame.size() <= 1518);
    note(frame, 2);
  }
  void disk_request(DiskRequest request) override {
    CHECK(request.offset % 512 == 0 && request.length % 512 == 0);
    CHECK(request.offset <= kDiskBytes && request.length <= kDiskBytes - request.offset);
    if (request.operation == DiskOperation::kWrite) CHECK(request.data.size() == request.length);
    last_disk_request = request.request;
    last_disk_length = request.length;
    note(request.data, request.request ^ request.offset);
  }
  void entropy_request(uint32_t count) override {
    CHECK(count >= 1 && count <= virtio::Entropy::kMaxRequestBytes);
    note({}, count);
  }
  void power_request(PowerRequest request) override { note({}, static_cast<uint64_t>(request)); }

  uint64_t output_hash = 0;
  uint64_t last_disk_request = 0;
  uint64_t last_disk_length = 0;

 private:
  void note(ByteView bytes, uint64_t number) {
    output_hash = hash64(bytes, output_hash * 31 + number);
  }
};

class CountingClock : public WallClock {
 public:
  uint64_t read_ns() override { return now_ns += 1'000'000'007; }
  uint64_t now_ns = 1'700'000'000'000'000'000;
};

class LevelLine : public InterruptLine {
 public:
  void set(bool asserted) override { level = asserted; }
  bool level = false;
};

// One of each device, wired as on the board.
struct Board {
  explicit Board(riscv::PhysicalMemory& memory)
      : block_transport(memory, plic.source(1), block),
        net_transport(memory, plic.source(2), net),
        console_transport(memory, plic.source(3), console),
        entropy_transport(memory, plic.source(4), entropy) {}

  std::array<MmioDevice*, 8> devices() {
    return {&block_transport,
            &net_transport,
            &console_transport,
            &entropy_transport,
            &uart,
            &plic,
            &rtc,
            &syscon};
  }
  void visit_state(StateVisitor& visitor) {
    for (MmioDevice* device : devices()) device->visit_state(visitor);
  }

  CheckingSink sink;
  CountingClock clock;
  LevelLine hart_line;
  Plic plic{Plic::kVirtSources, {nullptr, &hart_line}};
  Uart16550 uart{DeviceIndex{0}, plic.source(10), sink};
  GoldfishRtc rtc{plic.source(11), clock};
  Syscon syscon{sink};
  virtio::Block block{{DeviceIndex{0}, kDiskBytes, false, "fuzz"}, sink};
  virtio::Net net{{DeviceIndex{0}, {std::byte{0x52}}, 1500}, sink};
  virtio::Console console{DeviceIndex{1}, sink};
  virtio::Entropy entropy{sink};
  virtio::MmioTransport block_transport;
  virtio::MmioTransport net_transport;
  virtio::MmioTransport console_transport;
  virtio::MmioTransport entropy_transport;
};

constexpr std::array<uint64_t, 8> kWindows = {virtio::MmioTransport::kWindowSize,
                                              virtio::MmioTransport::kWindowSize,
                                              virtio::MmioTransport::kWindowSize,
                                              virtio::MmioTransport::kWindowSize,
                                              Uart16550::kWindowSize,
                                              Plic::kWindowSize,
                                              GoldfishRtc::kWindowSize,
                                              Syscon::kWindowSize};

enum class HandOver : uint8_t { kNever, kWhenToldTo };

class Script {
 public:
  Script(ByteView input, HandOver hand_over) : input_(input), hand_over_(hand_over) {}

  // A digest of everything that can be seen from inside or outside at the end.
  Hash128 run() {
    for (int i = 0; i < kMaxOperations && input_.remaining() != 0; ++i) {
      step(static_cast<Operation>(input_.fixed<uint8_t>() % kOperations));
    }
    Bytes seen = saved();
    ByteWriter writer(seen);
    writer.bytes(ram_);
    writer.fixed<uint64_t>(board_->sink.output_hash);
    writer.fixed<uint64_t>(board_->clock.now_ns);
    writer.fixed<uint8_t>(board_->hart_line.level ? 1 : 0);
    return hash128(seen);
  }

 private:
  void step(Operation operation) {
    switch (operation) {
      case Operation::kRead:
      case Operation::kWrite:
        return access(operation == Operation::kWrite);
      case Operation::kWriteMemory:
        return write_memory();
      case Operation::kStartDriver:
        return start_driver();
      case Operation::kDescriptor:
        return write_descriptor();
      case Operation::kMakeAvailable:
        return make_available();
      case Operation::kNotify: {
        const size_t device = transport();
        return write_register(device, 0x50, input_.fixed<uint8_t>() % 4);
      }
      case Operation::kCompleteDisk:
        return complete_disk();
      case Operation::kFrame:
        return board_->net.receive(some_bytes(2000));
      case Operation::kConsoleInput: {
        const Bytes bytes = some_bytes(300);
        board_->uart.receive(bytes);
        return board_->console.receive(bytes);
      }
      case Operation::kEntropy:
        return board_->entropy.provide(some_bytes(300));
      case Operation::kAnnounce:
        return board_->net.announce();
      case Operation::kReset:
        for (MmioDevice* device : board_->devices()) device->reset();
        return;
      case Operation::kSaveAndRestore:
        if (hand_over_ == HandOver::kWhenToldTo && saves_++ < kMaxSaves) hand_over();
        return;
    }
  }

  // A length up to `limit`, of bytes that follow each other so that checksums vary.
  Bytes some_bytes(size_t limit) {
    const size_t size = input_.fixed<uint16_t>() % (limit + 1);
    const auto seed = input_.fixed<uint8_t>();
    Bytes bytes(size);
    for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(seed + i * 7);
    const ByteView given = input_.bytes(std::min<size_t>({size, 64, input_.remaining()}));
    std::copy(given.begin(), given.end(), bytes.begin());
    return bytes;
  }

  void access(bool is_write) {
    constexpr AccessSize kSizes[] = {AccessSize::k1, AccessSize::k2, AccessSize::k4,
                                     AccessSize::k8};
    const auto selector = input_.fixed<uint8_t>();
    const size_t index = selector % 8;
    const AccessSize size = kSizes[selector / 8 % 4];
    const uint64_t offset = input_.fixed<uint32_t>() % kWindows[index];
    MmioDevice& device = *board_->devices()[index];
    if (is_write) {
      device.write(offset, size, input_.fixed<uint32_t>());
    } else {
      device.read(offset, size);
    }
  }

  void write_memory() {
    const GuestAddress address = kRamBase + input_.fixed<uint32_t>() % kRamBytes;
    const size_t size = input_.fixed<uint8_t>() % 64;
    memory_.write(address, input_.bytes(std::min(size, input_.remaining())));
  }

  size_t transport() { return input_.fixed<uint8_t>() % 4; }

  void write_register(size_t device, uint64_t offset, uint64_t value) {
    board_->devices()[device]->write(offset, AccessSize::k4, value & 0xffffffff);
  }

  static GuestAddress queue_base(size_t device, size_t queue) {
    return kRamBase + (device * 3 + queue) * kQueueStride;
  }

  // What an honest driver does, so that scripts get past the initialisation.
  void start_driver() {
    const size_t device = transport();
    const auto features = input_.fixed<uint64_t>() | uint64_t{1} << 32;
    write_register(device, 0x70, 0);
    write_register(device, 0x70, 3);
    for (uint32_t half = 0; half < 2; ++half) {
      write_register(device, 0x14, half);
      const uint64_t offered = board_->devices()[device]->read(0x10, AccessSize::k4);
      write_register(device, 0x24, half);
      write_register(device, 0x20, offered & (features >> (32 * half)));
    }
    write_register(device, 0x70, 11);
    for (size_t queue = 0; queue < 3; ++queue) {
      const uint64_t base = queue_base(device, queue).value;
      write_register(device, 0x30, queue);
      write_register(device, 0x38, kScriptQueueSize);
      write_register(device, 0x80, base);
      write_register(device, 0x84, base >> 32);
      write_register(device, 0x90, base + kAvailableOffset);
      write_register(device, 0x94, base >> 32);
      write_register(device, 0xa0, base + kUsedOffset);
      write_register(device, 0xa4, base >> 32);
      write_register(device, 0x44, 1);
      memory_.write(GuestAddress(base), Bytes(kQueueStride));
    }
    write_register(device, 0x70, 15);
  }

  void write_descriptor() {
    const size_t device = transport();
    const auto place = input_.fixed<uint8_t>();
    const GuestAddress at = queue_base(device, place % 3) + place / 3 % 16 * uint64_t{16};
    memory_.store<uint64_t>(at, kRamBase.value + input_.fixed<uint32_t>() % (kRamBytes + 4096));
    memory_.store<uint32_t>(at + 8, input_.fixed<uint16_t>());
    const int flags = input_.fixed<uint8_t>() % 8;
    memory_.store<uint16_t>(at + 12, static_cast<uint16_t>(flags));
    const int next = input_.fixed<uint8_t>() % (kScriptQueueSize + 1);
    memory_.store<uint16_t>(at + 14, static_cast<uint16_t>(next));
  }

  void make_available() {
    const size_t device = transport();
    const size_t queue = input_.fixed<uint8_t>() % 3;
    const int head = input_.fixed<uint8_t>() % (kScriptQueueSize + 1);
    const GuestAddress available = queue_base(device, queue) + kAvailableOffset;
    const auto index = memory_.load<uint16_t>(available + 2);
    const uint64_t slot = index % kScriptQueueSize;
    memory_.store<uint16_t>(available + (4 + slot * 2), static_cast<uint16_t>(head));
    memory_.store<uint16_t>(available + 2, static_cast<uint16_t>(index + 1));
  }

  void complete_disk() {
    const auto choice = input_.fixed<uint8_t>();
    log::DiskCompletion completion;
    completion.request = board_->sink.last_disk_request - choice / 4 % 16;
    completion.status = choice % 4 == 1 ? log::DiskStatus::kIoError : log::DiskStatus::kOk;
    completion.has_data = choice % 4 != 2;
    if (completion.has_data) {
      completion.data.resize(std::min<uint64_t>(board_->sink.last_disk_length, kMaxDiskDataBytes));
    }
    board_->block.complete(completion);
  }

  Bytes saved() {
    Bytes bytes;
    StateWriter writer(bytes);
    board_->visit_state(writer);
    return bytes;
  }

  void hand_over() {
    const Bytes before = saved();
    auto next = std::make_unique<Board>(memory_);
    StateReader reader(before, "fuzz");
    next->visit_state(reader);
    CHECK(reader.finish().has_value());
    next->sink = board_->sink;
    next->clock = board_->clock;
    board_ = std::move(next);
    CHECK(saved() == before);
  }

  ByteReader input_;
  HandOver hand_over_;
  int saves_ = 0;
  Bytes ram_ = Bytes(kRamBytes);
  riscv::PhysicalMemory memory_{kRamBase, ram_};
  std::unique_ptr<Board> board_ = std::make_unique<Board>(memory_);
};

}  // namespace
}  // namespace lockstep::devices

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using lockstep::devices::HandOver;
  using lockstep::devices::Script;
  const auto input = std::as_bytes(std::span(data, size));
  const auto alone = Script(input, HandOver::kNever).run();
  const auto handed_over = Script(input, HandOver::kWhenToldTo).run();
  CHECK(alone == handed_over);
  return 0;
}
