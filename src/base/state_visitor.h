// One walk over a component's state serves four uses: digest, save, restore, and naming the first
// field in which two replicas differ. Every component of the machine has
//
//   void visit_state(StateVisitor& visitor);
//
// which names each field that the guest could ever observe, in a fixed order, and nothing else: no
// cache, no pointer, no host time.
//
// A visitor that restores writes through the references; the others only read. After a restore a
// component drops what it derives from its state (when visitor.restoring() is true).
//
// Owner: the vCPU thread.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/types.h"

namespace lockstep {

class StateVisitor {
 public:
  virtual ~StateVisitor() = default;

  virtual bool restoring() const { return false; }

  // Fields until the matching leave() belong to this component ("virtio-blk", 0).
  virtual void enter(std::string_view component, uint32_t index) = 0;
  virtual void leave() = 0;

  // A fixed-size run of bytes.
  virtual void raw(std::string_view name, std::span<std::byte> bytes) = 0;
  // A run whose length is state, too. Restoring resizes it, to at most `limit` bytes.
  virtual void blob(std::string_view name, std::vector<std::byte>& bytes, size_t limit) = 0;

  // A component calls it when a field that was just restored holds what cannot be: the whole
  // restore fails. The component must still be safe to destroy and to reset.
  virtual void reject(std::string_view name) { static_cast<void>(name); }

  // The length of a list whose elements follow. Returns `current`, or when restoring what was
  // saved, to which the component resizes; 0 when that is more than `limit`.
  uint64_t count(std::string_view name, uint64_t current, uint64_t limit) {
    field(name, current);
    if (current <= limit) return current;
    reject(name);
    return 0;
  }

  // A byte that is neither 0 nor 1 must not become a bool.
  void field(std::string_view name, bool& value) {
    auto byte = static_cast<uint8_t>(value);
    field(name, byte);
    if (restoring()) value = byte != 0;
  }

  template <typename T>
    requires(std::is_arithmetic_v<T> || std::is_enum_v<T>)
  void field(std::string_view name, T& value) {
    raw(name, std::as_writable_bytes(std::span(&value, 1)));
  }
  template <typename Tag>
  void field(std::string_view name, Ordinal<Tag>& value) {
    field(name, value.value);
  }
  template <typename T, size_t kCount>
    requires std::is_arithmetic_v<T>
  void field(std::string_view name, T (&values)[kCount]) {
    raw(name, std::as_writable_bytes(std::span(values)));
  }
};

}  // namespace lockstep
