#include "io/posix/code_memory.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace lockstep::posix {
namespace {

constexpr size_t kCodeBytes = 64 << 10;
constexpr size_t kTableBytes = 16 << 10;
constexpr uint64_t kLowEnd = uint64_t{1} << 31;

struct Mapping {
  uint64_t start = 0;
  uint64_t end = 0;
  std::string rights;  // "r-xs"
  std::string name;
};

std::vector<Mapping> mappings() {
  std::vector<Mapping> result;
  std::ifstream file("/proc/self/maps");
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    Mapping mapping;
    char dash = 0;
    std::string skipped;
    fields >> std::hex >> mapping.start >> dash >> mapping.end >> mapping.rights;
    for (int i = 0; i < 3; ++i) fields >> skipped;
    std::getline(fields >> std::ws, mapping.name);
    result.push_back(mapping);
  }
  return result;
}

size_t of_code() {
  return static_cast<size_t>(std::ranges::count_if(mappings(), [](const Mapping& mapping) {
    return mapping.name.find("lockstep-code") != std::string::npos;
  }));
}

bool covered(uint64_t address, const char* rights) {
  return std::ranges::any_of(mappings(), [&](const Mapping& mapping) {
    return mapping.start <= address && address < mapping.end && mapping.rights == rights;
  });
}

uint64_t number(const void* place) {
  // SAFETY: only the numeric address is used.
  return reinterpret_cast<uintptr_t>(place);
}

CodeMemory make() {
  auto memory = CodeMemory::create(kCodeBytes, kTableBytes);
  EXPECT_TRUE(memory) << memory.error().text();
  return std::move(*memory);
}

int call(uint32_t address) {
  // SAFETY: the test wrote a function of this signature there.
  return reinterpret_cast<int (*)()>(static_cast<uintptr_t>(address))();
}

TEST(CodeMemory, NoMappingIsWritableAndExecutable) {
  const CodeMemory memory = make();
  for (const Mapping& mapping : mappings()) {
    EXPECT_FALSE(mapping.rights[1] == 'w' && mapping.rights[2] == 'x') << mapping.name;
  }
  EXPECT_EQ(of_code(), 2u);
  EXPECT_TRUE(covered(memory.code_address(), "r-xs"));
  EXPECT_TRUE(covered(number(memory.writable_code().data()), "rw-s"));
  EXPECT_TRUE(covered(number(memory.tables().data()), "rw-p"));
}

TEST(CodeMemory, CodeAndTablesLieBelow2GiB) {
  const CodeMemory memory = make();
  EXPECT_LE(uint64_t{memory.code_address()} + kCodeBytes, kLowEnd);
  EXPECT_LE(number(memory.tables().data()) + kTableBytes, kLowEnd);
  EXPECT_EQ(CodeMemory::address_of(memory.tables().data()), number(memory.tables().data()));
  EXPECT_EQ(memory.writable_code().size(), kCodeBytes);
  EXPECT_EQ(memory.tables().size(), kTableBytes);
}

TEST(CodeMemory, WhatIsWrittenThroughOneMappingRunsThroughTheOther) {
  const CodeMemory memory = make();
  // mov eax, 42; ret: in the first and in the last bytes.
  constexpr std::array<uint8_t, 6> kFunction = {0xb8, 42, 0, 0, 0, 0xc3};
  for (const size_t offset : {size_t{0}, kCodeBytes - kFunction.size()}) {
    std::memcpy(memory.writable_code().data() + offset, kFunction.data(), kFunction.size());
    EXPECT_EQ(call(memory.code_address() + static_cast<uint32_t>(offset)), 42);
  }
}

TEST(CodeMemory, TablesAreZeroed) {
  const CodeMemory memory = make();
  EXPECT_TRUE(std::ranges::all_of(memory.tables(), [](std::byte b) { return b == std::byte{}; }));
}

TEST(CodeMemory, IsFreedAtTheEndAndOnlyOnce) {
  EXPECT_EQ(of_code(), 0u);
  {
    CodeMemory first = make();
    CodeMemory second = make();
    EXPECT_EQ(of_code(), 4u);
    const uint32_t address = second.code_address();
    first = std::move(second);
    EXPECT_EQ(first.code_address(), address);
    const CodeMemory third(std::move(first));
    EXPECT_EQ(third.code_address(), address);
    EXPECT_TRUE(covered(address, "r-xs"));
  }
  EXPECT_EQ(of_code(), 0u);
}

TEST(CodeMemory, WhatCannotBeHadIsAnErrorAndLeavesNothing) {
  constexpr size_t kTooMuchBelow2GiB = size_t{4} << 30;
  const auto code = CodeMemory::create(kTooMuchBelow2GiB, kTableBytes);
  ASSERT_FALSE(code);
  EXPECT_EQ(code.error().code, ErrorCode::kSystem);
  EXPECT_NE(code.error().text().find("--engine interpreter"), std::string::npos);
  EXPECT_FALSE(CodeMemory::create(kCodeBytes, kTooMuchBelow2GiB));
  EXPECT_EQ(of_code(), 0u);
}

TEST(CodeMemoryDeathTest, AnAddressAbove2GiBIsNoPlaceInIt) {
  const CodeMemory memory = make();
  EXPECT_DEATH(static_cast<void>(CodeMemory::address_of(&memory)), "CHECK");
}

}  // namespace
}  // namespace lockstep::posix
