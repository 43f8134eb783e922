#include "jit/code_cache.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "base/check.h"
#include "jit/host_features.h"

namespace lockstep::jit {

CodeCache::CodeCache(posix::CodeMemory memory, uint64_t pages)
    : memory_(std::move(memory)), tables_(pages) {
  static_assert(sizeof(RuntimeState) <= kStateBytes);
  CHECK(memory_.tables().size() >= table_space());
  state_ = new (memory_.tables().data()) RuntimeState;
  // SAFETY: page-aligned, zeroed memory that holds nothing but words.
  empty_words_ = reinterpret_cast<uint32_t*>(memory_.tables().data() + kStateBytes);
  const size_t space = memory_.writable_code().size() - kRoutineBytes;
  area_bytes_ = space / (2 * kRegions) / riscv::kPageSize * riscv::kPageSize;
  CHECK(area_bytes_ > kMaxSuperblockBytes);
}

void CodeCache::set_not_translated(uint32_t address) {
  not_translated_ = address;
  std::fill_n(empty_words_, kHalfwordsPerPage, address);
}

CodeTable* CodeCache::make(uint64_t page) {
  CHECK(!tables_[page]);
  if (used_tables_.size() == kMaxTables) return nullptr;
  tables_[page] = std::make_unique<CodeTable>();
  CodeTable& table = *tables_[page];
  table.words = empty_words_ + (used_tables_.size() + 1) * kHalfwordsPerPage;
  std::fill_n(table.words, kHalfwordsPerPage, not_translated_);
  used_tables_.push_back(page);
  return &table;
}

CodeCache::Space CodeCache::begin_superblock() {
  if (area_bytes_ - std::max(main_used_, cold_used_) < kMaxSuperblockBytes) {
    region_ = (region_ + 1) % kRegions;
    reuse_region(region_);
    main_used_ = 0;
    cold_used_ = 0;
  }
  const size_t start = kRoutineBytes + 2 * region_ * area_bytes_;
  return {area(start + main_used_, kMaxSuperblockBytes),
          area(start + area_bytes_ + cold_used_, kMaxSuperblockBytes)};
}

void CodeCache::add(uint64_t page, const Superblock& superblock, const x64::Assembler& assembler,
                    std::span<const Link> links, size_t instructions) {
  constexpr size_t kAlignment = 16;
  main_used_ += (assembler.main_size() + kAlignment - 1) / kAlignment * kAlignment;
  cold_used_ += assembler.cold_size();
  CodeTable& table = *tables_[page];
  table.superblocks.push_back(superblock);
  table.granules |= granules_of(superblock.first, superblock.end);
  table.words[superblock.entry / 2] = superblock.code;
  table.heat[superblock.entry / 2] = 0;
  for (const CodeTable::OwnedLink& owned : table.links) {
    if (owned.link.target == superblock.entry) turn(owned.link, superblock.code);
  }
  for (const Link& link : links) {
    if (table.links.size() >= kMaxLinks) break;
    table.links.push_back({link, superblock.code});
    const uint32_t code = table.words[link.target / 2];
    if (code != not_translated_) turn(link, code);
  }
  serialize_processor();
  residents_[region_].push_back({page, superblock.code, superblock.entry});
  ++statistics_.superblocks;
  statistics_.instructions += instructions;
  statistics_.code_bytes += assembler.main_size() + assembler.cold_size();
}

void CodeCache::turn(const Link& link, uint32_t destination) {
  const uint32_t displacement = destination - (link.site + 4);
  const std::span<std::byte> code = memory_.writable_code();
  std::memcpy(code.data() + (link.site - memory_.code_address()), &displacement,
              sizeof displacement);
}

void CodeCache::unlink(CodeTable& table, const std::bitset<kHalfwordsPerPage>& places) {
  std::ranges::sort(dropped_);
  std::erase_if(table.links, [&](const CodeTable::OwnedLink& owned) {
    return std::ranges::binary_search(dropped_, owned.owner);
  });
  for (const CodeTable::OwnedLink& owned : table.links) {
    if (places[owned.link.target / 2]) turn(owned.link, owned.link.stub);
  }
  // What a page once had does not stay allocated.
  constexpr size_t kWorthReturning = 4;
  if (table.links.size() < table.links.capacity() / kWorthReturning) table.links.shrink_to_fit();
}

template <typename Drop>
size_t CodeCache::drop_if(CodeTable& table, Drop drop) {
  std::bitset<kHalfwordsPerPage> places;
  dropped_.clear();
  std::erase_if(table.superblocks, [&](const Superblock& block) {
    if (!drop(block)) return false;
    const size_t place = block.entry / 2;
    table.words[place] = not_translated_;
    table.heat[place] = 0;
    table.without_windows[place] = false;
    places.set(place);
    dropped_.push_back(block.code);
    return true;
  });
  if (dropped_.empty()) return 0;
  unlink(table, places);
  refresh_granules(table);
  return dropped_.size();
}

uint64_t CodeCache::granules_of(uint64_t first, uint64_t end) {
  const uint64_t low = first >> kGranuleShift;
  const uint64_t high = (end - 1) >> kGranuleShift;
  return (~uint64_t{0} >> (63 - (high - low))) << low;
}

void CodeCache::refresh_granules(CodeTable& table) {
  table.granules = 0;
  for (const Superblock& block : table.superblocks) {
    table.granules |= granules_of(block.first, block.end);
  }
  if (!table.reached_from.empty()) table.granules |= 1;
}

void CodeCache::note_straddle(uint64_t page, uint64_t next) {
  CodeTable& table = *tables_[next];
  table.granules |= 1;
  if (std::ranges::find(table.reached_from, page) == table.reached_from.end()) {
    table.reached_from.push_back(page);
  }
}

void CodeCache::drop_straddlers(CodeTable& table) {
  for (const uint64_t page : std::exchange(table.reached_from, {})) {
    if (tables_[page]) drop_range(page, riscv::kPageSize - 2, 2);
  }
}

void CodeCache::drop_range(uint64_t page, uint64_t offset, uint64_t size) {
  CodeTable& table = *tables_[page];
  if ((table.granules & granules_of(offset, offset + size)) == 0) return;
  if (offset < 2) drop_straddlers(table);
  statistics_.invalidated += drop_if(table, [&](const Superblock& block) {
    return block.first < offset + size && offset < block.end;
  });
  refresh_granules(table);
  serialize_processor();
}

void CodeCache::drop_superblock(uint64_t page, uint64_t entry) {
  CodeTable& table = *tables_[page];
  drop_if(table, [entry](const Superblock& block) { return block.entry == entry; });
  serialize_processor();
}

void CodeCache::drop_page(uint64_t page) {
  CodeTable& table = *tables_[page];
  statistics_.invalidated += drop_if(table, [](const Superblock&) { return true; });
  serialize_processor();
  drop_straddlers(table);
  table.granules = 0;
  table.writes = 0;
  table.heat.fill(0);
}

void CodeCache::reuse_region(size_t region) {
  ++statistics_.regions_reused;
  const size_t size = 2 * area_bytes_;
  const uint32_t start = area(kRoutineBytes + region * size, size).address;
  for (const Resident& resident : residents_[region]) {
    CodeTable* const table = tables_[resident.page].get();
    if (table == nullptr || table->words[resident.entry / 2] != resident.code) continue;
    // All that the page has here, at once.
    statistics_.evicted += drop_if(
        *table, [start, size](const Superblock& block) { return block.code - start < size; });
  }
  residents_[region].clear();
  serialize_processor();
}

void CodeCache::drop_all() {
  for (const uint64_t page : used_tables_) tables_[page].reset();
  used_tables_.clear();
  for (auto& residents : residents_) residents.clear();
  region_ = 0;
  main_used_ = 0;
  cold_used_ = 0;
}

}  // namespace lockstep::jit
