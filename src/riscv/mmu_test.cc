#include "riscv/mmu.h"

#include <array>
#include <gtest/gtest.h>
#include <random>
#include <vector>

#include "riscv/testing/page_tables.h"

namespace lockstep::riscv {
namespace {

using testing::kAllRights;
using testing::kPteAccessed;
using testing::kPteDirty;
using testing::kPteExecute;
using testing::kPteRead;
using testing::kPteUser;
using testing::kPteValid;
using testing::kPteWrite;
using testing::kReadWrite;
using testing::make_pte;
using testing::make_satp;
using testing::PageTables;

constexpr GuestAddress kBase{0x80000000};
constexpr uint64_t kPages = 1'024;
constexpr GuestAddress kTables = kBase + 512 * kPageSize;
constexpr uint64_t kVirtual = 0x4000'0000;
constexpr uint64_t kUpperHalf = 0xffff'ffc0'0000'0000;

class MmuTest : public ::testing::Test, public WriteObserver {
 protected:
  MmuTest() { memory_.set_observer(this); }

  void before_code_write(GuestAddress, size_t) override {}
  void before_page_table_write(GuestAddress address, ByteView bytes) override {
    mmu_.before_page_table_write(address, bytes);
  }

  void use(const PageTables& tables) {
    hart_.satp = tables.satp();
    mmu_.select_bank();
  }
  std::optional<Cause> fault(uint64_t address, Access access) {
    return mmu_.translate(address, access).fault;
  }
  DataEntry& entry(uint64_t address, Access access) {
    TlbBank& bank = mmu_.bank();
    return (access == Access::kStore ? bank.writes : bank.reads)[TlbBank::data_index(address)];
  }
  bool cached(uint64_t address, Access access) {
    const uint64_t tag = address & ~(kPageSize - 1);
    if (access == Access::kFetch) {
      return mmu_.bank().fetch[TlbBank::fetch_index(address)].tag == tag;
    }
    return entry(address, access).tag == tag;
  }

  // A walk by the letter of the specification that leaves no trace: where the address leads, if
  // anywhere. Every PTE on the way must stand in a guarded page, since something is cached.
  std::optional<GuestAddress> reference_walk(uint64_t address, Access access) {
    if (hart_.satp == 0) return GuestAddress(address);
    if (static_cast<uint64_t>(static_cast<int64_t>(address << 25) >> 25) != address) return {};
    uint64_t table = hart_.satp << 12;
    for (unsigned level = 3; level-- > 0;) {
      const unsigned shift = 12 + 9 * level;
      const GuestAddress place((table & ((uint64_t{1} << 56) - 1)) + (address >> shift & 511) * 8);
      if (!memory_.contains(place, 8)) return {};
      EXPECT_TRUE(memory_.has_flag(memory_.page_index(place), PhysicalMemory::kPageTable));
      const auto pte = memory_.load<uint64_t>(place);
      const uint64_t target = pte << 10 >> 20 << 12;
      if ((pte & 1) == 0 || pte >> 54 != 0) return {};
      if ((pte & 0xe) == 0) {
        if ((pte & 0xd0) != 0) return {};
        table = target;
        continue;
      }
      const bool user = hart_.privilege == Privilege::kUser;
      const bool sum = (hart_.sstatus & kStatusSum) != 0;
      const bool mxr = (hart_.sstatus & kStatusMxr) != 0;
      const bool user_page = (pte & kPteUser) != 0;
      if (user != user_page && (user || access == Access::kFetch || !sum)) return {};
      const uint64_t needed = access == Access::kFetch  ? kPteExecute | kPteAccessed
                              : access == Access::kLoad ? kPteRead | kPteAccessed
                                                        : kReadWrite;
      const uint64_t offset_mask = (uint64_t{1} << shift) - 1;
      const uint64_t given = mxr && (pte & kPteExecute) != 0 ? pte | kPteRead : pte;
      if ((given & needed) != needed || (pte & 6) == 4 || (target & offset_mask) != 0) return {};
      return GuestAddress(target | (address & offset_mask));
    }
    return {};
  }

