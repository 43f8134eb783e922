#include "riscv/sbi.h"

#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace lockstep::riscv {
namespace {

constexpr GuestAddress kBase{0x80000000};
constexpr uint64_t kBaseExtension = 0x10;
constexpr uint64_t kTime = 0x54494D45;
constexpr uint64_t kIpi = 0x735049;
constexpr uint64_t kRemoteFence = 0x52464E43;
constexpr uint64_t kHartState = 0x48534D;
constexpr uint64_t kSystemReset = 0x53525354;
constexpr uint64_t kDebugConsole = 0x4442434E;
constexpr uint64_t kAllHarts = ~uint64_t{0};

// Standard error codes, SBI 2.0 §3.
constexpr int64_t kSuccess = 0;
constexpr int64_t kFailed = -1;
constexpr int64_t kNotSupported = -2;
constexpr int64_t kInvalidParameter = -3;
constexpr int64_t kAlreadyAvailable = -6;

class SbiTest : public ::testing::Test, public SbiHost {
 protected:
  void debug_console_write(ByteView bytes) override {
    for (const std::byte byte : bytes) console_ += static_cast<char>(byte);
  }
  void system_reset(SbiReset reset) override { resets_.push_back(reset); }

  int64_t call(uint64_t extension, uint64_t function, uint64_t a0 = 0, uint64_t a1 = 0,
               uint64_t a2 = 0) {
    hart_.x[10] = a0;
    hart_.x[11] = a1;
    hart_.x[12] = a2;
    hart_.x[16] = function;
    hart_.x[17] = extension;
    sbi_.call(hart_);
    return static_cast<int64_t>(hart_.x[10]);
  }
  uint64_t value() const { return hart_.x[11]; }

