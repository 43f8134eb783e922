// What a guest can make of a page's links: superblocks that overlap have many, and neither their
// number nor the memory that they took may grow without bound.
#include <algorithm>
#include <cstring>
#include <gtest/gtest.h>
#include <vector>

#include "jit/code_cache.h"

namespace lockstep::jit {
namespace {

constexpr uint64_t kPages = 4;
constexpr uint64_t kPage = 1;
constexpr size_t kCodeBytes = size_t{4} << 20;
constexpr size_t kJumps = 90;  // of a superblock
constexpr size_t kJumpBytes = 5;
constexpr uint16_t kTarget = riscv::kPageSize - 2;

class LinkBounds : public ::testing::Test {
 protected:
  LinkBounds()
      : memory_(*posix::CodeMemory::create(kCodeBytes, CodeCache::table_space())),
        writable_(memory_.writable_code()),
        address_(memory_.code_address()),
        cache_(std::move(memory_), kPages) {
    cache_.set_not_translated(address_);
    cache_.make(kPage);
  }

  // A superblock that does nothing but jump, `jumps` times to `target`; where its code is.
  uint32_t add(uint16_t entry, size_t jumps, uint16_t target) {
    const CodeCache::Space space = cache_.begin_superblock();
    x64::Assembler assembler(space.main, space.cold);
    std::vector<Link> links;
    for (size_t i = 0; i < jumps; ++i) {
      assembler.jmp_to(address_);
      links.push_back({assembler.here() - 4, address_, target});
    }
    assembler.ret();
    assembler.begin_cold();
    const auto end = static_cast<uint16_t>(entry + 2);
    cache_.add(kPage, {entry, entry, end, space.main.address}, assembler, links, 1);
    return space.main.address;
  }
  // Where jump `number` of the superblock at `code` leads.
  uint32_t destination(uint32_t code, size_t number) const {
    const uint32_t end = code + static_cast<uint32_t>(kJumpBytes * (number + 1));
    uint32_t displacement = 0;
    std::memcpy(&displacement, writable_.data() + (end - 4 - address_), sizeof displacement);
    return end + displacement;
  }
  CodeTable& table() { return *cache_.find(kPage); }

  posix::CodeMemory memory_;
  std::span<std::byte> writable_;
  uint32_t address_;
  CodeCache cache_;
};

TEST_F(LinkBounds, JumpsBeyondThemStayAtTheirStubs) {
  const uint32_t target = add(kTarget, 0, 0);
  uint32_t first = 0;
  uint32_t last = 0;
  constexpr size_t kEnough = CodeCache::kMaxLinks / kJumps + 2;
  for (size_t i = 0; i < kEnough; ++i) {
    last = add(static_cast<uint16_t>(2 * i), kJumps, kTarget);
    if (i == 0) first = last;
  }
  EXPECT_EQ(table().links.size(), CodeCache::kMaxLinks);
  EXPECT_EQ(destination(first, 0), target);
  EXPECT_EQ(destination(last, kJumps - 1), address_);
  cache_.drop_superblock(kPage, kTarget);
  EXPECT_EQ(destination(first, kJumps - 1), address_);
}

TEST_F(LinkBounds, MemoryGoesWithTheSuperblocks) {
  for (uint16_t entry = 0; entry < 200; entry += 2) add(entry, kJumps, kTarget);
  const size_t before = table().links.capacity();
  EXPECT_GE(before, 100 * kJumps);
  cache_.drop_range(kPage, 2, riscv::kPageSize - 2);
  EXPECT_EQ(table().links.size(), kJumps);
  EXPECT_LT(table().links.capacity(), before / 4);
  cache_.drop_page(kPage);
  EXPECT_EQ(table().links.capacity(), 0u);
}

TEST_F(LinkBounds, EvictionDropsAllThatTheRegionHasOfThePageAndNothingElse) {
  constexpr uint16_t kOld = 10;  // superblocks of the first region that stay until it is used again
  add(kTarget, 0, 0);
  for (uint16_t i = 0; i < kOld; ++i) add(static_cast<uint16_t>(2 * i), kJumps, kTarget);
  uint32_t newest = 0;
  for (uint32_t i = 0; table().words[kTarget / 2] != cache_.not_translated(); ++i) {
    const auto entry = static_cast<uint16_t>(2 * (kOld + i % 1000));
    if (table().words[entry / 2] != cache_.not_translated()) cache_.drop_superblock(kPage, entry);
    newest = add(entry, kJumps, kTarget);
  }
  EXPECT_EQ(cache_.statistics().regions_reused, CodeCache::kRegions);
  EXPECT_EQ(cache_.statistics().evicted, kOld + 1u);
  EXPECT_EQ(destination(newest, 0), address_);
  const auto stands = [this](uint32_t code) {
    return std::ranges::any_of(table().superblocks, [&](const Superblock& block) {
      return block.code == code && table().words[block.entry / 2] == code;
    });
  };
  EXPECT_EQ(table().superblocks.size(), 1000u);
  for (const Superblock& block : table().superblocks) EXPECT_TRUE(stands(block.code));
  for (const CodeTable::OwnedLink& owned : table().links) EXPECT_TRUE(stands(owned.owner));
}

}  // namespace
}  // namespace lockstep::jit
