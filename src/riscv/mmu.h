// Address translation: Sv39 with Svade, and a coherent TLB.
//
// The guest sees every access walk the page tables as they stand. The TLB is invisible: a PTE that
// an entry was derived from lies in a guarded page (PhysicalMemory::kPageTable), and a store that
// changes it drops the entry before the store takes effect. So sfence.vma does nothing, a write to
// satp selects among address spaces that stay warm, and flushing anything at any time changes
// nothing but speed.
//
// Invariants
//   1. No invalid PTE is cached.
//   2. Every cached entry equals what a walk at this moment gives.
//   3. The walker writes no guest memory: A = 0, or D = 0 on a store, is a page fault (Svade).
//   4. No entry holds a host pointer for writing to a guarded page.
//
// Owner: the vCPU thread. Source: RISC-V privileged specification, "Sv39" and "Svade".
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "riscv/hart.h"
#include "riscv/physical_memory.h"
#include "riscv/tlb.h"

namespace lockstep::riscv {

enum class Access : uint8_t { kFetch, kLoad, kStore };

// Either an address or the cause of the fault.
struct Translation {
  std::optional<Cause> fault;
  GuestAddress address;
  GuestAddress pte;  // leaf; 0 in bare mode
};

struct MmuStatistics {
  uint64_t walks = 0;
  uint64_t page_table_writes = 0;
  uint64_t address_space_flushes = 0;
  uint64_t pages_retired = 0;
};

class Mmu {
 public:
  // Address spaces kept warm side by side, least recently used first out.
  static constexpr size_t kAddressSpaces = 8;
  // A page that takes this many slow writes is given up as a page table until it is walked again.
  static constexpr uint16_t kRetireAfterWrites = 1024;

  Mmu(const Hart& hart, PhysicalMemory& memory);

  // Call after satp, privilege, SUM or MXR changed: chooses the bank that serves accesses from now
  // on.
  void select_bank();
  TlbBank& bank() { return *bank_; }
  // Of the address space in use: those of S-mode without and with SUM.
  TlbBank& supervisor_bank() { return space_->banks[kSupervisorRight]; }
  TlbBank& sum_bank() { return space_->banks[kSupervisorSumRight]; }

  // Walks; fills nothing.
  Translation translate(uint64_t address, Access access);

  // Translates and fills the entry of the current bank, when the address is RAM and may be cached.
  // The result is valid either way.
  Translation fill_data(uint64_t address, Access access);
  Translation fill_fetch(uint64_t address);

  // A store is about to change bytes of a guarded page-table page.
  void before_page_table_write(GuestAddress address, ByteView bytes);

  // Guards a page (kCode or kPageTable) and drops the host pointers by which it could be written.
  void guard(uint64_t page, PhysicalMemory::Flag flag);
  // Drops every host pointer for writing, so that the next write to a page is seen.
  void drop_write_entries();
  void flush();
  // What fetch entries name as the code of a page until the engine says otherwise.
  void set_no_code(const uint32_t* no_code) { no_code_ = no_code; }
  void drop_fetch_entries();

  const MmuStatistics& statistics() const { return statistics_; }

 private:
  enum Right : size_t { kUserRight, kSupervisorRight, kSupervisorSumRight, kRights };

  struct AddressSpace {
    uint64_t satp = 0;
    bool used = false;
    bool empty = true;  // nothing was filled since the last flush
    uint64_t last_use = 0;
    TlbBank banks[kRights];
  };

  // Which entries can write to a page through the TLB: none, one known slot, or several.
  static constexpr uint32_t kNoWriter = 0;
  static constexpr uint32_t kSeveralWriters = ~uint32_t{0};

  Translation walk(uint64_t address, Access access);
  bool permits(uint64_t pte, Access access) const;
  AddressSpace& address_space(uint64_t satp);
  void note_walked(GuestAddress pte, bool leaf_of_superpage, bool pointer);
  void note_leaf(GuestAddress pte, uint64_t address);
  void note_writer(uint64_t page, uint32_t slot);
  void drop_derived(GuestAddress pte, uint64_t old_value);
  void drop_leaf(GuestAddress pte);
  void flush_users_of(uint64_t page);
  void flush_space(AddressSpace& space);
  void retire_page_table(uint64_t page);
  // Of an entry of the bank in use: 1 + (space, right, index), so that 0 is free for "none".
  uint32_t slot_of(size_t index) const;

  const Hart& hart_;
  PhysicalMemory& memory_;
  std::unique_ptr<AddressSpace[]> spaces_;
  AddressSpace* space_;
  TlbBank* bank_;
  uint64_t use_clock_ = 0;
  bool mxr_ = false;
  const uint32_t* no_code_ = nullptr;
  // Per page of RAM. upper_users_: a bit for each address space whose entries came through a
  // pointer or superpage PTE in it.
  std::vector<uint8_t> upper_users_;
  // Of a page of leaf PTEs: the same for entries that came through one of them, and the bits of
  // their virtual page number above the leaf's index, as far as the TLB's index has them.
  static constexpr uint8_t kSeveralRegions = 0xff;
  struct LeafUse {
    uint8_t users = 0;
    uint8_t region = 0;
  };
  std::vector<LeafUse> leaf_use_;
  std::vector<uint16_t> table_writes_;
  std::vector<uint32_t> writer_;
  MmuStatistics statistics_;
};

}  // namespace lockstep::riscv
