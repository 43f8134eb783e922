// Strong types for the numbers that name points in a VM's life and places in its memory.
//
// Two of them never mix: a Step minus a Step is a plain count of steps, a Step plus a Step does
// not compile.
//
// Owner: none (values).
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace lockstep {

// A position on a line that only that Tag counts. Arithmetic: position ± count, position −
// position.
template <typename Tag>
struct Ordinal {
  uint64_t value = 0;

  constexpr Ordinal() = default;
  constexpr explicit Ordinal(uint64_t v) : value(v) {}

  constexpr auto operator<=>(const Ordinal&) const = default;
  constexpr Ordinal operator+(uint64_t count) const { return Ordinal(value + count); }
  constexpr Ordinal operator-(uint64_t count) const { return Ordinal(value - count); }
  constexpr uint64_t operator-(Ordinal other) const { return value - other.value; }
  constexpr Ordinal& operator+=(uint64_t count) {
    value += count;
    return *this;
  }
  constexpr Ordinal& operator++() {
    ++value;
    return *this;
  }
};

// One retired instruction or one trap taken since power-on (design §1). Names a point of a VM's
// life exactly: "at step S" means before the S-th instruction (counting from 0) runs.
using Step = Ordinal<struct StepTag>;

// A physical address in the guest.
using GuestAddress = Ordinal<struct GuestAddressTag>;

// A generation of who is live (design §6). 0: nobody has ever been live.
using Epoch = Ordinal<struct EpochTag>;

// The sequence number of a frame of the log; "held up to P" means every frame numbered <= P.
// 0: before the first frame.
using LogPosition = Ordinal<struct LogPositionTag>;

// Guest time, in ticks of the guest's timebase (10 MHz, see riscv/guest_time.h).
using GuestTicks = Ordinal<struct GuestTicksTag>;

// Host monotonic time in nanoseconds. Never enters the machine.
using HostTime = Ordinal<struct HostTimeTag>;

// Which device of a kind: disk 0, disk 1, …; NIC 0, …; console port 0 (UART), 1 (virtio-console).
struct DeviceIndex {
  uint32_t value = 0;
  constexpr auto operator<=>(const DeviceIndex&) const = default;
};

}  // namespace lockstep

template <typename Tag>
struct std::hash<lockstep::Ordinal<Tag>> {
  size_t operator()(lockstep::Ordinal<Tag> ordinal) const noexcept {
    return std::hash<uint64_t>{}(ordinal.value);
  }
};