  // Invariants 1, 2 and 4, of the bank in use.
  void expect_bank_is_true() {
    TlbBank& bank = mmu_.bank();
    for (size_t i = 0; i < kDataEntries; ++i) {
      for (const Access access : {Access::kLoad, Access::kStore}) {
        const DataEntry& data = access == Access::kLoad ? bank.reads[i] : bank.writes[i];
        const uint64_t tag = data.tag;
        if (tag == empty_tag(i)) continue;
        ASSERT_EQ(TlbBank::data_index(tag), i);
        const std::optional<GuestAddress> walked = reference_walk(tag, access);
        ASSERT_TRUE(walked) << std::hex << tag;
        // SAFETY: compared as a number only.
        ASSERT_EQ(data.host_page, reinterpret_cast<uint64_t>(memory_.host(*walked)));
        if (access == Access::kLoad) continue;
        const uint64_t page = memory_.page_index(*walked);
        ASSERT_FALSE(memory_.has_flag(page, PhysicalMemory::kPageTable));
        ASSERT_FALSE(memory_.has_flag(page, PhysicalMemory::kCode));
        ASSERT_TRUE(memory_.has_flag(page, PhysicalMemory::kDirty));
      }
    }
    for (size_t i = 0; i < kFetchEntries; ++i) {
      const FetchEntry& fetch = bank.fetch[i];
      if (fetch.tag == empty_tag(i)) continue;
      const std::optional<GuestAddress> walked = reference_walk(fetch.tag, Access::kFetch);
      ASSERT_TRUE(walked) << std::hex << fetch.tag;
      ASSERT_EQ(fetch.physical_page, memory_.page_index(*walked));
    }
  }

