#include "jit/code_cache.h"

#include <algorithm>
#include <cstring>
#include <gtest/gtest.h>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <vector>

#include "jit/translator.h"

namespace lockstep::jit {
namespace {

using riscv::kPageSize;
using x64::Reg;

constexpr uint64_t kPages = 8;
constexpr uint64_t kPage = 2;
constexpr uint64_t kOther = 5;

// What a test knows of a superblock that it added. The code is made of jumps only, and never runs.
struct Added {
  uint64_t page = 0;
  Superblock block;
  std::vector<Link> links;
  x64::CodeArea main;  // what it takes of each area
  x64::CodeArea cold;
};

class CodeCacheTest : public testing::Test {
 protected:
  explicit CodeCacheTest(uint64_t pages = kPages) {
    auto memory = posix::CodeMemory::create(kMinCodeCacheBytes, CodeCache::table_space());
    if (!memory) {
      ADD_FAILURE() << memory.error().text();
      std::abort();
    }
    code_ = memory->writable_code();
    code_address_ = memory->code_address();
    cache_.emplace(std::move(*memory), pages);
    x64::Assembler routine(cache_->routine_space(), {});
    not_translated_ = routine.here();
    routine.trap();
    cache_->set_not_translated(not_translated_);
  }

  CodeTable& table(uint64_t page) {
    CodeTable* const found = cache_->find(page);
    return found != nullptr ? *found : *cache_->make(page);
  }

  // A superblock at `entry` that covers [first, end) and jumps to each of `targets`, and fills
  // `bytes` of each area at least.
  Added add(uint64_t page, uint16_t entry, uint16_t first, uint16_t end,
            const std::vector<uint16_t>& targets = {}, size_t bytes = 0) {
    table(page);
    const CodeCache::Space space = cache_->begin_superblock();
    x64::Assembler assembler(space.main, space.cold);
    Added added{page, {entry, first, end, space.main.address}, {}, space.main, space.cold};
    std::vector<x64::Label> labels(targets.size());
    for (size_t i = 0; i < targets.size(); ++i) {
      assembler.jmp(labels[i]);
      added.links.push_back({assembler.here() - 4, 0, targets[i]});
    }
    while (assembler.main_size() < bytes) assembler.trap();
    assembler.begin_cold();
    for (size_t i = 0; i < targets.size(); ++i) {
      added.links[i].stub = assembler.here();
      assembler.bind(labels[i]);
      assembler.trap();
    }
    while (assembler.cold_size() < bytes) assembler.trap();
    EXPECT_TRUE(assembler.ok());
    added.main.space = space.main.space.first(assembler.main_size());
    added.cold.space = space.cold.space.first(assembler.cold_size());
    cache_->add(page, added.block, assembler, added.links, targets.size());
    return added;
  }
  // The simple kind: eight bytes of guest code.
  Added add(uint64_t page, uint16_t entry, const std::vector<uint16_t>& targets = {}) {
    return add(page, entry, entry, static_cast<uint16_t>(entry + 8), targets);
  }

  uint32_t word(uint64_t page, uint64_t offset) { return table(page).words[offset / 2]; }
  // Where the jump of a link leads.
  uint32_t destination(const Link& link) const {
    uint32_t displacement = 0;
    std::memcpy(&displacement, code_.data() + (link.site - code_address_), sizeof displacement);
    return link.site + 4 + displacement;
  }

