// How each kind of log entry enters the machine. What the machine cannot take is refused, never
// guessed at: the log comes from a peer or a file.
#include <fmt/format.h>
#include <variant>

#include "machine/machine_impl.h"

namespace lockstep::machine {

Status Machine::Impl::refuse(const log::Entry& entry, std::string reason) const {
  return fail(
      ErrorCode::kDiverged,
      fmt::format("the machine cannot take the {} entry of step", log::to_string(entry.kind())),
      fmt::format("{}", entry.step.value), std::move(reason));
}

Status Machine::Impl::apply(const log::Entry& entry) {
  if (restart_error_) return std::unexpected(*restart_error_);
  if (entry.step != hart_.step) {
    return refuse(entry, fmt::format("the machine is at step {}", hart_.step.value));
  }
  const Status applied = std::visit(
      [&](const auto& payload) -> Status {
        using Kind = std::decay_t<decltype(payload)>;
        if constexpr (std::is_same_v<Kind, log::TimeAnchor> || std::is_same_v<Kind, log::Warp>) {
          return apply_time(entry, payload.ticks, payload.rate_q32);
        } else if constexpr (std::is_same_v<Kind, log::FrameIn>) {
          return apply_frame(entry, payload);
        } else if constexpr (std::is_same_v<Kind, log::DiskCompletion>) {
          return apply_disk(entry, payload);
        } else if constexpr (std::is_same_v<Kind, log::ConsoleInput>) {
          return apply_console(entry, payload);
        } else if constexpr (std::is_same_v<Kind, log::Entropy>) {
          return apply_entropy(entry, payload);
        } else if constexpr (std::is_same_v<Kind, log::WallClockRead>) {
          wall_clock_step_ = entry.step;
          wall_clock_ns_ = payload.nanoseconds;
          return {};
        } else if constexpr (std::is_same_v<Kind, log::Control>) {
          return apply_control(entry, payload.operation);
        } else if constexpr (std::is_same_v<Kind, log::Digest>) {
          return apply_digest(entry, payload);
        } else {
          static_assert(std::is_same_v<Kind, log::Horizon>);
          return {};
        }
      },
      entry.payload);
  hart_.wake_if_pending();
  return applied;
}

Status Machine::Impl::apply_time(const log::Entry& entry, GuestTicks ticks, uint64_t rate_q32) {
  if (ticks < hart_.time.at(hart_.step)) return refuse(entry, "guest time would go backwards");
  if (rate_q32 < riscv::kMinRateQ32 || rate_q32 > riscv::kMaxRateQ32) {
    return refuse(entry, fmt::format("a rate of {} is out of range", rate_q32));
  }
  hart_.time.set_anchor(hart_.step, ticks, rate_q32);
  return {};
}

Status Machine::Impl::apply_frame(const log::Entry& entry, const log::FrameIn& frame) {
  if (frame.nic.value >= nics_.size()) return refuse(entry, "there is no such NIC");
  ++inputs_applied_;
  nics_[frame.nic.value]->receive(frame.frame);
  return {};
}

Status Machine::Impl::apply_disk(const log::Entry& entry, const log::DiskCompletion& completion) {
  if (completion.disk.value >= disks_.size()) return refuse(entry, "there is no such disk");
  devices::virtio::Block& disk = *disks_[completion.disk.value];
  if (!disk.awaits(completion.request)) {
    return refuse(entry, fmt::format("request {} of disk {} is not in flight", completion.request,
                                     completion.disk.value));
  }
  disk.complete(completion);
  return {};
}

Status Machine::Impl::apply_entropy(const log::Entry& entry, const log::Entropy& answer) {
  if (!entropy_.awaits_answer()) return refuse(entry, "no entropy was asked for");
  entropy_.provide(answer.bytes);
  return {};
}

Status Machine::Impl::apply_console(const log::Entry& entry, const log::ConsoleInput& input) {
  if (input.port != kUartPort && input.port != kVirtioConsolePort) {
    return refuse(entry, "there is no such console port");
  }
  ++inputs_applied_;
  if (input.port == kUartPort) {
    uart_.receive(input.bytes);
  } else {
    console_.receive(input.bytes);
  }
  return {};
}

Status Machine::Impl::apply_control(const log::Entry& entry, log::ControlOperation operation) {
  switch (operation) {
    case log::ControlOperation::kPowerOff:
      power_ = PowerState::kOff;
      return {};
    case log::ControlOperation::kReset:
      return restart();
    case log::ControlOperation::kFailover:
      return {};  // the replicas' business
  }
  return refuse(entry, "there is no such control operation");
}

Status Machine::Impl::apply_digest(const log::Entry& entry, const log::Digest& expected) {
  const Hash128 actual = digest();
  if (actual == expected.value) return {};
  return refuse(entry,
                fmt::format("the state's digest is {:016x}{:016x}, the log says {:016x}{:016x}",
                            actual.high, actual.low, expected.value.high, expected.value.low));
}

}  // namespace lockstep::machine
