#include "console_marks.h"

#include <gmock/gmock.h>

namespace lockstep::bench {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::Optional;

TEST(ConsoleMarks, WhatIsTypedDoesNotHoldTheMarks) {
  const CommandNumber number{7};
  const std::string typed = marked_command(number, "true");
  EXPECT_THAT(typed, Not(HasSubstr(begin_mark(number))));
  EXPECT_THAT(typed, Not(HasSubstr(end_mark(number))));
  EXPECT_EQ(typed.back(), '\n');
}

TEST(ConsoleMarks, TheShellsAnswerIsRead) {
  const CommandNumber number{12};
  ConsoleText text;
  text.add("# echo ...\r\n<lockstep-bench begin 12 1795180262.25>\r\nresult\r\n");
  text.add("<lockstep-bench end 12 3 1795180263.");
  EXPECT_TRUE(text.take_until(begin_mark(number)));
  const auto begin = text.take_until("\r\n");
  ASSERT_TRUE(begin);
  EXPECT_THAT(parse_begin_rest(*begin), Optional(1795180262.25));
  const auto output = text.take_until(end_mark(number));
  ASSERT_TRUE(output);
  EXPECT_EQ(without_carriage_returns(*output), "result\n");
  EXPECT_FALSE(text.take_until("\r\n"));
  text.add("75>\r\n");
  const auto end = text.take_until("\r\n");
  ASSERT_TRUE(end);
  const auto mark = parse_end_rest(*end);
  ASSERT_TRUE(mark);
  EXPECT_EQ(mark->status, 3);
  EXPECT_EQ(mark->seconds, 1795180263.75);
  EXPECT_EQ(text.tail(100), "");
}

TEST(ConsoleMarks, AnotherCommandsMarkIsNotTaken) {
  ConsoleText text;
  text.add("<lockstep-bench end 1 0 5>\r\n<lockstep-bench end 11 0 5>\r\n");
  EXPECT_FALSE(text.take_until(begin_mark({1})));
  EXPECT_FALSE(text.take_until(end_mark({111})));
  EXPECT_THAT(text.take_until(end_mark({11})), Optional(HasSubstr("end 1 0 5>")));
}

TEST(ConsoleMarks, DamagedMarksAreRefused) {
  for (const char* rest : {"", ">", "x>", "1.5", "1.5 >", "1.5>x", "[    3.2] 1.5>"}) {
    EXPECT_FALSE(parse_begin_rest(rest)) << rest;
  }
  for (const char* rest : {"", "0>", "0 >", "0 x>", "0 1.5", " 0 1.5>", "0 1.5>x", "0  1.5>"}) {
    EXPECT_FALSE(parse_end_rest(rest)) << rest;
  }
}

TEST(ConsoleText, IsBoundedAndKeepsTheLast) {
  ConsoleText text;
  const std::string chunk(ConsoleText::kMaxBytes, 'x');
  for (int i = 0; i < 3; ++i) text.add(chunk);
  text.add("end");
  EXPECT_EQ(text.tail(5), "xxend");
  const auto taken = text.take_until("end");
  ASSERT_TRUE(taken);
  EXPECT_LE(taken->size(), 2 * ConsoleText::kMaxBytes);
  EXPECT_GE(taken->size(), ConsoleText::kMaxBytes);
}

}  // namespace
}  // namespace lockstep::bench
