#include "riscv/physical_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>

namespace lockstep::riscv {
namespace {

using ::testing::ElementsAre;

constexpr GuestAddress kBase{0x80000000};
constexpr size_t kPages = 4;

class PhysicalMemoryTest : public ::testing::Test {
 protected:
  Bytes ram_ = Bytes(kPages * kPageSize);
  PhysicalMemory memory_{kBase, ram_};
};

// Notes what it is told, and what stood in memory at that moment.
class RecordingObserver : public WriteObserver {
 public:
  explicit RecordingObserver(const PhysicalMemory& memory) : memory_(memory) {}

  void before_code_write(GuestAddress address, size_t size) override {
    events.push_back("code " + std::to_string(address - kBase) + "+" + std::to_string(size));
    old_byte = memory_.load<uint8_t>(address);
  }
  void before_page_table_write(GuestAddress address, ByteView bytes) override {
    events.push_back("table " + std::to_string(address - kBase) + "+" +
                     std::to_string(bytes.size()));
    new_byte = std::to_integer<uint8_t>(bytes[0]);
    old_byte = memory_.load<uint8_t>(address);
  }

  std::vector<std::string> events;
  uint8_t old_byte = 0xff;
  uint8_t new_byte = 0xff;

 private:
  const PhysicalMemory& memory_;
};

TEST_F(PhysicalMemoryTest, ContainsExactlyTheRam) {
  const uint64_t size = ram_.size();
  EXPECT_TRUE(memory_.contains(kBase, size));
  EXPECT_TRUE(memory_.contains(kBase + (size - 1), 1));
  EXPECT_FALSE(memory_.contains(kBase + (size - 1), 2));
  EXPECT_FALSE(memory_.contains(kBase + size, 0));
  EXPECT_FALSE(memory_.contains(kBase - 1, 1));
  EXPECT_FALSE(memory_.contains(kBase, size + 1));
  EXPECT_FALSE(memory_.contains(GuestAddress{0}, 8));
  EXPECT_FALSE(memory_.contains(GuestAddress{~uint64_t{0}}, ~size_t{0}));
  EXPECT_FALSE(memory_.contains(kBase + 8, ~size_t{0}));
}

TEST_F(PhysicalMemoryTest, ReadsWhatWasWrittenAcrossPages) {
  Bytes data(kPageSize + 100);
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::byte>(i * 7 + 1);
  ASSERT_TRUE(memory_.write(kBase + (kPageSize - 50), data));
  Bytes back(data.size());
  ASSERT_TRUE(memory_.read(kBase + (kPageSize - 50), back));
  EXPECT_EQ(back, data);
  EXPECT_THAT(memory_.take_dirty_pages(), ElementsAre(0, 1, 2));
}

TEST_F(PhysicalMemoryTest, RefusesRangesThatLeaveRamAndChangesNothing) {
  const Bytes ones(16, std::byte{1});
  EXPECT_FALSE(memory_.write(kBase + (ram_.size() - 8), ones));
  EXPECT_FALSE(memory_.write(kBase - 8, ones));
  Bytes out(16, std::byte{9});
  EXPECT_FALSE(memory_.read(kBase + (ram_.size() - 8), out));
  EXPECT_EQ(out, Bytes(16, std::byte{9}));
  EXPECT_EQ(ram_, Bytes(ram_.size()));
  EXPECT_TRUE(memory_.take_dirty_pages().empty());
}

TEST_F(PhysicalMemoryTest, LoadsAndStoresLittleEndian) {
  memory_.store<uint32_t>(kBase + 4, 0x11223344);
  EXPECT_EQ(memory_.load<uint8_t>(kBase + 4), 0x44);
  EXPECT_EQ(memory_.load<uint16_t>(kBase + 6), 0x1122);
}

TEST_F(PhysicalMemoryTest, TakingDirtyPagesClearsThem) {
  memory_.store<uint8_t>(kBase + 3 * kPageSize, 1);
  EXPECT_TRUE(memory_.has_flag(3, PhysicalMemory::kDirty));
  EXPECT_THAT(memory_.take_dirty_pages(), ElementsAre(3));
  EXPECT_TRUE(memory_.take_dirty_pages().empty());
}

TEST_F(PhysicalMemoryTest, WritePointerMarksDirtyAndIsRefusedWhileGuarded) {
  std::byte* pointer = memory_.write_pointer(kBase + kPageSize + 12);
  ASSERT_NE(pointer, nullptr);
  *pointer = std::byte{0x5a};
  EXPECT_EQ(memory_.load<uint8_t>(kBase + kPageSize + 12), 0x5a);
  EXPECT_THAT(memory_.take_dirty_pages(), ElementsAre(1));

  for (auto flag : {PhysicalMemory::kCode, PhysicalMemory::kPageTable}) {
    memory_.set_flag(1, flag);
    EXPECT_EQ(memory_.write_pointer(kBase + kPageSize), nullptr);
    EXPECT_FALSE(memory_.has_flag(1, PhysicalMemory::kDirty));
    memory_.clear_flag(1, flag);
  }
  EXPECT_NE(memory_.write_pointer(kBase + kPageSize), nullptr);
}

TEST_F(PhysicalMemoryTest, TellsTheObserverBeforeTheBytesChangePageByPage) {
  RecordingObserver observer(memory_);
  memory_.set_observer(&observer);
  memory_.set_flag(1, PhysicalMemory::kCode);
  memory_.set_flag(2, PhysicalMemory::kPageTable);

  memory_.store<uint8_t>(kBase, 1);
  EXPECT_TRUE(observer.events.empty());

  ASSERT_TRUE(memory_.write(kBase + (2 * kPageSize - 4), Bytes(12, std::byte{7})));
  EXPECT_THAT(observer.events, ElementsAre("code 8188+4", "table 8192+8"));
  EXPECT_EQ(observer.old_byte, 0);
  EXPECT_EQ(observer.new_byte, 7);
  EXPECT_EQ(memory_.load<uint8_t>(kBase + 2 * kPageSize), 7);
  EXPECT_TRUE(memory_.has_flag(2, PhysicalMemory::kDirty));
}

}  // namespace
}  // namespace lockstep::riscv
