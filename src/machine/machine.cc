#include "machine/machine.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <fmt/format.h>
#include <utility>

#include "base/check.h"
#include "base/state_visitors.h"
#include "machine/machine_impl.h"
#include "riscv/interpreter/interpreter.h"

namespace lockstep::machine {
namespace {

constexpr uint64_t kAddressesPerMegabyte = uint64_t{1} << 20;

Status check_board(const BoardDescription& board) {
  if (board.memory_bytes < kMinMemory || board.memory_bytes > kMaxMemory ||
      board.memory_bytes % riscv::kPageSize != 0) {
    return fail(ErrorCode::kInvalid, "the guest cannot have this much memory:",
                fmt::format("{} bytes", board.memory_bytes),
                fmt::format("give it {} to {} MiB", kMinMemory / kAddressesPerMegabyte,
                            kMaxMemory / kAddressesPerMegabyte));
  }
  constexpr size_t kFixedSlots = 2;  // console and entropy
  if (board.disks.size() + board.nics.size() + kFixedSlots > kVirtioSlots) {
    return fail(ErrorCode::kInvalid, "the board has no slot for so many disks and NICs:",
                fmt::format("{} disks, {} NICs", board.disks.size(), board.nics.size()),
                fmt::format("at most {} together", kVirtioSlots - kFixedSlots));
  }
  return {};
}

}  // namespace

Machine::Impl::Impl(BoardDescription board, std::span<std::byte> ram, Outside& outside)
    : board_(std::move(board)),
      ram_(ram),
      outside_(outside),
      memory_(kRamBase, ram),
      sbi_(memory_, *this),
      memory_digest_(memory_.page_count()),
      hart_line_(hart_),
      plic_(devices::Plic::kVirtSources, {nullptr, &hart_line_}),
      uart_(kUartPort, plic_.source(kUartInterrupt), *this),
      rtc_(plic_.source(kRtcInterrupt), *this),
      syscon_(*this),
      console_(kVirtioConsolePort, *this),
      entropy_(*this),
      frames_sent_(board_.nics.size()) {
  windows_ = {{kSysconBase, devices::Syscon::kWindowSize, &syscon_},
              {kRtcBase, devices::GoldfishRtc::kWindowSize, &rtc_},
              {kPlicBase, devices::Plic::kWindowSize, &plic_},
              {kUartBase, devices::Uart16550::kWindowSize, &uart_}};
  for (uint32_t i = 0; i < board_.disks.size(); ++i) {
    const DiskDescription& disk = board_.disks[i];
    disks_.push_back(std::make_unique<devices::virtio::Block>(
        devices::virtio::Block::Configuration{DeviceIndex{i}, disk.bytes, disk.read_only,
                                              disk.serial},
        *this));
    add_virtio(*disks_.back());
  }
  for (uint32_t i = 0; i < board_.nics.size(); ++i) {
    devices::virtio::Net::Configuration configuration;
    configuration.nic = DeviceIndex{i};
    configuration.mac = board_.nics[i].mac;
    nics_.push_back(std::make_unique<devices::virtio::Net>(configuration, *this));
    add_virtio(*nics_.back());
  }
  add_virtio(console_);
  add_virtio(entropy_);
}

devices::virtio::MmioTransport& Machine::Impl::add_virtio(devices::virtio::Model& model) {
  const auto slot = static_cast<uint32_t>(slots_.size());
  slots_.push_back(std::make_unique<devices::virtio::MmioTransport>(
      memory_, plic_.source(kVirtioFirstInterrupt + slot), model));
  windows_.push_back({kVirtioBase + slot * kVirtioStride,
                      devices::virtio::MmioTransport::kWindowSize, slots_.back().get()});
  return *slots_.back();
}

Status Machine::Impl::make_engine(const EngineChoice& choice) {
  engine_kind_ = choice.kind;
  if (choice.kind == EngineKind::kInterpreter) {
    engine_ = riscv::make_interpreter(hart_, memory_, *this, sbi_);
    return {};
  }
  auto translator = jit::make_translator(choice.translator, hart_, memory_, *this, sbi_);
  if (!translator) return std::unexpected(translator.error());
  engine_ = std::move(*translator);
  return {};
}

Status Machine::Impl::power_on() {
  Result<BootPlan> plan = plan_boot(board_, static_cast<uint32_t>(slots_.size()));
  if (!plan) return std::unexpected(plan.error());
  boot_plan_ = std::move(*plan);
  return load_boot(board_, boot_plan_, memory_, hart_);
}

// A page that is zero stays untouched: one that the guest never used takes no memory of the host.
void Machine::Impl::clear_ram() {
  static constexpr std::array<std::byte, riscv::kPageSize> kZeroes{};
  for (uint64_t page = 0; page < memory_.page_count(); ++page) {
    const auto bytes = ram_.subspan(page * riscv::kPageSize, riscv::kPageSize);
    if (std::memcmp(bytes.data(), kZeroes.data(), bytes.size()) == 0) continue;
    std::ranges::fill(bytes, std::byte{0});
    memory_.set_flag(page, riscv::PhysicalMemory::kDirty);
  }
}

// The power-on state again; steps, guest time and the numbers of outputs and inputs go on.
Status Machine::Impl::restart() {
  restart_wanted_ = false;
  for (const Window& window : windows_) window.device->reset();
  riscv::Hart fresh;
  fresh.step = hart_.step;
  fresh.traps = hart_.traps;
  fresh.time = hart_.time;
  hart_ = fresh;
  clear_ram();
  engine_->flush();
  Status loaded = load_boot(board_, boot_plan_, memory_, hart_);
  if (!loaded) {
    loaded.error().what = "the guest cannot restart: " + loaded.error().what;
    restart_error_ = loaded.error();
  }
  return loaded;
}

Result<StopReason> Machine::Impl::run_until(Step target) {
  if (restart_error_) return std::unexpected(*restart_error_);
  interrupted_ = false;
  while (power_ == PowerState::kOn) {
    if (hart_.step >= target) return StopReason::kReached;
    engine_->run_until(target);
    if (restart_wanted_) {
      if (Status restarted = restart(); !restarted) return std::unexpected(restarted.error());
      continue;
    }
    if (power_ != PowerState::kOn) break;
    if (hart_.waiting) return StopReason::kWaiting;
    if (std::exchange(interrupted_, false) && hart_.step < target) return StopReason::kInterrupted;
  }
  return StopReason::kPoweredOff;
}

const Machine::Impl::Window* Machine::Impl::find_window(GuestAddress address, unsigned size) const {
  for (const Window& window : windows_) {
    if (address >= window.base && address - window.base + size <= window.size) return &window;
  }
  return nullptr;
}

bool Machine::Impl::read(GuestAddress address, unsigned size, uint64_t& value) {
  const Window* window = find_window(address, size);
  if (window == nullptr) return false;
  value = window->device->read(address - window->base, static_cast<devices::AccessSize>(size));
  return true;
}

bool Machine::Impl::write(GuestAddress address, unsigned size, uint64_t value) {
  const Window* window = find_window(address, size);
  if (window == nullptr) return false;
  window->device->write(address - window->base, static_cast<devices::AccessSize>(size), value);
  return true;
}

void Machine::Impl::system_reset(riscv::SbiReset reset) {
  switch (reset) {
    case riscv::SbiReset::kShutdown:
      return power_request(devices::PowerRequest::kPowerOff);
    case riscv::SbiReset::kReboot:
      return power_request(devices::PowerRequest::kReset);
    case riscv::SbiReset::kFailure:
      return power_request(devices::PowerRequest::kFailure);
  }
}

void Machine::Impl::power_request(devices::PowerRequest request) {
  if (request == devices::PowerRequest::kReset) restart_wanted_ = true;
  if (request == devices::PowerRequest::kPowerOff) power_ = PowerState::kOff;
  if (request == devices::PowerRequest::kFailure) power_ = PowerState::kFailed;
  engine_->request_stop();
}

void Machine::Impl::console_output(DeviceIndex port, ByteView bytes) {
  outside_.console_output(hart_.step, port, console_bytes_[port.value], bytes);
  console_bytes_[port.value] += bytes.size();
}

void Machine::Impl::frame_output(DeviceIndex nic, ByteView frame) {
  outside_.frame_output(hart_.step, nic, frames_sent_[nic.value]++, frame);
}

void Machine::Impl::disk_request(devices::DiskRequest request) {
  outside_.disk_request(std::move(request));
}

uint64_t Machine::Impl::read_ns() {
  if (std::exchange(wall_clock_step_, std::nullopt) == hart_.step) return wall_clock_ns_;
  return outside_.wall_clock_ns(hart_.step);
}

Hash128 Machine::Impl::digest() {
  memory_digest_.update(memory_);
  engine_->watch_writes_again();
  Bytes state;
  StateWriter writer(state);
  visit_state(writer);
  ByteWriter(state).fixed(memory_digest_.value());
  return hash128(state);
}

void Machine::Impl::visit_state(StateVisitor& visitor) {
  hart_.visit_state(visitor);
  for (const Window& window : windows_) window.device->visit_state(visitor);
  visitor.enter("machine", 0);
  visitor.field("power", power_);
  for (uint64_t& bytes : console_bytes_) visitor.field("console_bytes", bytes);
  for (uint64_t& frames : frames_sent_) visitor.field("frames_sent", frames);
  visitor.field("inputs_applied", inputs_applied_);
  visitor.leave();
}

Machine::Machine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {
}
Machine::~Machine() = default;

Result<std::unique_ptr<Machine>> Machine::create(BoardDescription board, std::span<std::byte> ram,
                                                 Outside& outside, const EngineChoice& engine) {
  if (Status checked = check_board(board); !checked) return std::unexpected(checked.error());
  CHECK(ram.size() == board.memory_bytes);
  auto impl = std::make_unique<Impl>(std::move(board), ram, outside);
  if (Status status = impl->make_engine(engine); !status) return std::unexpected(status.error());
  if (Status status = impl->power_on(); !status) return std::unexpected(status.error());
  return std::unique_ptr<Machine>(new Machine(std::move(impl)));
}

Result<StopReason> Machine::run_until(Step target) {
  return impl_->run_until(target);
}
Status Machine::apply(const log::Entry& entry) {
  return impl_->apply(entry);
}
Step Machine::step() const {
  return impl_->hart_.step;
}
bool Machine::waiting() const {
  return impl_->hart_.waiting;
}
PowerState Machine::power() const {
  return impl_->power_;
}
GuestTicks Machine::guest_time() const {
  return impl_->hart_.time.at(impl_->hart_.step);
}
uint64_t Machine::time_rate_q32() const {
  return impl_->hart_.time.rate_q32();
}
uint64_t Machine::inputs_applied() const {
  return impl_->inputs_applied_;
}
uint64_t Machine::traps() const {
  return impl_->hart_.traps;
}
Hash128 Machine::digest() {
  return impl_->digest();
}
void Machine::visit_state(StateVisitor& visitor) {
  impl_->visit_state(visitor);
}
ByteView Machine::ram() const {
  return impl_->ram_;
}
const BoardDescription& Machine::board() const {
  return impl_->board_;
}
EngineReport Machine::engine_report() const {
  return {impl_->engine_kind_, impl_->engine_->statistics()};
}
void Machine::flush_derived_state() {
  impl_->engine_->flush();
}

std::optional<GuestTicks> Machine::timer_deadline() const {
  const riscv::Hart& hart = impl_->hart_;
  if ((hart.sie & riscv::kTimerInterrupt) == 0 || hart.stimecmp.value == ~uint64_t{0}) {
    return std::nullopt;
  }
  return hart.stimecmp;
}

void Machine::interrupt() {
  impl_->interrupted_ = true;
  impl_->engine_->request_stop();
}

}  // namespace lockstep::machine
