#include "io/posix/poll_set.h"

#include <gtest/gtest.h>

#include "io/posix/stream_socket.h"

namespace lockstep::posix {
namespace {

TEST(PollSet, TellsWhichAreReadyByIndex) {
  std::pair<Fd, Fd> first = stream_socket_pair().value();
  std::pair<Fd, Fd> second = stream_socket_pair().value();
  PollSet polls;
  polls.begin();
  const size_t quiet = polls.add(first.first.get(), PollSet::kIn);
  const size_t spoken_to = polls.add(second.first.get(), PollSet::kIn | PollSet::kOut);
  polls.end();
  ASSERT_TRUE(send_some(second.second.get(), as_byte_view("x")));
  polls.collect();
  EXPECT_EQ(polls.revents(quiet), 0u);
  EXPECT_EQ(polls.revents(spoken_to), uint32_t{PollSet::kIn} | uint32_t{PollSet::kOut});
}

TEST(PollSet, WhatIsNotListedAgainIsNotWatched) {
  std::pair<Fd, Fd> pair = stream_socket_pair().value();
  PollSet polls;
  polls.begin();
  polls.add(pair.first.get(), PollSet::kOut);
  polls.end();
  polls.begin();
  polls.end();
  PollSet outer;  // sees whether the first one has anything ready
  outer.begin();
  const size_t inner = outer.add(polls.fd(), PollSet::kIn);
  outer.end();
  outer.collect();
  EXPECT_EQ(outer.revents(inner), 0u);
  polls.begin();
  polls.add(pair.first.get(), PollSet::kOut);
  polls.end();
  outer.collect();
  EXPECT_EQ(outer.revents(inner), uint32_t{PollSet::kIn});
}

TEST(PollSet, ANumberThatNamesANewFileIsWatchedAgain) {
  std::pair<Fd, Fd> old_pair = stream_socket_pair().value();
  const int number = old_pair.first.get();
  PollSet polls;
  polls.begin();
  polls.add(number, PollSet::kIn);
  polls.end();
  polls.forget(number);
  old_pair.first.reset();
  std::pair<Fd, Fd> new_pair = stream_socket_pair().value();
  ASSERT_EQ(new_pair.first.get(), number);
  ASSERT_TRUE(send_some(new_pair.second.get(), as_byte_view("x")));
  polls.begin();
  const size_t index = polls.add(number, PollSet::kIn);
  polls.end();
  polls.collect();
  EXPECT_EQ(polls.revents(index), uint32_t{PollSet::kIn});
}

TEST(PollSet, AHangUpIsSeen) {
  std::pair<Fd, Fd> pair = stream_socket_pair().value();
  PollSet polls;
  polls.begin();
  const size_t index = polls.add(pair.first.get(), PollSet::kIn);
  polls.end();
  pair.second.reset();
  polls.collect();
  EXPECT_NE(polls.revents(index) & PollSet::kHangUp, 0u);
}

}  // namespace
}  // namespace lockstep::posix
