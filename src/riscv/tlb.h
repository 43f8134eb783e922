// The shape of the software TLB, as the engines' fast paths read it.
//
// A data entry serves a load when (address ^ read_tag) is an aligned offset within a page, a store
// likewise with write_tag. Then host = host_page + that offset.
//
// An empty entry's tag is a page that this entry never serves (its number leads to another entry),
// so that no address matches it, in any width, and no separate test for "empty" is needed.
//
// Owner: the vCPU thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "riscv/physical_memory.h"

namespace lockstep::riscv {

// Indexed by the low bits of the virtual page number, so that a leaf PTE's place in its page gives
// nine bits of the index of what was derived from it.
inline constexpr size_t kDataEntries = 4096;
inline constexpr size_t kFetchEntries = 1024;
// What was touched since a flush is known by chunks, so that flushing costs what was used.
inline constexpr size_t kChunks = 64;
inline constexpr size_t kDataChunk = kDataEntries / kChunks;
inline constexpr size_t kFetchChunk = kFetchEntries / kChunks;

constexpr uint64_t empty_tag(size_t index) {
  return uint64_t{index ^ 1} << kPageShift;
}

struct DataEntry {
  uint64_t read_tag;
  uint64_t write_tag;
  uint64_t host_page;  // address on the host of the page's first byte
  GuestAddress pte;    // the leaf PTE it was derived from; 0 when there is none (bare)
};

struct FetchEntry {
  uint64_t tag;
  // The engine's own: where translated code of the page is found (jit/code_cache.h).
  const uint32_t* code;
  uint64_t physical_page;  // index in PhysicalMemory
  GuestAddress pte;
};

constexpr DataEntry empty_data_entry(size_t index) {
  return {empty_tag(index), empty_tag(index), 0, {}};
}
constexpr FetchEntry empty_fetch_entry(size_t index) {
  return {empty_tag(index), nullptr, 0, {}};
}

// Translations of one address space for one kind of access right.
struct TlbBank {
  TlbBank() {
    for (size_t i = 0; i < kDataEntries; ++i) data[i] = empty_data_entry(i);
    for (size_t i = 0; i < kFetchEntries; ++i) fetch[i] = empty_fetch_entry(i);
  }

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
