// The shape of the software TLB, as the engines' fast paths read it.
//
// A load is served by its entry in `reads` when (address ^ tag) is an offset within a page, a store
// likewise by `writes`. Then host = host_page + that offset. Each is small, so that many stay in
// the host's first cache.
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
  uint64_t tag;
  uint64_t host_page;  // address on the host of the page's first byte
};

struct FetchEntry {
  uint64_t tag;
  // The engine's own: where translated code of the page is found (jit/code_cache.h).
  const uint32_t* code;
  uint64_t physical_page;  // index in PhysicalMemory
  GuestAddress pte;
};

constexpr DataEntry empty_data_entry(size_t index) {
  return {empty_tag(index), 0};
}
constexpr FetchEntry empty_fetch_entry(size_t index) {
  return {empty_tag(index), nullptr, 0, {}};
}

// Translations of one address space for one kind of access right.
struct TlbBank {
  TlbBank() {
    for (size_t i = 0; i < kDataEntries; ++i) empty_data(i);
    for (size_t i = 0; i < kFetchEntries; ++i) fetch[i] = empty_fetch_entry(i);
  }

  void empty_data(size_t index) {
    reads[index] = empty_data_entry(index);
    writes[index] = empty_data_entry(index);
    pte[index] = {};
  }

  // Both of an index are of the same page, or one is empty.
  std::array<DataEntry, kDataEntries> reads;
  std::array<DataEntry, kDataEntries> writes;
  // The leaf PTE that they were derived from; 0 when there is none (bare).
  std::array<GuestAddress, kDataEntries> pte;
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
