#include "base/state_visitors.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

enum class Mode : uint8_t { kOff, kOn };

struct Component {
  uint32_t number = 0;
  bool flag = false;
  Mode mode = Mode::kOff;
  Step step;
  uint16_t table[3] = {};
  Bytes text;
  std::vector<uint8_t> list;

  static constexpr size_t kMaxText = 8;
  static constexpr uint64_t kMaxList = 4;

  void visit_state(StateVisitor& visitor) {
    visitor.enter("component", 7);
    visitor.field("number", number);
    visitor.field("flag", flag);
    visitor.field("mode", mode);
    visitor.field("step", step);
    visitor.field("table", table);
    visitor.blob("text", text, kMaxText);
    visitor.enter("list", 0);
    list.resize(visitor.count("size", list.size(), kMaxList));
    for (uint8_t& element : list) visitor.field("element", element);
    visitor.leave();
    visitor.leave();
  }
  bool operator==(const Component&) const = default;
};

Component busy() {
  return {.number = 0x01020304,
          .flag = true,
          .mode = Mode::kOn,
          .step = Step(99),
          .table = {1, 2, 3},
          .text = {std::byte{'h'}, std::byte{'i'}},
          .list = {5, 6}};
}

Bytes saved(Component component) {
  Bytes bytes;
  StateWriter writer(bytes);
  component.visit_state(writer);
  return bytes;
}

Hash128 digest(Component component) {
  StateHasher hasher;
  component.visit_state(hasher);
  return hasher.digest();
}

StateLister listed(Component component) {
  StateLister lister;
  component.visit_state(lister);
  return lister;
}

TEST(StateVisitors, RestoreOfSaveIsTheIdentity) {
  const Bytes bytes = saved(busy());
  Component restored;
  restored.list = {1, 2, 3, 4};
  StateReader reader(bytes, "test");
  restored.visit_state(reader);
  EXPECT_TRUE(reader.finish().has_value());
  EXPECT_EQ(restored, busy());
}

TEST(StateVisitors, EveryTruncationFailsAndNamesTheField) {
  const Bytes bytes = saved(busy());
  for (size_t size = 0; size < bytes.size(); ++size) {
    Component restored;
    StateReader reader(ByteView(bytes).first(size), "snapshot.bin");
    restored.visit_state(reader);
    const Status status = reader.finish();
    ASSERT_FALSE(status.has_value()) << size;
    EXPECT_EQ(status.error().code, ErrorCode::kCorrupt);
    EXPECT_NE(status.error().text().find("component[7]."), std::string::npos);
    EXPECT_NE(status.error().text().find("snapshot.bin"), std::string::npos);
  }
}

TEST(StateVisitors, BytesLeftOverFail) {
  Bytes bytes = saved(busy());
  bytes.push_back(std::byte{0});
  Component restored;
  StateReader reader(bytes, "test");
  restored.visit_state(reader);
  EXPECT_FALSE(reader.finish().has_value());
}

TEST(StateVisitors, AnotherComponentFailsAndChangesNothing) {
  Bytes bytes;
  StateWriter writer(bytes);
  writer.enter("other", 7);
  Component restored = busy();
  StateReader reader(bytes, "test");
  restored.visit_state(reader);
  EXPECT_FALSE(reader.finish().has_value());
  EXPECT_EQ(restored, busy());
}

TEST(StateVisitors, ListsAndBlobsOverTheirLimitFail) {
  Component big_list = busy();
  big_list.list.resize(2);
  Bytes bytes = saved(big_list);
  // The count of the list stands right before its two elements.
  bytes[bytes.size() - 2 - 8] = std::byte{200};
  Component restored;
  StateReader reader(bytes, "test");
  restored.visit_state(reader);
  ASSERT_FALSE(reader.finish().has_value());
  EXPECT_NE(reader.finish().error().text().find("component[7].list[0].size"), std::string::npos);
  EXPECT_TRUE(restored.list.empty());
}

TEST(StateVisitors, ABoolIsRestoredAsABool) {
  Bytes bytes;
  StateWriter writer(bytes);
  uint8_t odd = 0x82;
  writer.field("flag", odd);
  bool flag = false;
  StateReader reader(bytes, "test");
  reader.field("flag", flag);
  EXPECT_EQ(static_cast<int>(flag), 1);
}

TEST(StateVisitors, DigestChangesWithEveryField) {
  const Hash128 original = digest(busy());
  EXPECT_EQ(original, digest(busy()));
  Component changed = busy();
  changed.flag = false;
  EXPECT_NE(original, digest(changed));
  changed = busy();
  changed.text.push_back(std::byte{0});
  EXPECT_NE(original, digest(changed));
  changed = busy();
  changed.list[1] = 7;
  EXPECT_NE(original, digest(changed));
}

TEST(StateVisitors, ListerNamesTheFirstDifference) {
  EXPECT_EQ(first_difference(listed(busy()), listed(busy())), std::nullopt);
  Component changed = busy();
  changed.table[1] = 0x1234;
  changed.list[0] = 1;
  EXPECT_EQ(first_difference(listed(busy()), listed(changed)),
            "component[7].table: 0x000300020001 against 0x000312340001");
  changed = busy();
  changed.list.pop_back();
  EXPECT_EQ(first_difference(listed(busy()), listed(changed)),
            "component[7].list[0].size: 0x0000000000000002 against 0x0000000000000001");
}

}  // namespace
}  // namespace lockstep
