#include "riscv/mmu.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/check.h"

namespace lockstep::riscv {
namespace {

enum PteBit : uint64_t {
  kValid = 1,
  kRead = 2,
  kWrite = 4,
  kExecute = 8,
  kUser = 16,
  kAccessed = 64,
  kDirtyBit = 128,
};
constexpr uint64_t kPteSize = 8;
constexpr unsigned kLevels = 3;
constexpr unsigned kIndexBits = 9;
constexpr uint64_t kPtePpnMask = (uint64_t{1} << 44) - 1;
constexpr unsigned kPtePpnShift = 10;
// Bits 63 to 54: N (Svnapot), PBMT (Svpbmt) and reserved: this hart has none of them.
constexpr uint64_t kPteReserved = uint64_t{0x3ff} << 54;

bool is_pointer(uint64_t pte) {
  return (pte & (kRead | kWrite | kExecute)) == 0;
}

Cause page_fault(Access access) {
  switch (access) {
    case Access::kFetch:
      return Cause::kFetchPage;
    case Access::kLoad:
      return Cause::kLoadPage;
    case Access::kStore:
      return Cause::kStorePage;
  }
  return Cause::kLoadPage;
}

Cause access_fault(Access access) {
  switch (access) {
    case Access::kFetch:
      return Cause::kFetchAccess;
    case Access::kLoad:
      return Cause::kLoadAccess;
    case Access::kStore:
      return Cause::kStoreAccess;
  }
  return Cause::kLoadAccess;
}

// Visits those that may hold something.
template <typename Visit>
void for_each_write_entry(TlbBank& bank, Visit visit) {
  for (uint64_t chunks = bank.data_chunks; chunks != 0; chunks &= chunks - 1) {
    const auto first = static_cast<size_t>(std::countr_zero(chunks)) * kDataChunk;
    for (size_t i = first; i < first + kDataChunk; ++i) visit(i, bank.writes[i]);
  }
}

}  // namespace

Mmu::Mmu(const Hart& hart, PhysicalMemory& memory)
    : hart_(hart),
      memory_(memory),
      spaces_(std::make_unique<AddressSpace[]>(kAddressSpaces)),
      upper_users_(memory.page_count()),
      leaf_use_(memory.page_count()),
      table_writes_(memory.page_count()),
      writer_(memory.page_count(), kNoWriter) {
  static_assert(kAddressSpaces <= 8, "upper_users_ has a bit for each address space");
  space_ = &spaces_[0];
  bank_ = &space_->banks[kSupervisorRight];
  select_bank();
}

void Mmu::select_bank() {
  const bool mxr = (hart_.sstatus & kStatusMxr) != 0;
  if (mxr != mxr_) {  // entries hold for one value of MXR
    flush();
    mxr_ = mxr;
  }
  if (!space_->used || space_->satp != hart_.satp) space_ = &address_space(hart_.satp);
  const Right right = hart_.privilege == Privilege::kUser ? kUserRight
                      : (hart_.sstatus & kStatusSum) != 0 ? kSupervisorSumRight
                                                          : kSupervisorRight;
  bank_ = &space_->banks[right];
}

Mmu::AddressSpace& Mmu::address_space(uint64_t satp) {
  AddressSpace* oldest = &spaces_[0];
  for (size_t i = 0; i < kAddressSpaces; ++i) {
    AddressSpace& space = spaces_[i];
    if (space.used && space.satp == satp) {
      space.last_use = ++use_clock_;
      return space;
    }
    if (space.last_use < oldest->last_use) oldest = &space;
  }
  flush_space(*oldest);
  oldest->satp = satp;
  oldest->used = true;
  oldest->last_use = ++use_clock_;
  return *oldest;
}

bool Mmu::permits(uint64_t pte, Access access) const {
  const bool user_page = (pte & kUser) != 0;
  if (hart_.privilege == Privilege::kUser) {
    if (!user_page) return false;
  } else if (user_page && (access == Access::kFetch || (hart_.sstatus & kStatusSum) == 0)) {
    return false;
  }
  switch (access) {
    case Access::kFetch:
      return (pte & kExecute) != 0;
    case Access::kLoad:
      return (pte & kRead) != 0 || ((hart_.sstatus & kStatusMxr) != 0 && (pte & kExecute) != 0);
    case Access::kStore:
      return (pte & kWrite) != 0 && (pte & kDirtyBit) != 0;
  }
  return false;
}

Translation Mmu::translate(uint64_t address, Access access) {
  return walk(address, access);
}

Translation Mmu::walk(uint64_t address, Access access) {
  if (hart_.satp >> kSatpModeShift == kSatpModeBare) return {{}, GuestAddress(address), {}};
  ++statistics_.walks;
  const auto sign = static_cast<int64_t>(address) >> 38;
  if (sign != 0 && sign != -1) return {page_fault(access), {}, {}};

  GuestAddress table((hart_.satp & kSatpPpnMask) << kPageShift);
  for (unsigned level = kLevels; level-- > 0;) {
    const unsigned shift = kPageShift + level * kIndexBits;
    const uint64_t index = (address >> shift) & ((1u << kIndexBits) - 1);
    const GuestAddress pte_address = table + index * kPteSize;
    if (!memory_.contains(pte_address, kPteSize)) return {access_fault(access), {}, {}};
    const auto pte = memory_.load<uint64_t>(pte_address);
    if ((pte & kValid) == 0 || (pte & (kRead | kWrite)) == kWrite || (pte & kPteReserved) != 0) {
      return {page_fault(access), {}, {}};
    }
    const uint64_t ppn = (pte >> kPtePpnShift) & kPtePpnMask;
    if (is_pointer(pte)) {
      // A, D and U are reserved in a pointer.
      if ((pte & (kAccessed | kDirtyBit | kUser)) != 0) return {page_fault(access), {}, {}};
      note_walked(pte_address, false, true);
      table = GuestAddress(ppn << kPageShift);
      continue;
    }
    const uint64_t page_mask = (uint64_t{1} << shift) - 1;
    const bool aligned = ((ppn << kPageShift) & page_mask) == 0;
    if (!aligned || !permits(pte, access) || (pte & kAccessed) == 0) {
      return {page_fault(access), {}, {}};
    }
    note_walked(pte_address, level != 0, false);
    return {{}, GuestAddress((ppn << kPageShift) | (address & page_mask)), pte_address};
  }
  return {page_fault(access), {}, {}};
}

// Called only on the way to a translation that may be cached; noting more than was cached is
// harmless.
void Mmu::note_walked(GuestAddress pte, bool leaf_of_superpage, bool pointer) {
  const uint64_t page = memory_.page_index(pte);
  if (pointer || leaf_of_superpage) {
    upper_users_[page] = static_cast<uint8_t>(upper_users_[page] |
                                              1u << static_cast<unsigned>(space_ - spaces_.get()));
  }
  if (!memory_.has_flag(page, PhysicalMemory::kPageTable)) guard(page, PhysicalMemory::kPageTable);
}

// Before an entry of the current space is filled from the leaf PTE at `pte`.
void Mmu::note_leaf(GuestAddress pte, uint64_t address) {
  if (pte.value == 0) return;  // bare
  LeafUse& use = leaf_use_[memory_.page_index(pte)];
  const auto region = static_cast<uint8_t>((address >> (kPageShift + kIndexBits)) &
                                           ((kDataEntries >> kIndexBits) - 1));
  if (use.users != 0 && use.region != region) {
    use.region = kSeveralRegions;
  } else {
    use.region = region;
  }
  use.users = static_cast<uint8_t>(use.users | 1u << static_cast<unsigned>(space_ - spaces_.get()));
}

uint32_t Mmu::slot_of(size_t index) const {
  const auto space = static_cast<size_t>(space_ - spaces_.get());
  const auto right = static_cast<size_t>(bank_ - space_->banks);
  return static_cast<uint32_t>(1 + (space * kRights + right) * kDataEntries + index);
}

void Mmu::note_writer(uint64_t page, uint32_t slot) {
  uint32_t& writer = writer_[page];
  writer = writer == kNoWriter || writer == slot ? slot : kSeveralWriters;
}

Translation Mmu::fill_data(uint64_t address, Access access) {
  Translation result = walk(address, access);
  if (result.fault || !memory_.contains(result.address, 1)) return result;
  const size_t index = TlbBank::data_index(address);
  const uint64_t tag = address & ~(kPageSize - 1);
  const GuestAddress page_address(result.address.value & ~(kPageSize - 1));
  // SAFETY: the page's address on the host, for the fast paths, which add an offset within it.
  const DataEntry entry{tag, reinterpret_cast<uint64_t>(memory_.host(page_address))};
  const bool stores = access == Access::kStore;
  DataEntry& other = stores ? bank_->reads[index] : bank_->writes[index];
  if (other.tag != tag || other.host_page != entry.host_page) other = empty_data_entry(index);
  bank_->pte[index] = result.pte;
  note_leaf(result.pte, address);
  bank_->data_chunks |= uint64_t{1} << index / kDataChunk;
  if (!stores) {
    bank_->reads[index] = entry;
  } else if (memory_.write_pointer(page_address) != nullptr) {
    bank_->writes[index] = entry;
    note_writer(memory_.page_index(page_address), slot_of(index));
  } else {
    bank_->writes[index] = empty_data_entry(index);
  }
  space_->empty = false;
  return result;
}

Translation Mmu::fill_fetch(uint64_t address) {
  Translation result = walk(address, Access::kFetch);
  if (result.fault) return result;
  if (!memory_.contains(result.address, 1)) return {Cause::kFetchAccess, {}, {}};
  FetchEntry& entry = bank_->fetch[TlbBank::fetch_index(address)];
  entry = {address & ~(kPageSize - 1), no_code_, memory_.page_index(result.address), result.pte};
  note_leaf(result.pte, address);
  bank_->fetch_chunks |= uint64_t{1} << TlbBank::fetch_index(address) / kFetchChunk;
  space_->empty = false;
  return result;
}

void Mmu::before_page_table_write(GuestAddress address, ByteView bytes) {
  ++statistics_.page_table_writes;
  const uint64_t page = memory_.page_index(address);
  const GuestAddress first(address.value & ~(kPteSize - 1));
  for (GuestAddress pte = first; pte < address + bytes.size(); pte += kPteSize) {
    const auto old_value = memory_.load<uint64_t>(pte);
    if ((old_value & kValid) == 0) continue;  // nothing is derived from an invalid PTE
    uint64_t new_value = old_value;
    for (uint64_t i = 0; i < kPteSize; ++i) {
      const uint64_t position = (pte + i).value - address.value;
      if (position < bytes.size()) {
        reinterpret_cast<std::byte*>(&new_value)[i] = bytes[position];  // SAFETY: std::byte aliases
      }
    }
    if (new_value != old_value) drop_derived(pte, old_value);
  }
  if (++table_writes_[page] >= kRetireAfterWrites) retire_page_table(page);
}

void Mmu::drop_derived(GuestAddress pte, uint64_t old_value) {
  const uint64_t page = memory_.page_index(pte);
  if (is_pointer(old_value) || upper_users_[page] != 0) flush_users_of(page);
  if (!is_pointer(old_value)) drop_leaf(pte);
}

void Mmu::drop_leaf(GuestAddress pte) {
  const LeafUse use = leaf_use_[memory_.page_index(pte)];
  constexpr size_t kRegions = kDataEntries >> kIndexBits;
  const size_t low = (pte.value / kPteSize) & ((size_t{1} << kIndexBits) - 1);
  const size_t first = use.region == kSeveralRegions ? 0 : use.region;
  const size_t last = use.region == kSeveralRegions ? kRegions - 1 : use.region;
  for (size_t i = 0; i < kAddressSpaces; ++i) {
    if ((use.users >> i & 1) == 0 || spaces_[i].empty) continue;
    for (TlbBank& bank : spaces_[i].banks) {
      for (size_t region = first; region <= last; ++region) {
        const size_t index = region << kIndexBits | low;
        if (bank.pte[index] == pte) bank.empty_data(index);
        const size_t fetch_index = index & (kFetchEntries - 1);
        FetchEntry& fetch = bank.fetch[fetch_index];
        if (fetch.pte == pte) fetch = empty_fetch_entry(fetch_index);
      }
    }
  }
}

void Mmu::flush_users_of(uint64_t page) {
  const uint8_t users = std::exchange(upper_users_[page], uint8_t{0});
  for (size_t i = 0; i < kAddressSpaces; ++i) {
    if ((users >> i & 1) != 0) flush_space(spaces_[i]);
  }
}

void Mmu::flush_space(AddressSpace& space) {
  if (space.empty) return;
  ++statistics_.address_space_flushes;
  for (TlbBank& bank : space.banks) {
    for (; bank.data_chunks != 0; bank.data_chunks &= bank.data_chunks - 1) {
      const size_t first = static_cast<size_t>(std::countr_zero(bank.data_chunks)) * kDataChunk;
      for (size_t i = first; i < first + kDataChunk; ++i) bank.empty_data(i);
    }
    for (; bank.fetch_chunks != 0; bank.fetch_chunks &= bank.fetch_chunks - 1) {
      const size_t first = static_cast<size_t>(std::countr_zero(bank.fetch_chunks)) * kFetchChunk;
      for (size_t i = first; i < first + kFetchChunk; ++i) bank.fetch[i] = empty_fetch_entry(i);
    }
  }
  space.empty = true;
}

void Mmu::flush() {
  for (size_t i = 0; i < kAddressSpaces; ++i) flush_space(spaces_[i]);
}

void Mmu::retire_page_table(uint64_t page) {
  ++statistics_.pages_retired;
  flush_users_of(page);
  const GuestAddress start = memory_.page_address(page);
  for (uint64_t i = 0; i < kPageSize / kPteSize; ++i) drop_leaf(start + i * kPteSize);
  memory_.clear_flag(page, PhysicalMemory::kPageTable);
  table_writes_[page] = 0;
  leaf_use_[page] = {};
}

void Mmu::guard(uint64_t page, PhysicalMemory::Flag flag) {
  memory_.set_flag(page, flag);
  if (flag == PhysicalMemory::kPageTable) table_writes_[page] = 0;
  const uint32_t writer = std::exchange(writer_[page], kNoWriter);
  if (writer == kNoWriter) return;
  // SAFETY: only the numeric value is compared.
  const auto host = reinterpret_cast<uint64_t>(memory_.host(memory_.page_address(page)));
  if (writer != kSeveralWriters) {
    const size_t slot = writer - 1;
    const size_t index = slot % kDataEntries;
    const size_t bank = slot / kDataEntries;
    DataEntry& entry = spaces_[bank / kRights].banks[bank % kRights].writes[index];
    if (entry.host_page == host) entry = empty_data_entry(index);
    return;
  }
  for (size_t i = 0; i < kAddressSpaces; ++i) {
    if (spaces_[i].empty) continue;
    for (TlbBank& bank : spaces_[i].banks) {
      for_each_write_entry(bank, [host](size_t index, DataEntry& entry) {
        if (entry.host_page == host) entry = empty_data_entry(index);
      });
    }
  }
}

void Mmu::drop_write_entries() {
  for (size_t i = 0; i < kAddressSpaces; ++i) {
    if (spaces_[i].empty) continue;
    for (TlbBank& bank : spaces_[i].banks) {
      for_each_write_entry(bank,
                           [](size_t index, DataEntry& entry) { entry = empty_data_entry(index); });
    }
  }
  std::fill(writer_.begin(), writer_.end(), kNoWriter);
}

void Mmu::drop_fetch_entries() {
  for (size_t i = 0; i < kAddressSpaces; ++i) {
    if (spaces_[i].empty) continue;
    for (TlbBank& bank : spaces_[i].banks) {
      for (size_t j = 0; j < kFetchEntries; ++j) bank.fetch[j] = empty_fetch_entry(j);
      bank.fetch_chunks = 0;
    }
  }
}

}  // namespace lockstep::riscv
