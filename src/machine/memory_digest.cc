#include "machine/memory_digest.h"

#include <array>
#include <span>

#include "base/hash.h"

namespace lockstep::machine {
namespace {

uint64_t contribution(uint64_t page, ByteView bytes) {
  static constexpr std::array<std::byte, riscv::kPageSize> kZeroes{};
  static const uint64_t zero_hash = hash64(kZeroes);
  const uint64_t hash = hash64(bytes);
  if (hash == zero_hash) return 0;
  const std::array<uint64_t, 2> numbered = {page, hash};
  return hash64(std::as_bytes(std::span(numbered)));
}

}  // namespace

void MemoryDigest::update(riscv::PhysicalMemory& memory) {
  for (uint64_t page : memory.take_dirty_pages()) {
    const ByteView bytes(memory.host(memory.page_address(page)), riscv::kPageSize);
    const uint64_t now = contribution(page, bytes);
    sum_ += now - contributions_[page];
    contributions_[page] = now;
  }
}

}  // namespace lockstep::machine