  std::span<std::byte> code_;
  uint32_t code_address_ = 0;
  uint32_t not_translated_ = 0;
  std::optional<CodeCache> cache_;
};

TEST_F(CodeCacheTest, AWordIsTheSuperblockOrNotTranslated) {
  EXPECT_EQ(cache_->find(kPage), nullptr);
  EXPECT_FALSE(cache_->has_code(kPage));
  const Added added = add(kPage, 0x100);
  EXPECT_TRUE(cache_->has_code(kPage));
  for (uint64_t offset = 0; offset < kPageSize; offset += 2) {
    ASSERT_EQ(word(kPage, offset), offset == 0x100 ? added.block.code : not_translated_);
    ASSERT_EQ(cache_->empty_words()[offset / 2], not_translated_);
  }
  EXPECT_FALSE(cache_->has_code(kOther));
  EXPECT_EQ(cache_->statistics().superblocks, 1u);
  // The place of a table is its own.
  table(kOther);
  EXPECT_EQ(word(kOther, 0x100), not_translated_);
}

TEST_F(CodeCacheTest, CountsHeatAnewWhenASuperblockComesOrGoes) {
  table(kPage).heat[0x80] = 7;
  add(kPage, 0x100);
  EXPECT_EQ(table(kPage).heat[0x80], 0);
  table(kPage).heat[0x80] = 9;
  cache_->drop_superblock(kPage, 0x100);
  EXPECT_EQ(table(kPage).heat[0x80], 0);
}

TEST_F(CodeCacheTest, LinksAreTurnedToWhatIsMadeAndBackInAnyOrder) {
  // Three superblocks, each of which jumps to all three and to a place that has none.
  constexpr uint16_t kNowhere = 0x800;
  const std::vector<uint16_t> entries = {0x40, 0x400, 0xff0};
  std::vector<size_t> order = {0, 1, 2};
  do {
    for (const bool reverse_drops : {false, true}) {
      std::map<size_t, Added> live;
      const auto check = [&] {
        for (const auto& [at, added] : live) {
          ASSERT_EQ(word(kPage, entries[at]), added.block.code);
          for (const Link& link : added.links) {
            const auto to = std::ranges::find(entries, link.target) - entries.begin();
            const auto there = live.find(static_cast<size_t>(to));
            ASSERT_EQ(destination(link), there == live.end() ? link.stub : there->second.block.code)
                << "from " << at << " to " << link.target;
          }
        }
        const size_t links = live.size() * (entries.size() + 1);
        ASSERT_EQ(table(kPage).links.size(), links) << "of superblocks that are no more";
      };
      for (const size_t i : order) {
        live[i] = add(kPage, entries[i], {entries[0], entries[1], kNowhere, entries[2]});
        check();
      }
      std::vector<size_t> drops = order;
      if (reverse_drops) std::ranges::reverse(drops);
      for (const size_t i : drops) {
        cache_->drop_superblock(kPage, entries[i]);
        live.erase(i);
        check();
      }
      ASSERT_FALSE(cache_->has_code(kPage));
    }
  } while (std::ranges::next_permutation(order).found);
}

TEST_F(CodeCacheTest, LinksLeadWithinTheirPageOnly) {
  const Added here = add(kPage, 0, {0x100});
  add(kOther, 0x100);
  EXPECT_EQ(destination(here.links[0]), here.links[0].stub);
}

TEST_F(CodeCacheTest, AStoreDropsWhatWasMadeFromItsBytes) {
  struct Case {
    uint64_t offset;
    uint64_t size;
    bool drops;
  };
  // The superblock covers [0x100, 0x120), entered in the middle.
  for (const Case& tested :
       {Case{0xf8, 8, false}, Case{0xfc, 4, false}, Case{0xfd, 4, true}, Case{0xff, 2, true},
        Case{0x100, 1, true}, Case{0x11f, 1, true}, Case{0x11f, 8, true}, Case{0x120, 8, false},
        Case{0xc0, 0x100, true}, Case{0, kPageSize, true}, Case{0x900, 8, false}}) {
    add(kPage, 0x110, 0x100, 0x120);
    const uint64_t before = cache_->statistics().invalidated;
    cache_->drop_range(kPage, tested.offset, tested.size);
    EXPECT_EQ(cache_->has_code(kPage), !tested.drops) << tested.offset;
    EXPECT_EQ(word(kPage, 0x110) == not_translated_, tested.drops) << tested.offset;
    EXPECT_EQ(cache_->statistics().invalidated - before, tested.drops ? 1u : 0u) << tested.offset;
    cache_->drop_page(kPage);
  }
}

TEST_F(CodeCacheTest, GranulesAreThoseOfTheSuperblocksThatStand) {
  add(kPage, 0x100, 0x100, 0x140);
  EXPECT_EQ(table(kPage).granules, uint64_t{1} << 4);
  add(kPage, 0x13e, 0x13e, 0x142);
  EXPECT_EQ(table(kPage).granules, uint64_t{3} << 4);
  add(kPage, 0, 0, kPageSize);
  EXPECT_EQ(table(kPage).granules, ~uint64_t{0});
  cache_->drop_superblock(kPage, 0);
  EXPECT_EQ(table(kPage).granules, uint64_t{3} << 4);
  cache_->drop_range(kPage, 0x140, 2);
  EXPECT_EQ(table(kPage).granules, uint64_t{1} << 4);
  add(kPage, kPageSize - 2, kPageSize - 2, kPageSize);
  EXPECT_EQ(table(kPage).granules, uint64_t{1} << 63 | uint64_t{1} << 4);
  cache_->drop_range(kPage, 0x100, 1);
  EXPECT_EQ(table(kPage).granules, uint64_t{1} << 63);
}

TEST_F(CodeCacheTest, AStoreToTheSecondHalfDropsAnInstructionAcrossTwoPages) {
  const auto add_straddler = [this] {
    table(kOther);
    const Added added = add(kPage, kPageSize - 2, kPageSize - 2, kPageSize);
    cache_->note_straddle(kPage, kOther);
    cache_->note_straddle(kPage, kOther);
    return added;
  };
  // Not its own code, but reached by some: it is to stay guarded.
  add_straddler();
  EXPECT_TRUE(cache_->has_code(kOther));
  EXPECT_EQ(table(kOther).reached_from, std::vector<uint64_t>{kPage});
  EXPECT_EQ(table(kOther).granules, 1u);
  cache_->drop_range(kOther, 2, 8);
  EXPECT_TRUE(cache_->has_code(kPage));
  EXPECT_TRUE(cache_->has_code(kOther));
  EXPECT_EQ(table(kOther).granules, 1u);
  cache_->drop_range(kOther, 1, 1);
  EXPECT_FALSE(cache_->has_code(kPage));
  EXPECT_FALSE(cache_->has_code(kOther));
  EXPECT_EQ(cache_->statistics().invalidated, 1u);
  EXPECT_EQ(table(kOther).granules, 0u);

  // By its first half, and by giving up either page.
  add_straddler();
  cache_->drop_range(kPage, kPageSize - 1, 1);
  EXPECT_EQ(word(kPage, kPageSize - 2), not_translated_);
  add_straddler();
  cache_->drop_page(kOther);
  EXPECT_EQ(word(kPage, kPageSize - 2), not_translated_);
  EXPECT_FALSE(cache_->has_code(kOther));
  add_straddler();
  cache_->drop_page(kPage);
  EXPECT_EQ(word(kPage, kPageSize - 2), not_translated_);
  // What else is in the page stays when only the straddler goes.
  const Added rest = add(kPage, 0x100);
  add_straddler();
  cache_->drop_range(kOther, 0, 2);
  EXPECT_EQ(word(kPage, 0x100), rest.block.code);
  EXPECT_EQ(word(kPage, kPageSize - 2), not_translated_);
}

TEST_F(CodeCacheTest, APageMayFollowItself) {
  add(kPage, kPageSize - 2, kPageSize - 2, kPageSize);
  cache_->note_straddle(kPage, kPage);
  add(kPage, 0x100);
  cache_->drop_range(kPage, 0, 4);
  EXPECT_EQ(word(kPage, kPageSize - 2), not_translated_);
  EXPECT_NE(word(kPage, 0x100), not_translated_);
  add(kPage, kPageSize - 2, kPageSize - 2, kPageSize);
  cache_->note_straddle(kPage, kPage);
  cache_->drop_page(kPage);
  EXPECT_FALSE(cache_->has_code(kPage));
  EXPECT_EQ(table(kPage).granules, 0u);
}

TEST_F(CodeCacheTest, DroppingAPageForgetsAllOfItAndNothingElse) {
  add(kPage, 0, {0x100, 0});
  add(kPage, 0x100, {0});
  const Added other = add(kOther, 0);
  table(kPage).heat.fill(3);
  table(kPage).writes = 9;
  cache_->drop_page(kPage);
  EXPECT_FALSE(cache_->has_code(kPage));
  EXPECT_EQ(cache_->statistics().invalidated, 2u);
  EXPECT_EQ(table(kPage).granules, 0u);
  EXPECT_EQ(table(kPage).writes, 0u);
  EXPECT_TRUE(table(kPage).links.empty());
  EXPECT_TRUE(std::ranges::all_of(table(kPage).heat, [](uint8_t heat) { return heat == 0; }));
  EXPECT_EQ(word(kPage, 0), not_translated_);
  EXPECT_EQ(word(kPage, 0x100), not_translated_);
  EXPECT_EQ(word(kOther, 0), other.block.code);
}

TEST_F(CodeCacheTest, DroppingAllStartsAnew) {
  const Added first = add(kPage, 0, {0});
  add(kOther, 4);
  size_t pages = 0;
  cache_->for_each_page([&](uint64_t page) {
    EXPECT_TRUE(page == kPage || page == kOther);
    ++pages;
  });
  EXPECT_EQ(pages, 2u);
  cache_->drop_all();
  EXPECT_EQ(cache_->tables_in_use(), 0u);
  EXPECT_EQ(cache_->find(kPage), nullptr);
  EXPECT_FALSE(cache_->has_code(kPage));
  // The same space is used again, with the words of a table that was another page's.
  const Added again = add(kOther, 0);
  EXPECT_EQ(again.block.code, first.block.code);
  EXPECT_EQ(word(kOther, 0), again.block.code);
  EXPECT_EQ(word(kOther, 4), not_translated_);
}

// --- The ring of regions

bool overlap(const x64::CodeArea& left, const x64::CodeArea& right) {
  return left.address < right.address + right.space.size() &&
         right.address < left.address + left.space.size();
}

// Random superblocks come and go, with links among them; after each change every word and every
// link is what the live ones say, and nothing that is live lies where the next is going to.
class CodeCacheModel : public CodeCacheTest {
 protected:
  static constexpr uint16_t kEntryStep = 64;

