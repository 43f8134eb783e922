// The guest's RAM, and what the engine must know of each page of it.
//
// Every write to RAM, by the hart or by a device, goes through a function here or through a host
// pointer that write_pointer() allowed. A page that anything was derived from (translated or
// decoded code, a walked page table) or whose change must be noticed is *guarded*: write_pointer()
// refuses it, so that the write comes to write(), which tells the observer.
//
// Invariants
//   1. A page with kDirty clear has not been written since clear_dirty().
//   2. While a page is guarded no host pointer to write it is cached anywhere.
//
// Owner: the vCPU thread. Units: guest physical addresses, bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/types.h"

namespace lockstep::riscv {

inline constexpr uint64_t kPageShift = 12;
inline constexpr uint64_t kPageSize = 1 << kPageShift;

// Told of writes to guarded pages, before the bytes change.
class WriteObserver {
 public:
  virtual ~WriteObserver() = default;
  // [address, address + size) lies in one page; `bytes` is what is going to stand there.
  virtual void before_code_write(GuestAddress address, size_t size) = 0;
  virtual void before_page_table_write(GuestAddress address, ByteView bytes) = 0;
};

class PhysicalMemory {
 public:
  enum Flag : uint8_t {
    kDirty = 1,      // written since the last clear_dirty()
    kCode = 2,       // the engine holds something decoded from it
    kPageTable = 4,  // the walker read a PTE from it that something is derived from
  };

  // `ram` is zeroed, page-aligned, a multiple of the page size, and outlives this.
  PhysicalMemory(GuestAddress base, std::span<std::byte> ram);

  GuestAddress base() const { return base_; }
  uint64_t size() const { return ram_.size(); }
  uint64_t page_count() const { return flags_.size(); }
  void set_observer(WriteObserver* observer) { observer_ = observer; }

  bool contains(GuestAddress address, size_t size) const {
    const uint64_t offset = address.value - base_.value;
    return offset < ram_.size() && size <= ram_.size() - offset;
  }

  // For DMA and slow paths. False, and nothing done, when the range is not all RAM.
  bool read(GuestAddress address, std::span<std::byte> out) const;
  bool write(GuestAddress address, ByteView data);

  // A little-endian number. The caller has checked contains().
  template <typename T>
  T load(GuestAddress address) const {
    T value;
    __builtin_memcpy(&value, host(address), sizeof(T));
    return value;
  }
  template <typename T>
  void store(GuestAddress address, T value) {
    write(address, std::as_bytes(std::span(&value, 1)));
  }

  // A host pointer through which the page that holds `address` may be read, and bytes within the
  // same page after it.
  const std::byte* host(GuestAddress address) const {
    return ram_.data() + (address.value - base_.value);
  }
  // A host pointer for writes that nobody needs to hear of, or nullptr while the page is guarded.
  // Marks the page dirty. Valid until the page gets guarded.
  std::byte* write_pointer(GuestAddress address);

  uint64_t page_index(GuestAddress address) const {
    return (address.value - base_.value) >> kPageShift;
  }
  GuestAddress page_address(uint64_t index) const { return base_ + (index << kPageShift); }
  bool has_flag(uint64_t page, Flag flag) const { return (flags_[page] & flag) != 0; }
  // The caller drops cached write pointers to the page when it sets kCode or kPageTable.
  void set_flag(uint64_t page, Flag flag) {
    flags_[page] = static_cast<uint8_t>(flags_[page] | flag);
  }
  void clear_flag(uint64_t page, Flag flag) {
    flags_[page] = static_cast<uint8_t>(flags_[page] & ~flag);
  }
  // Pages with kDirty, ascending; clears it. The caller drops all cached write pointers.
  std::vector<uint64_t> take_dirty_pages();

 private:
  GuestAddress base_;
  std::span<std::byte> ram_;
  std::vector<uint8_t> flags_;
  WriteObserver* observer_ = nullptr;
};

}  // namespace lockstep::riscv