  Bytes ram_ = Bytes(4 * kPageSize);
  PhysicalMemory memory_{kBase, ram_};
  Hart hart_;
  Sbi sbi_{memory_, *this};
  std::string console_;
  std::vector<SbiReset> resets_;
};

TEST_F(SbiTest, BaseTellsVersionTwoAndWhichExtensionsThereAre) {
  EXPECT_EQ(call(kBaseExtension, 0), kSuccess);
  EXPECT_EQ(value(), uint64_t{2} << 24);
  for (const uint64_t extension :
       {kBaseExtension, kTime, kIpi, kRemoteFence, kHartState, kSystemReset, kDebugConsole}) {
    EXPECT_EQ(call(kBaseExtension, 3, extension), kSuccess);
    EXPECT_EQ(value(), 1u) << std::hex << extension;
  }
  for (const uint64_t extension : {uint64_t{0}, uint64_t{1}, uint64_t{0x504D55}, kAllHarts}) {
    EXPECT_EQ(call(kBaseExtension, 3, extension), kSuccess);
    EXPECT_EQ(value(), 0u) << std::hex << extension;
  }
  for (uint64_t function = 4; function <= 6; ++function) {
    EXPECT_EQ(call(kBaseExtension, function), kSuccess);
    EXPECT_EQ(value(), 0u);
  }
  EXPECT_EQ(call(kBaseExtension, 7), kNotSupported);
}

TEST_F(SbiTest, WhatIsNotThereIsNotSupported) {
  for (const uint64_t extension : {uint64_t{0}, uint64_t{8}, uint64_t{0x504D55}, kAllHarts}) {
    EXPECT_EQ(call(extension, 0, 5, 6), kNotSupported);
    EXPECT_EQ(value(), 0u);
  }
  for (const auto& [extension, functions] : {std::pair{kTime, 1},
                                             {kIpi, 1},
                                             {kRemoteFence, 3},
                                             {kHartState, 4},
                                             {kSystemReset, 1},
                                             {kDebugConsole, 3}}) {
    EXPECT_EQ(call(extension, static_cast<uint64_t>(functions)), kNotSupported);
    EXPECT_EQ(call(extension, kAllHarts), kNotSupported);
  }
  EXPECT_TRUE(console_.empty());
  EXPECT_TRUE(resets_.empty());
}

TEST_F(SbiTest, OnlyA0AndA1Change) {
  for (size_t i = 1; i < 32; ++i) hart_.x[i] = 1'000 + i;
  call(kTime, 0, 99);
  for (size_t i = 1; i < 32; ++i) {
    if (i != 10 && i != 11 && i != 12 && i != 16 && i != 17) {
      EXPECT_EQ(hart_.x[i], 1'000 + i);
    }
  }
  EXPECT_EQ(hart_.x[17], kTime);
}

TEST_F(SbiTest, SetTimerSetsStimecmp) {
  hart_.time.set_anchor(Step(0), GuestTicks(10), uint64_t{1} << 32);
  EXPECT_EQ(call(kTime, 0, 5), kSuccess);
  EXPECT_TRUE(hart_.timer_interrupt());
  EXPECT_EQ(call(kTime, 0, 50), kSuccess);
  EXPECT_FALSE(hart_.timer_interrupt()) << "a time to come clears the interrupt";
  EXPECT_EQ(hart_.stimecmp, GuestTicks(50));
}

TEST_F(SbiTest, AnInterruptGoesToHartZeroOnlyWhenItIsNamed) {
  EXPECT_EQ(call(kIpi, 0, 0, 0), kSuccess);
  EXPECT_FALSE(hart_.software_interrupt);
  EXPECT_EQ(call(kIpi, 0, 2, 0), kInvalidParameter);
  EXPECT_EQ(call(kIpi, 0, 1, 1), kInvalidParameter);
  EXPECT_FALSE(hart_.software_interrupt);
  EXPECT_EQ(call(kIpi, 0, 1, 0), kSuccess);
  EXPECT_TRUE(hart_.software_interrupt);
  hart_.software_interrupt = false;
  EXPECT_EQ(call(kIpi, 0, 0, kAllHarts), kSuccess);
  EXPECT_TRUE(hart_.software_interrupt);
}

TEST_F(SbiTest, RemoteFencesNeedHartsThatExist) {
  for (uint64_t function = 0; function < 3; ++function) {
    EXPECT_EQ(call(kRemoteFence, function, 1, 0), kSuccess);
    EXPECT_EQ(call(kRemoteFence, function, 0, kAllHarts), kSuccess);
    EXPECT_EQ(call(kRemoteFence, function, 3, 0), kInvalidParameter);
    EXPECT_EQ(call(kRemoteFence, function, 1, 64), kInvalidParameter);
  }
}

TEST_F(SbiTest, ThereIsOneHartAndItRuns) {
  EXPECT_EQ(call(kHartState, 0, 0), kAlreadyAvailable);
  EXPECT_EQ(call(kHartState, 0, 1), kInvalidParameter);
  EXPECT_EQ(call(kHartState, 1), kFailed);
  EXPECT_EQ(call(kHartState, 2, 0), kSuccess);
  EXPECT_EQ(value(), 0u);
  EXPECT_EQ(call(kHartState, 2, 1), kInvalidParameter);
  EXPECT_FALSE(hart_.waiting);
}

// SBI 2.0 §9.4, table "HSM hart suspend types".
TEST_F(SbiTest, SuspendWaitsOrSaysWhyNot) {
  constexpr uint64_t kNonRetentive = 0x80000000;
  EXPECT_EQ(call(kHartState, 3, kNonRetentive), kNotSupported);
  EXPECT_EQ(call(kHartState, 3, 1), kInvalidParameter) << "reserved";
  EXPECT_EQ(call(kHartState, 3, kNonRetentive + 1), kInvalidParameter) << "reserved";
  EXPECT_FALSE(hart_.waiting);
  EXPECT_EQ(call(kHartState, 3, 0), kSuccess);
  EXPECT_TRUE(hart_.waiting);
}

TEST_F(SbiTest, SystemResetReachesTheHost) {
  EXPECT_EQ(call(kSystemReset, 0, 0, 0), kSuccess);
  EXPECT_EQ(call(kSystemReset, 0, 0, 1), kSuccess);
  EXPECT_EQ(call(kSystemReset, 0, 1, 0), kSuccess);
  EXPECT_EQ(call(kSystemReset, 0, 2, 1), kSuccess);
  EXPECT_EQ(resets_, (std::vector{SbiReset::kShutdown, SbiReset::kFailure, SbiReset::kReboot,
                                  SbiReset::kReboot}));
  EXPECT_EQ(call(kSystemReset, 0, 3, 0), kInvalidParameter);
  EXPECT_EQ(call(kSystemReset, 0, 0, 2), kInvalidParameter);
  EXPECT_EQ(resets_.size(), 4u);
}

TEST_F(SbiTest, DebugConsoleWritesAtMostItsLimitAndOnlyFromRam) {
  const std::string text = "hello";
  memory_.write(kBase + 100, as_byte_view(text));
  EXPECT_EQ(call(kDebugConsole, 0, text.size(), kBase.value + 100), kSuccess);
  EXPECT_EQ(value(), text.size());
  EXPECT_EQ(console_, text);

  console_.clear();
  EXPECT_EQ(call(kDebugConsole, 0, Sbi::kMaxConsoleWrite + 1, kBase.value), kSuccess);
  EXPECT_EQ(value(), Sbi::kMaxConsoleWrite);
  EXPECT_EQ(console_.size(), Sbi::kMaxConsoleWrite);

  console_.clear();
  EXPECT_EQ(call(kDebugConsole, 0, 1, kBase.value, 1), kInvalidParameter);
  EXPECT_EQ(call(kDebugConsole, 0, 2, kBase.value + ram_.size() - 1), kInvalidParameter);
  EXPECT_EQ(call(kDebugConsole, 0, 1, 0x1000), kInvalidParameter);
  EXPECT_EQ(call(kDebugConsole, 0, kAllHarts, kBase.value - 1), kInvalidParameter);
  EXPECT_TRUE(console_.empty());

  EXPECT_EQ(call(kDebugConsole, 1, 10, kBase.value), kSuccess);
  EXPECT_EQ(value(), 0u) << "input comes by the UART";
  EXPECT_EQ(call(kDebugConsole, 2, 'x'), kSuccess);
  EXPECT_EQ(value(), 0u);
  EXPECT_EQ(console_, "x");
}

}  // namespace
}  // namespace lockstep::riscv