  Bytes ram_ = Bytes(kPages * kPageSize);
  PhysicalMemory memory_{kBase, ram_};
  Hart hart_;
  Mmu mmu_{hart_, memory_};
};

TEST_F(MmuTest, BareModeIsTheIdentity) {
  for (const Access access : {Access::kFetch, Access::kLoad, Access::kStore}) {
    EXPECT_EQ(mmu_.translate(0x8000'1234, access).address, GuestAddress(0x8000'1234));
    EXPECT_EQ(mmu_.translate(~uint64_t{0}, access).address, GuestAddress(~uint64_t{0}));
  }
}

TEST_F(MmuTest, WalksAllThreeLevels) {
  PageTables tables(memory_, kTables);
  tables.map(kVirtual, kBase + 5 * kPageSize, kAllRights);
  tables.map(kVirtual + (1 << 21), kBase + (1 << 21), kAllRights, 1);
  tables.map(kUpperHalf, kBase, kAllRights, 2);
  use(tables);
  EXPECT_EQ(mmu_.translate(kVirtual + 0x123, Access::kLoad).address, kBase + 0x5123);
  EXPECT_EQ(mmu_.translate(kVirtual + (1 << 21) + 0x12345, Access::kLoad).address,
            kBase + (1 << 21) + 0x12345);
  EXPECT_EQ(mmu_.translate(kUpperHalf + 0x12345678, Access::kLoad).address, kBase + 0x12345678);
}

TEST_F(MmuTest, AddressesMustBeSignExtended) {
  PageTables tables(memory_, kTables);
  tables.map(kVirtual, kBase, kAllRights);
  tables.map(kUpperHalf, kBase, kAllRights, 2);
  use(tables);
  EXPECT_EQ(fault(kVirtual | uint64_t{1} << 39, Access::kLoad), Cause::kLoadPage);
  EXPECT_EQ(fault(kVirtual | uint64_t{1} << 63, Access::kStore), Cause::kStorePage);
  EXPECT_EQ(fault(kUpperHalf & ~(uint64_t{1} << 63), Access::kFetch), Cause::kFetchPage);
  EXPECT_EQ(fault(kUpperHalf, Access::kLoad), std::nullopt);
}

TEST_F(MmuTest, PtesThatCannotBeAreFaults) {
  PageTables tables(memory_, kTables);
  tables.map(kVirtual, kBase, kAllRights);
  use(tables);
  const GuestAddress leaf = tables.pte_place(kVirtual);
  const auto with_leaf = [&](uint64_t pte) {
    memory_.store(leaf, pte);
    return fault(kVirtual, Access::kLoad);
  };
  EXPECT_EQ(with_leaf(make_pte(kBase, kAllRights)), std::nullopt);
  EXPECT_EQ(with_leaf(make_pte(kBase, kAllRights & ~kPteValid)), Cause::kLoadPage);
  EXPECT_EQ(with_leaf(make_pte(kBase, kAllRights & ~kPteRead)), Cause::kLoadPage);
  EXPECT_EQ(with_leaf(make_pte(kBase, kPteValid)), Cause::kLoadPage) << "a pointer at the end";
  for (unsigned bit = 54; bit < 64; ++bit) {
    EXPECT_EQ(with_leaf(make_pte(kBase, kAllRights) | uint64_t{1} << bit), Cause::kLoadPage);
  }
  memory_.store(leaf, make_pte(kBase, kAllRights));
  const GuestAddress pointer = tables.pte_place(kVirtual, 1);
  const auto good_pointer = memory_.load<uint64_t>(pointer);
  for (const uint64_t bit : {kPteAccessed, kPteDirty, kPteUser}) {
    memory_.store(pointer, good_pointer | bit);
    EXPECT_EQ(fault(kVirtual, Access::kLoad), Cause::kLoadPage);
  }
  memory_.store(pointer, make_pte(GuestAddress(0x1000'0000), kPteValid));
  EXPECT_EQ(fault(kVirtual, Access::kLoad), Cause::kLoadAccess) << "a table outside RAM";
  EXPECT_EQ(fault(kVirtual, Access::kFetch), Cause::kFetchAccess);
  memory_.store(pointer, make_pte(kBase + kPageSize, kAllRights));
  EXPECT_EQ(fault(kVirtual, Access::kLoad), Cause::kLoadPage) << "a superpage out of line";
}

// Svade: nobody sets A and D but the guest.
TEST_F(MmuTest, AccessedAndDirtyClearAreFaultsAndStayClear) {
  PageTables tables(memory_, kTables);
  tables.map(kVirtual, kBase, kAllRights & ~(kPteAccessed | kPteDirty));
  use(tables);
  const GuestAddress leaf = tables.pte_place(kVirtual);
  const Bytes before = ram_;
  EXPECT_EQ(mmu_.fill_data(kVirtual, Access::kLoad).fault, Cause::kLoadPage);
  EXPECT_EQ(mmu_.fill_data(kVirtual, Access::kStore).fault, Cause::kStorePage);
  EXPECT_EQ(mmu_.fill_fetch(kVirtual).fault, Cause::kFetchPage);
  EXPECT_EQ(ram_, before);
  memory_.store(leaf, make_pte(kBase, kAllRights & ~kPteDirty));
  EXPECT_EQ(mmu_.fill_data(kVirtual, Access::kLoad).fault, std::nullopt);
  EXPECT_EQ(mmu_.fill_data(kVirtual, Access::kStore).fault, Cause::kStorePage);
  EXPECT_FALSE(cached(kVirtual, Access::kStore)) << "a load must not admit a store";
  memory_.store(leaf, make_pte(kBase, kAllRights & ~kPteAccessed));
  EXPECT_EQ(mmu_.fill_data(kVirtual, Access::kStore).fault, Cause::kStorePage);
}

// Each right against each kind of page: the table of the privileged specification.
TEST_F(MmuTest, RightsOfUserAndSupervisor) {
  PageTables tables(memory_, kTables);
  tables.map(kVirtual, kBase, kAllRights);
  use(tables);
  for (const uint64_t rights : {kPteRead, kPteRead | kPteWrite, kPteExecute, kPteRead | kPteExecute,
                                kPteRead | kPteWrite | kPteExecute}) {
    for (unsigned mode = 0; mode < 16; ++mode) {
      const bool user_page = (mode & 1) != 0;
      const bool user = (mode & 2) != 0;
      const bool sum = (mode & 4) != 0;
      const bool mxr = (mode & 8) != 0;
      memory_.store(tables.pte_place(kVirtual),
                    make_pte(kBase, kPteValid | kPteAccessed | kPteDirty | rights |
                                        (user_page ? kPteUser : 0)));
      hart_.privilege = user ? Privilege::kUser : Privilege::kSupervisor;
      hart_.sstatus = kStatusUxl64 | (sum ? kStatusSum : 0) | (mxr ? kStatusMxr : 0);
      mmu_.select_bank();
      const bool reachable = user == user_page || (user_page && sum && !user);
      const bool readable = (rights & kPteRead) != 0 || (mxr && (rights & kPteExecute) != 0);
      EXPECT_EQ(!mmu_.fill_data(kVirtual, Access::kLoad).fault, reachable && readable) << mode;
      EXPECT_EQ(!mmu_.fill_data(kVirtual, Access::kStore).fault,
                reachable && (rights & kPteWrite) != 0)
          << mode;
      EXPECT_EQ(!mmu_.fill_fetch(kVirtual).fault, user == user_page && (rights & kPteExecute) != 0)
          << mode;
      expect_bank_is_true();
    }
  }
}

TEST_F(MmuTest, EntriesOfOneRightDoNotServeAnother) {
  PageTables tables(memory_, kTables);
  tables.map(kVirtual, kBase, kAllRights | kPteUser);
  use(tables);
  hart_.sstatus |= kStatusSum;
  mmu_.select_bank();
  ASSERT_FALSE(mmu_.fill_data(kVirtual, Access::kLoad).fault);
  ASSERT_TRUE(cached(kVirtual, Access::kLoad));
  hart_.sstatus &= ~kStatusSum;
  mmu_.select_bank();
  EXPECT_FALSE(cached(kVirtual, Access::kLoad));
  hart_.privilege = Privilege::kUser;
  mmu_.select_bank();
  EXPECT_FALSE(cached(kVirtual, Access::kLoad));
}

TEST_F(MmuTest, AnInvalidPteIsNotCached) {
  PageTables tables(memory_, kTables);
  tables.map(kVirtual, kBase, 0);
  use(tables);
  const GuestAddress leaf = tables.pte_place(kVirtual);
  EXPECT_EQ(mmu_.fill_data(kVirtual, Access::kLoad).fault, Cause::kLoadPage);
  EXPECT_EQ(mmu_.fill_fetch(kVirtual).fault, Cause::kFetchPage);
  EXPECT_FALSE(cached(kVirtual, Access::kLoad));
  EXPECT_FALSE(cached(kVirtual, Access::kFetch));
  memory_.store(leaf, make_pte(kBase, kAllRights));
  EXPECT_EQ(mmu_.fill_data(kVirtual, Access::kLoad).fault, std::nullopt);
  EXPECT_EQ(mmu_.fill_fetch(kVirtual).fault, std::nullopt);
}

TEST_F(MmuTest, AStoreOfTheSameValueDropsNothing) {
  PageTables tables(memory_, kTables);
  tables.map(kVirtual, kBase, kAllRights);
  use(tables);
  mmu_.fill_data(kVirtual, Access::kLoad);
  memory_.store(tables.pte_place(kVirtual), make_pte(kBase, kAllRights));
  EXPECT_TRUE(cached(kVirtual, Access::kLoad));
  memory_.store<uint8_t>(tables.pte_place(kVirtual) + 2, 1);  // one byte of it
  EXPECT_FALSE(cached(kVirtual, Access::kLoad));
}

TEST_F(MmuTest, ChangingOneLeafLeavesItsNeighbours) {
  PageTables tables(memory_, kTables);
  tables.map(kVirtual, kBase, kAllRights);
  tables.map(kVirtual + kPageSize, kBase + kPageSize, kAllRights);
  use(tables);
  mmu_.fill_data(kVirtual, Access::kLoad);
  mmu_.fill_data(kVirtual + kPageSize, Access::kLoad);
  memory_.store(tables.pte_place(kVirtual), make_pte(kBase + 9 * kPageSize, kAllRights));
  EXPECT_FALSE(cached(kVirtual, Access::kLoad));
  EXPECT_TRUE(cached(kVirtual + kPageSize, Access::kLoad));
  EXPECT_EQ(mmu_.statistics().address_space_flushes, 0u);
}

TEST_F(MmuTest, APageOfTablesIsGivenUpAfterManyWritesAndTakenBackByAWalk) {
  constexpr uint64_t kMapped = kVirtual + 300 * kPageSize;
  PageTables tables(memory_, kTables);
  tables.map(kMapped, kBase, kAllRights);
  use(tables);
  mmu_.fill_data(kMapped, Access::kLoad);
  const GuestAddress leaf = tables.pte_place(kMapped);
  const uint64_t page = memory_.page_index(leaf);
  const GuestAddress elsewhere(leaf.value ^ 0x800);  // in the same page, no PTE in use
  for (uint16_t i = 0; i + 1 < Mmu::kRetireAfterWrites; ++i) memory_.store<uint64_t>(elsewhere, 0);
  EXPECT_TRUE(memory_.has_flag(page, PhysicalMemory::kPageTable));
  EXPECT_TRUE(cached(kMapped, Access::kLoad));
  memory_.store<uint64_t>(elsewhere, 0);
  EXPECT_FALSE(memory_.has_flag(page, PhysicalMemory::kPageTable));
  EXPECT_FALSE(cached(kMapped, Access::kLoad)) << "nobody would notice its change";
  EXPECT_EQ(mmu_.statistics().pages_retired, 1u);
  mmu_.fill_data(kMapped, Access::kLoad);
  EXPECT_TRUE(memory_.has_flag(page, PhysicalMemory::kPageTable));
  memory_.store(leaf, uint64_t{0});
  EXPECT_EQ(fault(kMapped, Access::kLoad), Cause::kLoadPage);
  EXPECT_FALSE(cached(kMapped, Access::kLoad));
}

TEST_F(MmuTest, GuardingAPageDropsEveryWayToWriteIt) {
  PageTables tables(memory_, kTables);
  constexpr uint64_t kAliases = 5;
  for (uint64_t i = 0; i < kAliases; ++i) {
    tables.map(kVirtual + i * kPageSize, kBase, kReadWrite);
  }
  use(tables);
  for (uint64_t aliases = 1; aliases <= kAliases; ++aliases) {
    for (uint64_t i = 0; i < aliases; ++i) {
      mmu_.fill_data(kVirtual + i * kPageSize, Access::kStore);
      ASSERT_TRUE(cached(kVirtual + i * kPageSize, Access::kStore));
    }
    mmu_.guard(0, PhysicalMemory::kCode);
    for (uint64_t i = 0; i < aliases; ++i) {
      EXPECT_FALSE(cached(kVirtual + i * kPageSize, Access::kStore));
      mmu_.fill_data(kVirtual + i * kPageSize, Access::kStore);
      EXPECT_FALSE(cached(kVirtual + i * kPageSize, Access::kStore)) << "guarded";
    }
    memory_.clear_flag(0, PhysicalMemory::kCode);
  }
}

TEST_F(MmuTest, DroppingWriteEntriesMakesWritesVisibleAgain) {
  mmu_.fill_data(kBase.value, Access::kStore);
  mmu_.fill_data(kBase.value, Access::kLoad);
  memory_.take_dirty_pages();
  mmu_.drop_write_entries();
  EXPECT_FALSE(cached(kBase.value, Access::kStore));
  EXPECT_TRUE(cached(kBase.value, Access::kLoad));
}

// The walker's invariants under random changes: tables that overlap as tables, as leaves of several
// levels and as data; more address spaces than are kept; every right.
class MmuPropertyTest : public MmuTest {
 protected:
  static constexpr uint64_t kTablePages = 24;
  static constexpr size_t kRoots = Mmu::kAddressSpaces + 4;
  static constexpr std::array<uint64_t, 4> kIndices = {0, 1, 130, 511};

  uint64_t random_index() { return kIndices[random_() % kIndices.size()]; }
  uint64_t random_address() {
    const uint64_t top = random_index();
    const uint64_t address =
        top << 30 | random_index() << 21 | random_index() << 12 | random_() % kPageSize;
    return top >= 256 ? address | ~uint64_t{0} << 39 : address;
  }
  GuestAddress random_table() { return kTables + random_() % kTablePages * kPageSize; }
  uint64_t random_pte() {
    switch (random_() % 8) {
      case 0:
        return random_() % 2 == 0 ? 0 : random_();
      case 1:
      case 2:
      case 3:
        return make_pte(random_table(), kPteValid);
      case 4:
        return make_pte(kBase + (random_() % 2 << 21), random_flags());  // fits level 1
      case 5:
        return make_pte(kBase, random_flags());  // fits level 2
      case 6:
        return make_pte(random_table(), random_flags());
      default:
        return make_pte(kBase + random_() % 16 * kPageSize, random_flags());
    }
  }
  uint64_t random_flags() {
    const uint64_t flags = kAllRights | (random_() % 2 == 0 ? kPteUser : 0);
    if (random_() % 8 == 0) return flags & ~(kPteRead | kPteWrite);  // for MXR
    return random_() % 3 == 0 ? flags & ~(uint64_t{1} << random_() % 8) : flags;
  }
  void change_a_pte() {
    const GuestAddress place = random_table() + random_index() * 8;
    if (random_() % 8 == 0) {
      memory_.store(place + random_() % 8, static_cast<uint8_t>(random_()));
    } else if (random_() % 16 == 0) {  // several at once, as DMA does, out of line
      Bytes bytes(40);
      for (std::byte& byte : bytes) byte = static_cast<std::byte>(random_() % 2 == 0 ? 0 : 0xcf);
      memory_.write(GuestAddress(place.value - 11), bytes);
    } else {
      memory_.store(place, random_pte());
    }
  }
  void change_the_mode() {
    hart_.satp = random_() % 12 == 0 ? 0 : make_satp(kTables + random_() % kRoots * kPageSize);
    hart_.privilege = random_() % 3 == 0 ? Privilege::kUser : Privilege::kSupervisor;
    hart_.sstatus = kStatusUxl64 | (random_() % 2 == 0 ? kStatusSum : 0) |
                    (random_() % 8 == 0 ? kStatusMxr : 0);
    mmu_.select_bank();
  }
  void access() {
    const uint64_t address =
        hart_.satp == 0 ? kBase.value + random_() % ram_.size() : random_address();
    const Translation walked = [&] {
      switch (random_() % 3) {
        case 0:
          return mmu_.fill_data(address, Access::kLoad);
        case 1:
          return mmu_.fill_data(address, Access::kStore);
        default:
          return mmu_.fill_fetch(address);
      }
    }();
    if (walked.fault || !memory_.contains(walked.address, 8) || random_() % 4 != 0) return;
    memory_.write(walked.address, Bytes(1 + random_() % 8, static_cast<std::byte>(random_())));
  }

  std::mt19937_64 random_;
};

TEST_F(MmuPropertyTest, EveryCachedEntryIsWhatAWalkGives) {
  for (uint64_t table = 0; table < kTablePages; ++table) {
    for (const uint64_t index : kIndices) {
      memory_.store(kTables + (table * kPageSize + index * 8), random_pte());
    }
  }
  constexpr int kRounds = 60'000;
  for (int round = 0; round < kRounds; ++round) {
    switch (random_() % 8) {
      case 0:
        change_a_pte();
        break;
      case 1:
        if (random_() % 2 == 0) change_the_mode();
        break;
      case 2:
        if (random_() % 64 == 0) mmu_.flush();
        break;
      case 3:
        if (random_() % 16 == 0) mmu_.guard(random_() % 16, PhysicalMemory::kCode);
        if (random_() % 16 == 0) memory_.clear_flag(random_() % 16, PhysicalMemory::kCode);
        break;
      default:
        access();
    }
    if (random_() % 4 == 0) expect_bank_is_true();
    if (HasFatalFailure()) FAIL() << "after round " << round;
  }
  EXPECT_GT(mmu_.statistics().page_table_writes, 1'000u);
  EXPECT_GT(mmu_.statistics().address_space_flushes, 1'000u);
}

}  // namespace
}  // namespace lockstep::riscv
