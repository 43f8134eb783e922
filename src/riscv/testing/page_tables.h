// Sv39 page tables in a test guest's RAM.
//
// Owner: the test. Source: RISC-V privileged specification, "Sv39".
#pragma once

#include <cstdint>

#include "base/types.h"
#include "riscv/physical_memory.h"

namespace lockstep::riscv::testing {

inline constexpr uint64_t kPteValid = 1;
inline constexpr uint64_t kPteRead = 2;
inline constexpr uint64_t kPteWrite = 4;
inline constexpr uint64_t kPteExecute = 8;
inline constexpr uint64_t kPteUser = 16;
inline constexpr uint64_t kPteAccessed = 64;
inline constexpr uint64_t kPteDirty = 128;
// Supervisor pages with A and D set.
inline constexpr uint64_t kReadWrite = kPteValid | kPteRead | kPteWrite | kPteAccessed | kPteDirty;
inline constexpr uint64_t kReadExecute = kPteValid | kPteRead | kPteExecute | kPteAccessed;
inline constexpr uint64_t kAllRights = kReadWrite | kPteExecute;

uint64_t make_pte(GuestAddress target, uint64_t flags);
uint64_t make_satp(GuestAddress root);

class PageTables {
 public:
  // Takes pages for tables from `first_page` on, and writes them by `memory`. The first is the
  // root.
  PageTables(PhysicalMemory& memory, GuestAddress first_page)
      : memory_(memory), root_(first_page), next_page_(first_page + kPageSize) {}

  // `level` 0: a page, 1: 2 MiB, 2: 1 GiB. Tables on the way are made where there are none.
  void map(uint64_t virtual_address, GuestAddress target, uint64_t flags, unsigned level = 0);
  // Where the PTE stands that maps the address at this level. The tables above it exist.
  GuestAddress pte_place(uint64_t virtual_address, unsigned level = 0) const;

  uint64_t satp() const { return make_satp(root_); }
  GuestAddress root() const { return root_; }
  GuestAddress next_page() const { return next_page_; }

 private:
  PhysicalMemory& memory_;
  GuestAddress root_;
  GuestAddress next_page_;
};

}  // namespace lockstep::riscv::testing