  bool stands(const Added& added) {
    return word(added.page, added.block.entry) == added.block.code;
  }
  const Added* live_at(uint64_t page, uint16_t entry) const {
    const auto found = live_.find({page, entry});
    return found == live_.end() ? nullptr : &found->second;
  }

  void add_random(std::mt19937_64& random) {
    const uint64_t page = random() % kPages;
    const auto entry = static_cast<uint16_t>(random() % (kPageSize / kEntryStep) * kEntryStep);
    if (live_at(page, entry) != nullptr) return;
    const auto first = static_cast<uint16_t>(entry - random() % (entry + 1u) % 512);
    const auto end =
        static_cast<uint16_t>(std::min<uint64_t>(kPageSize, entry + 2 + random() % 256));
    std::vector<uint16_t> targets;
    for (uint64_t i = random() % 4; i > 0; --i) {
      targets.push_back(static_cast<uint16_t>(random() % (kPageSize / kEntryStep) * kEntryStep));
    }
    if (random() % 4 == 0) targets.push_back(entry);
    make_room();
    const Added added = add(page, entry, first, end, targets, random() % 8000);
    live_[{page, entry}] = added;
  }

  // What begin_superblock() gives up is of one region: the one that it starts anew.
  void make_room() {
    const CodeCacheStatistics before = cache_->statistics();
    const CodeCache::Space space = cache_->begin_superblock();
    const uint64_t reused = cache_->statistics().regions_reused - before.regions_reused;
    size_t gone = 0;
    uint32_t lowest = ~0u;
    uint32_t highest = 0;
    std::erase_if(live_, [&](const auto& item) {
      const Added& added = item.second;
      if (stands(added)) {
        EXPECT_FALSE(overlap(added.main, space.main) || overlap(added.cold, space.cold) ||
                     overlap(added.main, space.cold) || overlap(added.cold, space.main));
        return false;
      }
      ++gone;
      lowest = std::min(lowest, added.main.address);
      highest = std::max(highest, added.cold.address);
      return true;
    });
    EXPECT_EQ(cache_->statistics().evicted - before.evicted, gone);
    if (reused == 0) {
      EXPECT_EQ(gone, 0u);
      return;
    }
    EXPECT_EQ(reused, 1u);
    const uint32_t area = space.cold.address - space.main.address;
    for (const auto& [place, added] : live_) {
      EXPECT_TRUE(added.cold.address < space.main.address ||
                  added.main.address >= space.main.address + 2 * area)
          << "still in the region that starts anew";
    }
    if (gone == 0) return;
    EXPECT_GE(lowest, space.main.address);
    EXPECT_LT(highest, space.main.address + 2 * area);
  }

