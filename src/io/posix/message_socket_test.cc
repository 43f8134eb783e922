#include "io/posix/message_socket.h"

#include <algorithm>
#include <deque>
#include <gtest/gtest.h>
#include <optional>
#include <string>
#include <sys/socket.h>
#include <vector>

#include "io/posix/stream_socket.h"

namespace lockstep::posix {
namespace {

constexpr MessageLimits kLimits{.max_message_bytes = 100'000, .max_queued_bytes = 300'000};

// The pattern of message `number`: its length and bytes follow from the number.
std::string pattern(size_t number, size_t size) {
  std::string text(size, '\0');
  for (size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + (number + i) % 26);
  return text;
}

class MessageSocketTest : public ::testing::Test {
 protected:
  MessageSocketTest() {
    std::pair<Fd, Fd> pair = stream_socket_pair().value();
    near_fd_ = std::move(pair.first);
    far_fd_ = std::move(pair.second);
    timeout_ = loop_.at(EventLoop::now() + 20'000'000'000, [this] {
      ADD_FAILURE() << "the test did not end";
      loop_.stop();
    });
  }

  MessageSocket::Callbacks receiver() {
    return {.on_message =
                [this](ByteView message) {
                  received_.emplace_back(as_text(message));
                  if (received_.size() == expected_) loop_.stop();
                },
            .on_closed =
                [this](const Error& reason) {
                  closed_ = reason;
                  loop_.stop();
                },
            .on_drained = {},
            .on_batch_end = [this] { ++batches_; }};
  }

