// Where translated code lies, and how it is found.
//
// Each physical page of guest code has a table with one word for each halfword: the address of the
// superblock that starts there, or of the code that says "not translated". From another page a
// superblock is reached through its word, by the fetch part of the TLB, which holds a pointer to
// the table. Jumps within a page lead to it directly (link.h): they are turned to it when it is
// made and back to their stubs when it is dropped.
//
// The space is a ring of regions. When it is full, the region that comes next gives up its
// superblocks: a store for each.
//
// Invariants
//   1. A word of a table is the address of a whole superblock translated from the bytes that stand
//      in the page now, or not_translated().
//   2. A page with a superblock, or with a part of one, is guarded (PhysicalMemory::kCode) by
//      whoever put it in.
//   3. Nothing in a region is written while code of that region may run or return.
//
// Owner: the vCPU thread. Internal to jit.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/error.h"
#include "io/posix/code_memory.h"
#include "jit/link.h"
#include "jit/runtime_state.h"
#include "riscv/physical_memory.h"

namespace lockstep::jit {

inline constexpr size_t kHalfwordsPerPage = riscv::kPageSize / 2;

// A superblock: [first, end) covers the guest's bytes that it was made from, all of one page.
struct Superblock {
  uint16_t entry = 0;  // byte offset in the page
  uint16_t first = 0;
  uint16_t end = 0;
  uint32_t code = 0;
};

struct CodeTable {
  uint32_t* words = nullptr;  // kHalfwordsPerPage
  std::vector<Superblock> superblocks;
  // Pages whose last instruction, a superblock of theirs, has its second half here.
  std::vector<uint64_t> reached_from;
  // Jumps of this page's superblocks: kMaxLinks at most.
  struct OwnedLink {
    Link link;
    uint32_t owner;  // code of the superblock that it is in
  };
  std::vector<OwnedLink> links;
  uint64_t granules = 0;  // a bit for each 64 bytes of the page that a superblock covers
  uint32_t writes = 0;    // to the page, since it last had none
  // How often a place was reached that is not translated; of one that is, how often a window's
  // probe failed.
  std::array<uint8_t, kHalfwordsPerPage> heat{};
  std::bitset<kHalfwordsPerPage> without_windows;
};

struct CodeCacheStatistics {
  uint64_t superblocks = 0;   // made
  uint64_t instructions = 0;  // translated
  uint64_t code_bytes = 0;    // emitted
  uint64_t invalidated = 0;   // superblocks, by writes to their page
  uint64_t evicted = 0;       // superblocks, for want of space
  uint64_t regions_reused = 0;
};

class CodeCache {
 public:
  static constexpr size_t kRegions = 16;
  // Room that must be free in each area before a superblock is begun.
  static constexpr size_t kMaxSuperblockBytes = 16 << 10;
  // Tables at most: 8 KiB each. When they are used up, all are given up.
  static constexpr size_t kMaxTables = 4096;
  static constexpr size_t kTableBytes = kHalfwordsPerPage * sizeof(uint32_t);
  // Jumps of a page that lead to superblocks directly. Those beyond stay at their stubs, so that
  // what a store to the page costs is bounded, whatever the guest has there.
  static constexpr size_t kMaxLinks = size_t{1} << 14;

  CodeCache(posix::CodeMemory memory, uint64_t pages);

  // Sizes for posix::CodeMemory::create().
  static constexpr size_t table_space() { return kStateBytes + (kMaxTables + 1) * kTableBytes; }

  RuntimeState& state() { return *state_; }
  // The space for the shared routines, at the start; used once.
  x64::CodeArea routine_space() const { return area(0, kRoutineBytes); }
  void set_not_translated(uint32_t address);
  uint32_t not_translated() const { return not_translated_; }
  // A table in which nothing is translated, for pages that have none of their own.
  const uint32_t* empty_words() const { return empty_words_; }

  CodeTable* find(uint64_t page) { return tables_[page].get(); }
  const CodeTable* find(uint64_t page) const { return tables_[page].get(); }
  // nullptr when kMaxTables are in use.
  CodeTable* make(uint64_t page);
  bool has_code(uint64_t page) const {
    const CodeTable* const table = find(page);
    return table != nullptr && (!table->superblocks.empty() || !table->reached_from.empty());
  }

  // Where the next superblock goes: what runs often, and what seldom does. Gives up a region's
  // superblocks when needed.
  struct Space {
    x64::CodeArea main;
    x64::CodeArea cold;
  };
  Space begin_superblock();
  void add(uint64_t page, const Superblock& superblock, const x64::Assembler& assembler,
           std::span<const Link> links, size_t instructions);
  // The superblock at the end of `page` reaches into `next`, which has a table.
  void note_straddle(uint64_t page, uint64_t next);

  // Drops what was made from bytes in [offset, offset + size) of a page.
  void drop_range(uint64_t page, uint64_t offset, uint64_t size);
  void drop_superblock(uint64_t page, uint64_t entry);
  void drop_page(uint64_t page);
  // Drops everything, the tables too: every pointer to one is void.
  void drop_all();
  template <typename Visit>
  void for_each_page(Visit visit) const {
    for (const uint64_t page : used_tables_) visit(page);
  }

  const CodeCacheStatistics& statistics() const { return statistics_; }
  size_t tables_in_use() const { return used_tables_.size(); }

 private:
  static constexpr size_t kStateBytes = riscv::kPageSize;
  static constexpr size_t kRoutineBytes = 64 << 10;
  static constexpr unsigned kGranuleShift = 6;

  struct Resident {
    uint64_t page;
    uint32_t code;
    uint16_t entry;
  };

  // Writes the displacement of a jump.
  void turn(const Link& link, uint32_t destination);
  // The superblocks at these places are no more: jumps to them go to their stubs, the jumps of
  // those in `dropped_` are forgotten.
  void unlink(CodeTable& table, const std::bitset<kHalfwordsPerPage>& places);
  // Drops those of the superblocks that `drop` names; how many. One pass over the page's links.
  template <typename Drop>
  size_t drop_if(CodeTable& table, Drop drop);
  static uint64_t granules_of(uint64_t first, uint64_t end);
  void reuse_region(size_t region);
  void refresh_granules(CodeTable& table);
  void drop_straddlers(CodeTable& table);

  posix::CodeMemory memory_;
  RuntimeState* state_;
  uint32_t* empty_words_;
  uint32_t not_translated_ = 0;
  std::vector<std::unique_ptr<CodeTable>> tables_;  // by physical page
  std::vector<uint64_t> used_tables_;               // pages with a table, in the order of space
  x64::CodeArea area(size_t offset, size_t size) const {
    return {memory_.writable_code().subspan(offset, size),
            memory_.code_address() + static_cast<uint32_t>(offset)};
  }

  size_t area_bytes_;  // of each of a region's two areas
  size_t region_ = 0;
  size_t main_used_ = 0;
  size_t cold_used_ = 0;
  std::array<std::vector<Resident>, kRegions> residents_;
  std::vector<uint32_t> dropped_;  // scratch space of drop_if(): code of what it drops
  CodeCacheStatistics statistics_;
};

}  // namespace lockstep::jit
