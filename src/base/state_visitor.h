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
