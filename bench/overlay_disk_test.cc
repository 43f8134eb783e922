#include "overlay_disk.h"

#include <gtest/gtest.h>

namespace lockstep::bench {
namespace {

// Every byte holds its sector's number; nothing may be written.
class NumberedSectors final : public io::Disk {
 public:
  uint64_t size() const override { return 4096; }
  Status read(uint64_t offset, std::span<std::byte> out) override {
    for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::byte>((offset + i) / 512);
    return {};
  }
  Status write(uint64_t, ByteView) override { return refuse(); }
  Status flush() override { return refuse(); }
  Status discard(uint64_t, uint64_t) override { return refuse(); }

 private:
  static Status refuse() { return fail(ErrorCode::kInvalid, "only to be read", "base"); }
};

TEST(OverlayDisk, ReadsWhatWasWrittenOverTheImage) {
  OverlayDisk disk(std::make_unique<NumberedSectors>());
  EXPECT_EQ(disk.size(), 4096u);
  ASSERT_TRUE(disk.write(1024, Bytes(1024, std::byte{0xaa})));
  ASSERT_TRUE(disk.discard(2560, 512));
  ASSERT_TRUE(disk.flush());
  Bytes all(4096);
  ASSERT_TRUE(disk.read(0, all));
  const std::byte expected[] = {std::byte{0}, std::byte{1}, std::byte{0xaa}, std::byte{0xaa},
                                std::byte{4}, std::byte{0}, std::byte{6},    std::byte{7}};
  for (size_t i = 0; i < all.size(); ++i) ASSERT_EQ(all[i], expected[i / 512]) << i;
  Bytes part(512);
  ASSERT_TRUE(disk.read(1536, part));
  EXPECT_EQ(part, Bytes(512, std::byte{0xaa}));
}

}  // namespace
}  // namespace lockstep::bench