  void drop_random(std::mt19937_64& random) {
    const uint64_t page = random() % kPages;
    table(page);
    const uint64_t before = cache_->statistics().invalidated;
    size_t gone = 0;
    const auto drop_live = [&](auto drops) {
      gone = std::erase_if(live_, [&](const auto& item) {
        return item.first.first == page && drops(item.second.block);
      });
    };
    switch (random() % 8) {
      case 0:
        cache_->drop_page(page);
        drop_live([](const Superblock&) { return true; });
        break;
      case 1: {
        const uint64_t entry = random() % (kPageSize / kEntryStep) * kEntryStep;
        cache_->drop_superblock(page, entry);
        drop_live([&](const Superblock& block) { return block.entry == entry; });
        gone = 0;
        break;
      }
      default: {
        const uint64_t offset = random() % kPageSize;
        const uint64_t size = 1 + random() % std::min<uint64_t>(8, kPageSize - offset);
        cache_->drop_range(page, offset, size);
        drop_live([&](const Superblock& block) {
          return block.first < offset + size && offset < block.end;
        });
      }
    }
    EXPECT_EQ(cache_->statistics().invalidated - before, gone);
  }

  void check() {
    std::vector<uint64_t> granules(kPages);
    std::vector<size_t> links(kPages);
    std::vector<size_t> live(kPages);
    for (const auto& [place, added] : live_) {
      ASSERT_TRUE(stands(added));
      for (const Link& link : added.links) {
        const Added* const to = live_at(added.page, link.target);
        ASSERT_EQ(destination(link), to == nullptr ? link.stub : to->block.code);
      }
      ++live[added.page];
      links[added.page] += added.links.size();
      for (uint64_t byte = added.block.first; byte < added.block.end; ++byte) {
        granules[added.page] |= uint64_t{1} << (byte / 64);
      }
    }
    for (uint64_t page = 0; page < kPages; ++page) {
      if (cache_->find(page) == nullptr) continue;
      ASSERT_EQ(table(page).granules, granules[page]);
      ASSERT_EQ(table(page).links.size(), links[page]);
      size_t translated = 0;
      for (uint64_t halfword = 0; halfword < kHalfwordsPerPage; ++halfword) {
        if (table(page).words[halfword] != not_translated_) ++translated;
      }
      ASSERT_EQ(translated, live[page]);
    }
  }

