#include "machine/device_tree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libfdt.h>
#include <string>
#include <vector>

namespace lockstep::machine {
namespace {

using ::testing::ElementsAre;

// The property of the hart as the guest finds it; empty when it is not there.
std::string hart_property(const BoardDescription& board, const char* name) {
  const Bytes tree = make_device_tree(board, {}, 2);
  int length = 0;
  const int node = fdt_path_offset(tree.data(), "/cpus/cpu@0");
  const void* value = fdt_getprop(tree.data(), node, name, &length);
  return value == nullptr
             ? std::string()
             : std::string(static_cast<const char*>(value), static_cast<size_t>(length));
}

std::vector<std::string> texts_of(const std::string& joined) {
  std::vector<std::string> texts;
  for (size_t begin = 0; begin < joined.size(); begin += texts.back().size() + 1) {
    texts.emplace_back(joined.c_str() + begin);
  }
  return texts;
}

BoardDescription board_with(riscv::IsaExtensions isa) {
  BoardDescription board;
  board.memory_bytes = kMinMemory;
  board.isa = isa;
  return board;
}

TEST(DeviceTree, TellsWhatTheHartOffers) {
  const BoardDescription board = board_with(riscv::kAllExtensions);
  EXPECT_THAT(texts_of(hart_property(board, "riscv,isa")),
              ElementsAre("rv64imafdc_zicboz_zicntr_zicond_zicsr_zifencei_zba_zbb_zbs_sstc_svade_"
                          "svvptc"));
  EXPECT_THAT(texts_of(hart_property(board, "riscv,isa-base")), ElementsAre("rv64i"));
  EXPECT_THAT(texts_of(hart_property(board, "riscv,isa-extensions")),
              ElementsAre("i", "m", "a", "f", "d", "c", "zicboz", "zicntr", "zicond", "zicsr",
                          "zifencei", "zba", "zbb", "zbs", "sstc", "svade", "svvptc"));
  EXPECT_EQ(hart_property(board, "riscv,cboz-block-size"), std::string("\0\0\0\x40", 4));
}

TEST(DeviceTree, DoesNotTellWhatTheBoardLeavesOut) {
  const BoardDescription board = board_with({riscv::IsaExtension::kZbb});
  EXPECT_THAT(texts_of(hart_property(board, "riscv,isa")),
              ElementsAre("rv64imafdc_zicntr_zicsr_zifencei_zbb_sstc_svade"));
  EXPECT_THAT(texts_of(hart_property(board, "riscv,isa-extensions")),
              ElementsAre("i", "m", "a", "f", "d", "c", "zicntr", "zicsr", "zifencei", "zbb",
                          "sstc", "svade"));
  EXPECT_EQ(hart_property(board, "riscv,cboz-block-size"), "");
}

TEST(Board, TheIsaIsPartOfTheFingerprint) {
  EXPECT_NE(board_with({}).fingerprint(), board_with(riscv::kAllExtensions).fingerprint());
  EXPECT_EQ(board_with({}).fingerprint(), board_with({}).fingerprint());
}

}  // namespace
}  // namespace lockstep::machine
