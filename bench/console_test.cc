#include "console.h"

#include <gmock/gmock.h>
#include <optional>
#include <thread>
#include <utility>

#include "base/bytes.h"
#include "io/posix/host_clock.h"
#include "io/posix/stream_socket.h"

namespace lockstep::bench {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class ConsoleTest : public testing::Test {
 protected:
  void SetUp() override {
    auto interrupts = posix::Interrupts::create();
    ASSERT_TRUE(interrupts);
    interrupts_.emplace(std::move(*interrupts));
    auto pair = posix::stream_socket_pair();
    ASSERT_TRUE(pair);
    console_.emplace(std::move(pair->first), *interrupts_);
    guest_ = std::move(pair->second);
  }

  void show(std::string_view text) {
    ASSERT_TRUE(posix::send_some(guest_.get(), as_byte_view(text)));
  }

  std::optional<posix::Interrupts> interrupts_;
  std::optional<Console> console_;
  posix::Fd guest_;
};

TEST_F(ConsoleTest, WaitsForATextThatComesInPieces) {
  show("boot\r\nlo");
  const HostTime before = posix::monotonic_now();
  std::jthread guest([&] {
    std::this_thread::sleep_for(milliseconds(50));
    show("gin: more");
  });
  const auto sighting = console_->wait_for("login: ", seconds(20));
  ASSERT_TRUE(sighting) << sighting.error().text();
  EXPECT_EQ(sighting->before, "boot\r\n");
  EXPECT_GE(sighting->when - before, uint64_t{50'000'000});
  EXPECT_TRUE(console_->wait_for("more", seconds(20)));
}

TEST_F(ConsoleTest, SaysWhatWasShownInstead) {
  show("Kernel panic");
  const auto sighting = console_->wait_for("login: ", seconds(0));
  EXPECT_FALSE(sighting);
  const auto later = console_->wait_for("login: ", seconds(1));
  ASSERT_FALSE(later);
  EXPECT_EQ(later.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(later.error().text(), testing::HasSubstr("Kernel panic"));
}

TEST_F(ConsoleTest, AConsoleThatIsClosedEndsTheWait) {
  show("bye");
  guest_.reset();
  const auto sighting = console_->wait_for("login: ", seconds(600));
  ASSERT_FALSE(sighting);
  EXPECT_THAT(sighting.error().text(), testing::HasSubstr("closed"));
}

TEST_F(ConsoleTest, WhatIsTypedArrives) {
  ASSERT_TRUE(console_->type("root\n"));
  std::array<std::byte, 16> buffer;
  const auto got = posix::receive_some(guest_.get(), buffer);
  ASSERT_TRUE(got);
  EXPECT_EQ(as_text(std::span(buffer).first(got->value_or(0))), "root\n");
}

}  // namespace
}  // namespace lockstep::bench
