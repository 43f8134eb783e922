#include "process_memory.h"

#include <gtest/gtest.h>

#include "io/posix/anonymous_memory.h"

namespace lockstep::bench {
namespace {

constexpr std::string_view kSmaps =
    "5581a000-5581b000 r-xp 00000000 fe:00 1234      /usr/bin/vmm\n"
    "Size:                  4 kB\n"
    "KernelPageSize:        4 kB\n"
    "Rss:                   4 kB\n"
    "Pss:                   2 kB\n"
    "Pss_Dirty:             1 kB\n"
    "VmFlags: rd ex mr mw me\n"
    "7f0000000000-7f0004000000 rw-p 00000000 00:00 0\n"
    "Size:              65536 kB\n"
    "Rss:               30000 kB\n"
    "Pss:               30000 kB\n"
    "7f0010000000-7f0010300000 rw-p 00000000 00:00 0\n"
    "Size:               3072 kB\n"
    "Pss:                1000 kB\n";

TEST(ProcessMemory, TheGuestsRamIsToldFromTheRest) {
  const auto memory = parse_smaps(kSmaps, uint64_t{64} << 20);
  ASSERT_TRUE(memory);
  EXPECT_EQ(memory->guest_ram_bytes, uint64_t{30000} << 10);
  EXPECT_EQ(memory->other_bytes, uint64_t{1002} << 10);
}

TEST(ProcessMemory, NoOrTwoMappingsOfThatSizeAreAnError) {
  EXPECT_FALSE(parse_smaps(kSmaps, uint64_t{128} << 20));
  EXPECT_FALSE(parse_smaps(std::string(kSmaps) + std::string(kSmaps), uint64_t{64} << 20));
  EXPECT_FALSE(parse_smaps("", uint64_t{64} << 20));
}

TEST(ProcessMemory, OfThisProcess) {
  constexpr size_t kRamBytes = (size_t{96} << 20) + 4096;
  constexpr size_t kTouchedBytes = size_t{8} << 20;
  auto ram = posix::AnonymousMemory::create(kRamBytes);
  ASSERT_TRUE(ram);
  for (size_t i = 0; i < kTouchedBytes; i += 4096) ram->bytes()[i] = std::byte{1};
  const auto memory = process_memory(posix::this_process(), kRamBytes);
  ASSERT_TRUE(memory) << memory.error().text();
  EXPECT_GE(memory->guest_ram_bytes, kTouchedBytes);
  EXPECT_LE(memory->guest_ram_bytes, kRamBytes);
  EXPECT_GT(memory->other_bytes, 0U);
}

}  // namespace
}  // namespace lockstep::bench
