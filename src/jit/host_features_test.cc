#include "jit/host_features.h"

#include <array>
#include <cstdlib>
#include <gtest/gtest.h>
#include <immintrin.h>
#include <optional>
#include <string>

#include "io/posix/code_memory.h"
#include "jit/x64/assembler.h"

namespace lockstep::jit {
namespace {

using x64::Alu;
using x64::Reg;

constexpr size_t kBytes = 4096;

class Serialize : public testing::TestWithParam<Serialization> {
 protected:
  void SetUp() override {
    if (GetParam() == Serialization::kInstruction &&
        host_serialization() != Serialization::kInstruction) {
      GTEST_SKIP() << "this host has no SERIALIZE";
    }
    auto memory = posix::CodeMemory::create(kBytes, kBytes);
    ASSERT_TRUE(memory) << memory.error().text();
    memory_.emplace(std::move(*memory));
  }
  x64::Assembler at_start() const {
    return {{memory_->writable_code(), memory_->code_address()}, {}};
  }
  uint64_t call() const {
    // SAFETY: the test wrote a function of this signature there.
    return reinterpret_cast<uint64_t (*)()>(static_cast<uintptr_t>(memory_->code_address()))();
  }

  std::optional<posix::CodeMemory> memory_;
};

INSTANTIATE_TEST_SUITE_P(EachWay, Serialize,
                         testing::Values(Serialization::kInstruction,
                                         Serialization::kInterruptReturn),
                         [](const auto& tested) {
                           return tested.param == Serialization::kInstruction ? "Instruction"
                                                                              : "InterruptReturn";
                         });

TEST_P(Serialize, WhatWasWrittenLastRunsBehindIt) {
  constexpr uint64_t kTurns = 10'000;
  for (uint64_t turn = 0; turn < kTurns; ++turn) {
    x64::Assembler code = at_start();
    code.mov_imm(Reg::kRax, turn);
    code.ret();
    serialize_processor(GetParam());
    ASSERT_EQ(call(), turn);
  }
}

// Source of what a callee keeps: System V ABI, AMD64 supplement, "Registers".
TEST_P(Serialize, KeepsWhatACalleeKeeps) {
  constexpr std::array kKept = {Reg::kRbx, Reg::kRbp, Reg::kR12, Reg::kR13, Reg::kR14, Reg::kR15};
  const auto pattern = [](size_t i) { return 0x0123456789abcdef * (2 * i + 3); };
  const x64::Mem saved_rsp =
      x64::at_absolute(posix::CodeMemory::address_of(memory_->tables().data()));
  x64::Assembler code = at_start();
  for (const Reg reg : kKept) code.push(reg);
  code.alu_imm(Alu::kSub, Reg::kRsp, 8);
  code.mov(saved_rsp, Reg::kRsp);
  for (size_t i = 0; i < kKept.size(); ++i) code.mov_imm(kKept[i], pattern(i));
  code.mov_imm(Reg::kRdi, static_cast<uint64_t>(GetParam()));
  // SAFETY: only the address of the function is used, to call it.
  code.mov_imm(Reg::kRax, reinterpret_cast<uint64_t>(&serialize_processor));
  code.call(Reg::kRax);
  // rax: a bit for each difference.
  code.zero(Reg::kRax);
  for (size_t i = 0; i < kKept.size(); ++i) {
    code.mov_imm(Reg::kRcx, pattern(i));
    code.alu(Alu::kXor, kKept[i], Reg::kRcx);
    code.alu(Alu::kOr, Reg::kRax, kKept[i]);
  }
  code.mov(Reg::kRcx, Reg::kRsp);
  code.alu(Alu::kXor, Reg::kRcx, saved_rsp);
  code.alu(Alu::kOr, Reg::kRax, Reg::kRcx);
  code.mov(Reg::kRsp, saved_rsp);
  code.alu_imm(Alu::kAdd, Reg::kRsp, 8);
  for (auto reg = kKept.rbegin(); reg != kKept.rend(); ++reg) code.pop(*reg);
  code.ret();
  ASSERT_TRUE(code.ok());

  const unsigned mxcsr = _mm_getcsr();
  constexpr unsigned kTowardZeroAndInexact = 0x6000 | 0x20;
  _mm_setcsr(mxcsr | kTowardZeroAndInexact);
  const uint64_t differences = call();
  const unsigned mxcsr_behind = _mm_getcsr();
  _mm_setcsr(mxcsr);
  EXPECT_EQ(differences, 0u);
  EXPECT_EQ(mxcsr_behind, mxcsr | kTowardZeroAndInexact);
}

// RAII: LOCKSTEP_HOST_FEATURES as this says.
class MaskedTo {
 public:
  explicit MaskedTo(const char* mask) {
    if (const char* was = std::getenv(kName)) was_ = was;
    ::setenv(kName, mask, 1);
  }
  ~MaskedTo() {
    if (was_) {
      ::setenv(kName, was_->c_str(), 1);
    } else {
      ::unsetenv(kName);
    }
  }
  MaskedTo(const MaskedTo&) = delete;
  MaskedTo& operator=(const MaskedTo&) = delete;

 private:
  static constexpr const char* kName = "LOCKSTEP_HOST_FEATURES";
  std::optional<std::string> was_;
};

std::array<bool, 5> list(const HostFeatures& features) {
  return {features.fma, features.bmi2, features.bmi1, features.lzcnt, features.popcnt};
}

TEST(HostFeaturesTest, AMaskTakesAwayWhatItDoesNotName) {
  const auto all = [] {
    const MaskedTo mask("fma,bmi2,bmi1,lzcnt,popcnt");
    return HostFeatures::probe();
  }();
  const MaskedTo none("none");
  EXPECT_EQ(list(HostFeatures::probe()), list(HostFeatures{}));
  const MaskedTo two("bmi2,popcnt");
  EXPECT_EQ(list(HostFeatures::probe()),
            (std::array<bool, 5>{false, all.bmi2, false, false, all.popcnt}));
}

}  // namespace
}  // namespace lockstep::jit