  std::map<std::pair<uint64_t, uint16_t>, Added> live_;
};

TEST_F(CodeCacheModel, StaysTrueThroughEveryChange) {
  constexpr uint64_t kChanges = 3000;
  std::mt19937_64 random(1);
  for (uint64_t i = 0; i < kChanges; ++i) {
    if (random() % 3 != 0) {
      add_random(random);
    } else {
      drop_random(random);
    }
    check();
    ASSERT_FALSE(HasFailure()) << "at change " << i;
  }
  EXPECT_GT(cache_->statistics().regions_reused, 2 * CodeCache::kRegions);
  EXPECT_GT(cache_->statistics().evicted, 100u);
}

class CodeCacheOfManyPages : public CodeCacheTest {
 protected:
  CodeCacheOfManyPages() : CodeCacheTest(CodeCache::kMaxTables + 1) {}
};

TEST_F(CodeCacheOfManyPages, HasAtMostSoManyTables) {
  std::vector<const uint32_t*> words;
  for (uint64_t page = 0; page < CodeCache::kMaxTables; ++page) {
    CodeTable* const made = cache_->make(page);
    ASSERT_NE(made, nullptr);
    words.push_back(made->words);
  }
  EXPECT_EQ(cache_->make(CodeCache::kMaxTables), nullptr);
  EXPECT_EQ(cache_->find(CodeCache::kMaxTables), nullptr);
  EXPECT_EQ(cache_->tables_in_use(), CodeCache::kMaxTables);
  // Each has its own words, and none those of "nothing is translated".
  words.push_back(cache_->empty_words());
  std::ranges::sort(words);
  for (size_t i = 1; i < words.size(); ++i) {
    ASSERT_GE(words[i] - words[i - 1], static_cast<std::ptrdiff_t>(kHalfwordsPerPage));
  }
  cache_->drop_all();
  EXPECT_NE(cache_->make(CodeCache::kMaxTables), nullptr);
}

}  // namespace
}  // namespace lockstep::jit