  EventLoop loop_;
  EventLoop::TimerId timeout_ = 0;
  Fd near_fd_;
  Fd far_fd_;
  std::vector<std::string> received_;
  size_t expected_ = 0;
  size_t batches_ = 0;
  std::optional<Error> closed_;
};

TEST_F(MessageSocketTest, MessagesArriveWholeAndInOrder) {
  MessageSocket sender(loop_, std::move(near_fd_), kLimits, {.on_message = [](ByteView) {}});
  MessageSocket reader(loop_, std::move(far_fd_), kLimits, receiver());
  expected_ = 4;
  EXPECT_TRUE(sender.send(as_byte_view("one")));
  EXPECT_TRUE(sender.send({as_byte_view("t"), as_byte_view(""), as_byte_view("wo")}));
  EXPECT_TRUE(sender.send(ByteView{}));
  EXPECT_TRUE(sender.send(as_byte_view(pattern(3, 100'000))));
  loop_.run();
  EXPECT_EQ(received_, (std::vector<std::string>{"one", "two", "", pattern(3, 100'000)}));
}

TEST_F(MessageSocketTest, ShortWritesAreFinishedByTheLoop) {
  // The smallest kernel buffer: almost every write is a short one.
  const int small = 1;
  ::setsockopt(near_fd_.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
  MessageSocket reader(loop_, std::move(far_fd_), kLimits, receiver());
  expected_ = 200;
  size_t next = 0;
  std::optional<MessageSocket> sender;
  const auto fill = [&] {
    while (next < expected_ && sender->send(as_byte_view(pattern(next, next * 331)))) {
      ++next;
      EXPECT_LE(sender->queued_bytes(), kLimits.max_queued_bytes);
    }
  };
  sender.emplace(
      loop_, std::move(near_fd_), kLimits,
      MessageSocket::Callbacks{.on_message = [](ByteView) {}, .on_closed = {}, .on_drained = fill});
  fill();
  EXPECT_LT(next, expected_);  // the limit was met
  loop_.run();
  ASSERT_EQ(received_.size(), expected_);
  for (size_t i = 0; i < expected_; ++i) EXPECT_EQ(received_[i], pattern(i, i * 331));
}

TEST_F(MessageSocketTest, APeerThatStopsReadingFillsTheQueueAndNoMore) {
  MessageSocket sender(loop_, std::move(near_fd_), kLimits, {.on_message = [](ByteView) {}});
  MessageSocket reader(loop_, std::move(far_fd_), kLimits, receiver());
  reader.pause_reading();
  size_t taken = 0;
  while (sender.send(as_byte_view(pattern(taken, 9'000)))) ++taken;
  EXPECT_GT(sender.queued_bytes(), kLimits.max_queued_bytes - 9'004);
  EXPECT_LE(sender.queued_bytes(), kLimits.max_queued_bytes);
  EXPECT_FALSE(sender.send(as_byte_view(pattern(taken, 9'000))));  // and it is not half taken

  expected_ = taken;
  reader.resume_reading();
  loop_.run();
  ASSERT_EQ(received_.size(), taken);
  for (size_t i = 0; i < taken; ++i) EXPECT_EQ(received_[i], pattern(i, 9'000));
}

TEST_F(MessageSocketTest, PauseInsideABatchKeepsTheRest) {
  MessageSocket sender(loop_, std::move(near_fd_), kLimits, {.on_message = [](ByteView) {}});
  std::optional<MessageSocket> reader;
  reader.emplace(loop_, std::move(far_fd_), kLimits,
                 MessageSocket::Callbacks{.on_message = [&](ByteView message) {
                   received_.emplace_back(as_text(message));
                   reader->pause_reading();
                   loop_.stop();
                 }});
  for (const char* text : {"one", "two", "three"}) ASSERT_TRUE(sender.send(as_byte_view(text)));
  loop_.run();
  ASSERT_EQ(received_, std::vector<std::string>{"one"});
  reader->resume_reading();
  EXPECT_EQ(received_.size(), 1u);  // not from inside the call
}

TEST_F(MessageSocketTest, WhatArrivedBeforeTheEndIsDeliveredEvenAcrossAPause) {
  {
    MessageSocket sender(loop_, std::move(near_fd_), kLimits, {.on_message = [](ByteView) {}});
    for (size_t i = 0; i < 50; ++i) ASSERT_TRUE(sender.send(as_byte_view(pattern(i, 100))));
  }
  std::optional<MessageSocket> reader;
  MessageSocket::Callbacks callbacks = receiver();
  callbacks.on_message = [&](ByteView message) {
    received_.emplace_back(as_text(message));
    // The peer is gone: this send fails, and must not cost the messages that are still to come.
    EXPECT_FALSE(reader->send(as_byte_view("answer")));
    reader->pause_reading();
    loop_.at(EventLoop::now(), [&] { reader->resume_reading(); });
  };
  reader.emplace(loop_, std::move(far_fd_), kLimits, std::move(callbacks));
  loop_.run();
  EXPECT_EQ(received_.size(), 50u);
  ASSERT_TRUE(closed_);
  EXPECT_EQ(closed_->code, ErrorCode::kUnavailable);
}

TEST_F(MessageSocketTest, AMessageLongerThanAllowedClosesTheConnection) {
  MessageSocket reader(loop_, std::move(far_fd_), {.max_message_bytes = 8, .max_queued_bytes = 99},
                       receiver());
  const char raw[] = "\x03\0\0\0abc\x09\0\0\0ninebytes";
  ASSERT_TRUE(send_some(near_fd_.get(), as_byte_view({raw, sizeof raw - 1})));
  loop_.run();
  EXPECT_EQ(received_, std::vector<std::string>{"abc"});
  ASSERT_TRUE(closed_);
  EXPECT_EQ(closed_->code, ErrorCode::kCorrupt);
  EXPECT_NE(closed_->text().find("9 bytes"), std::string::npos);
  EXPECT_FALSE(reader.send(as_byte_view("late")));
}

TEST_F(MessageSocketTest, AnEndInsideAMessageIsNotAnOrderlyOne) {
  MessageSocket reader(loop_, std::move(far_fd_), kLimits, receiver());
  ASSERT_TRUE(send_some(near_fd_.get(), as_byte_view({"\x05\0\0\0ab", 6})));
  near_fd_.reset();
  loop_.run();
  EXPECT_TRUE(received_.empty());
  ASSERT_TRUE(closed_);
  EXPECT_EQ(closed_->code, ErrorCode::kCorrupt);
}

TEST_F(MessageSocketTest, BytesOneByOneMakeTheSameMessages) {
  MessageSocket reader(loop_, std::move(far_fd_), kLimits, receiver());
  const std::string_view raw("\x03\0\0\0abc\0\0\0\0\x01\0\0\0z", 16);
  size_t sent = 0;
  std::function<void()> step = [&] {
    ASSERT_TRUE(send_some(near_fd_.get(), as_byte_view(raw.substr(sent, 1))));
    if (++sent < raw.size()) loop_.at(EventLoop::now(), step);
  };
  expected_ = 3;
  loop_.at(EventLoop::now(), step);
  loop_.run();
  EXPECT_EQ(received_, (std::vector<std::string>{"abc", "", "z"}));
}

TEST_F(MessageSocketTest, HeldMessagesLeaveTogether) {
  MessageSocket sender(loop_, std::move(near_fd_), kLimits, {.on_message = [](ByteView) {}});
  MessageSocket reader(loop_, std::move(far_fd_), kLimits, receiver());
  sender.hold();
  for (size_t i = 0; i < 100; ++i) ASSERT_TRUE(sender.send(as_byte_view(pattern(i, 50))));
  EXPECT_EQ(sender.queued_bytes(), 5'400u);
  sender.release();
  EXPECT_EQ(sender.queued_bytes(), 0u);
  expected_ = 100;
  loop_.run();
  EXPECT_EQ(received_.size(), 100u);
  EXPECT_LE(batches_, 1u);  // one read had them all; the loop stopped inside it
}

TEST_F(MessageSocketTest, ACallbackMayDestroyTheSocket) {
  std::optional<MessageSocket> reader;
  MessageSocket sender(loop_, std::move(near_fd_), kLimits,
                       {.on_message = [](ByteView) {},
                        .on_closed = [&](const Error&) { loop_.stop(); },
                        .on_drained = {}});
  reader.emplace(loop_, std::move(far_fd_), kLimits,
                 MessageSocket::Callbacks{.on_message = [&](ByteView message) {
                   received_.emplace_back(as_text(message));
                   reader.reset();
                 }});
  ASSERT_TRUE(sender.send(as_byte_view("one")));
  ASSERT_TRUE(sender.send(as_byte_view("two")));
  loop_.run();
  EXPECT_EQ(received_, std::vector<std::string>{"one"});
}

}  // namespace
}  // namespace lockstep::posix
