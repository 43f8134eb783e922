// The shape of the software TLB, as the engines' fast paths read it.
//
// A data entry serves a load when (address & kTlbTagMask(size)) == read_tag, a store likewise with
// write_tag: one compare for page and alignment. Then host = address + addend.
//
// Owner: the vCPU thread.
#pragma once

#include <array>
#include <cstdint>

#include "riscv/physical_memory.h"

namespace lockstep::riscv {

// No masked address equals it: a compare looks at the page number and at the low bits that an
// aligned access of up to 8 bytes has clear, and this bit lies between them.
inline constexpr uint64_t kInvalidTag = 8;
static_assert(kInvalidTag >= sizeof(uint64_t) && kInvalidTag < kPageSize);

// Indexed by the low bits of the virtual page number, so that a leaf PTE's place in its page gives
// nine bits of the index of what was derived from it.
inline constexpr size_t kDataEntries = 4096;
inline constexpr size_t kFetchEntries = 1024;
// What was touched since a flush is known by chunks, so that flushing costs what was used.
inline constexpr size_t kChunks = 64;
inline constexpr size_t kDataChunk = kDataEntries / kChunks;
inline constexpr size_t kFetchChunk = kFetchEntries / kChunks;

struct DataEntry {
  uint64_t read_tag = kInvalidTag;
  uint64_t write_tag = kInvalidTag;
  uint64_t addend = 0;
  GuestAddress pte;  // the leaf PTE it was derived from; 0 when there is none (bare)
};

struct FetchEntry {
  uint64_t tag = kInvalidTag;
  // The engine's own: where translated code of the page is found (jit/code_table.h).
  const uint32_t* code = nullptr;
  uint64_t physical_page = 0;  // index in PhysicalMemory
  GuestAddress pte;
};

// Translations of one address space for one kind of access right.
struct TlbBank {
  std::array<DataEntry, kDataEntries> data;
  std::array<FetchEntry, kFetchEntries> fetch;
  uint64_t data_chunks = 0;  // a bit for each chunk that holds something
  uint64_t fetch_chunks = 0;

  static size_t data_index(uint64_t address) {
    return (address >> kPageShift) & (kDataEntries - 1);
  }
  static size_t fetch_index(uint64_t address) {
    return (address >> kPageShift) & (kFetchEntries - 1);
  }
};

}  // namespace lockstep::riscv
