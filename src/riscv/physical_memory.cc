#include "riscv/physical_memory.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace lockstep::riscv {

PhysicalMemory::PhysicalMemory(GuestAddress base, std::span<std::byte> ram)
    : base_(base), ram_(ram), flags_(ram.size() >> kPageShift, 0) {
  CHECK(base.value % kPageSize == 0);
  CHECK(ram.size() % kPageSize == 0);
  CHECK(ram.size() <= ~uint64_t{0} - base.value);
}

bool PhysicalMemory::read(GuestAddress address, std::span<std::byte> out) const {
  if (!contains(address, out.size())) return false;
  if (!out.empty()) std::memcpy(out.data(), host(address), out.size());
  return true;
}

bool PhysicalMemory::write(GuestAddress address, ByteView data) {
  if (!contains(address, data.size())) return false;
  while (!data.empty()) {
    const uint64_t page = page_index(address);
    const uint64_t room_in_page = kPageSize - ((address.value - base_.value) & (kPageSize - 1));
    const size_t size = static_cast<size_t>(std::min<uint64_t>(data.size(), room_in_page));
    // The observer may clear the flags it is told about, so each is looked at afresh.
    if (observer_ != nullptr) {
      if (has_flag(page, kCode)) observer_->before_code_write(address, size);
      if (has_flag(page, kPageTable)) {
        observer_->before_page_table_write(address, data.first(size));
      }
    }
    std::memcpy(ram_.data() + (address.value - base_.value), data.data(), size);
    set_flag(page, kDirty);
    address += size;
    data = data.subspan(size);
  }
  return true;
}

std::byte* PhysicalMemory::write_pointer(GuestAddress address) {
  const uint64_t page = page_index(address);
  if (has_flag(page, kCode) || has_flag(page, kPageTable)) return nullptr;
  set_flag(page, kDirty);
  return ram_.data() + (address.value - base_.value);
}

std::vector<uint64_t> PhysicalMemory::take_dirty_pages() {
  std::vector<uint64_t> pages;
  for (uint64_t page = 0; page < flags_.size(); ++page) {
    if (!has_flag(page, kDirty)) continue;
    pages.push_back(page);
    clear_flag(page, kDirty);
  }
  return pages;
}

}  // namespace lockstep::riscv
