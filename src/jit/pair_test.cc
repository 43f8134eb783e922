// Pairs of instructions that are translated as one: what they compute, stops between them, and that
// the second can be entered by itself.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <limits>
#include <random>

#include "jit/testing/every_step.h"

namespace lockstep::jit {
namespace {

using namespace lockstep::riscv;
using namespace lockstep::riscv::testing;
using jit::testing::run_to_each_step;
using jit::testing::run_to_the_end;

// A register of the host's, one in memory, and the one that is always zero.
constexpr uint8_t kRegisters[] = {kA0, kT3, kZero};

void fill_registers(TestGuest& g) {
  std::mt19937_64 random(1);
  for (uint8_t i = 1; i < 32; ++i) g.hart.x[i] = random();
  g.hart.x[kS0] = TestGuest::kData.value;
}

TEST(Pairs, OfShiftsGiveTheSameBits) {
  for (const uint8_t source : {kA0, kA1, kT3, kT4, kZero}) {
    for (const uint8_t rd : kRegisters) {
      SCOPED_TRACE(fmt::format("x{} of x{}", rd, source));
      constexpr uint64_t kStepsOfAll = 1600;
      const auto guest = run_to_the_end(kStepsOfAll, [&](TestGuest& g) {
        fill_registers(g);
        Assembler code(TestGuest::kCode);
        for (const int32_t left : {1, 16, 31, 32, 33, 40, 48, 55, 56, 57, 63}) {
          for (const int32_t right : {0, 1, 16, 24, 31, 32, 33, 40, 47, 48, 49, 56, 57, 63}) {
            code.emit(immediate_form(Opcode::kSlli, rd, source, left));
            code.emit(immediate_form(Opcode::kSrli, rd, rd, right));
            code.store(Opcode::kSd, rd, kS0);
            if (source == rd) code.op(Opcode::kXor, rd, rd, kA5);
            code.addi(kS0, kS0, 8);
          }
        }
        code.addi(kS2, kZero, 1);
        code.spin();
        g.put(code);
      });
      EXPECT_EQ(guest->hart.x[kS2], 1u) << "too few steps";
      if (HasFailure()) return;
    }
  }
}

TEST(Pairs, OfAnUpperImmediateAndItsLowerPart) {
  constexpr int32_t kLowest = std::numeric_limits<int32_t>::min();
  for (const uint8_t rd : kRegisters) {
    for (const uint8_t other : {kA1, kT4}) {
      SCOPED_TRACE(fmt::format("x{}, x{}", rd, other));
      constexpr uint64_t kStepsOfAll = 1000;
      const auto guest = run_to_the_end(kStepsOfAll, [&](TestGuest& g) {
        fill_registers(g);
        Assembler code(TestGuest::kCode);
        int32_t place = 0;
        for (const Opcode upper : {Opcode::kLui, Opcode::kAuipc}) {
          for (const int32_t high : {0, 0x1000, 0x7ffff000, kLowest, -0x1000, 0x12345000}) {
            for (const int32_t low : {0, 1, 2047, -1, -2048}) {
              for (const Opcode second : {Opcode::kAddi, Opcode::kAddiw}) {
                code.emit(immediate_form(upper, rd, 0, high));
                code.emit(immediate_form(second, rd, rd, low));
                code.store(Opcode::kSd, rd, kS0, place);
                // What is no pair: into another register.
                code.emit(immediate_form(upper, rd, 0, high));
                code.emit(immediate_form(second, other, rd, low));
              }
            }
            place += 8;
            code.store(Opcode::kSd, other, kS0, place);
            place += 8;
          }
        }
        code.addi(kS2, kZero, 1);
        code.spin();
        g.put(code);
      });
      EXPECT_EQ(guest->hart.x[kS2], 1u) << "too few steps";
      if (HasFailure()) return;
    }
  }
}

TEST(Pairs, OfAnUpperImmediateAndAJump) {
  // Within the page, to the next, and to an odd address, which loses its lowest bit.
  struct Case {
    const char* name;
    uint64_t place;   // of the pair
    uint64_t target;  // from the start of the code
  };
  for (const Case& tested :
       {Case{"forwards in the page", 0x40, 0x100}, Case{"backwards in the page", 0x200, 0x100},
        Case{"to the next page", 0x40, 0x1800}, Case{"two pages back", 0x2ff0, 0x900},
        Case{"across the page's end", 0xffc, 0x200}, Case{"to an odd address", 0x40, 0x101}}) {
    for (const uint8_t link : {kRa, kA0, kT1, kZero}) {
      for (const uint8_t scratch : {kRa, kA0, kT1}) {
        SCOPED_TRACE(fmt::format("{}, x{} by x{}", tested.name, link, scratch));
        run_to_each_step(24, [&](TestGuest& g) {
          fill_registers(g);
          const uint64_t start = TestGuest::kCode.value;
          Assembler code{GuestAddress(start + tested.place)};
          const auto distance = static_cast<int64_t>(tested.target - tested.place);
          const int64_t low = (distance << 52) >> 52;
          code.emit(
              immediate_form(Opcode::kAuipc, scratch, 0, static_cast<int32_t>(distance - low)));
          code.jalr(link, scratch, static_cast<int32_t>(low));
          code.addi(kA2, kA2, 1);
          code.spin();
          g.put(code);
          Assembler target{GuestAddress(start + (tested.target & ~uint64_t{1}))};
          target.addi(kA3, kA3, 1);
          target.op(Opcode::kAdd, kA4, kA4, link);
          // Once more, by the second instruction alone, with another value in its register.
          target.addi(kA6, kA6, 1);
          target.branch(Opcode::kBne, kA6, kA7, target.here() + 12);
          target.li(scratch, start + tested.target - static_cast<uint64_t>(low));
          target.jal(kZero, start + tested.place + 4);
          target.spin();
          g.put(target);
          g.hart.x[kA6] = 0;
          g.hart.x[kA7] = 1;
          g.hart.pc = start + tested.place;
        });
        if (HasFailure()) return;
      }
    }
  }
}

TEST(Pairs, CanBeLeftAndEnteredInBetween) {
  run_to_each_step(60, [](TestGuest& g) {
    fill_registers(g);
    g.hart.x[kS2] = 4;
    Assembler code(TestGuest::kCode);
    code.emit(immediate_form(Opcode::kAndi, kA5, kS2, 1));
    code.branch(Opcode::kBne, kA5, kZero, code.here() + 8);
    code.emit(immediate_form(Opcode::kSlli, kA0, kA1, 48));
    code.emit(immediate_form(Opcode::kSrli, kA0, kA0, 40));  // entered every other turn
    code.op(Opcode::kAdd, kA2, kA2, kA0);
    code.branch(Opcode::kBne, kA5, kZero, code.here() + 8);
    code.emit(immediate_form(Opcode::kLui, kT3, 0, 0x7ffff000));
    code.emit(immediate_form(Opcode::kAddiw, kT3, kT3, -1));
    code.op(Opcode::kAdd, kA3, kA3, kT3);
    code.addi(kS2, kS2, -1);
    code.branch(Opcode::kBne, kS2, kZero, TestGuest::kCode.value);
    code.spin();
    g.put(code);
  });
}

}  // namespace
}  // namespace lockstep::jit
