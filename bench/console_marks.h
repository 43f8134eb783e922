// How a guest's shell is asked to say where a command begins and ends, and how that is read from
// its console.
//
// The shell prints "<lockstep-bench begin N TIME>" before command N and "<lockstep-bench end N
// STATUS TIME>" after it; TIME is the guest's clock in seconds. What is typed holds the marks only
// in pieces, so that the terminal's echo is not taken for them.
//
// Requires: the shell is bash (EPOCHREALTIME: bash(1), Shell Variables).
//
// Owner: none (pure functions), ConsoleText: one thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace lockstep::bench {

struct CommandNumber {
  unsigned value = 0;
};

struct EndMark {
  int status = 0;      // the command's exit code
  double seconds = 0;  // the guest's clock
};

// One line to type, with its newline. `command` is a list of shell commands on one line.
std::string marked_command(CommandNumber number, std::string_view command);

// What to wait for; the rest of the mark, up to and with '>', follows it.
std::string begin_mark(CommandNumber number);
std::string end_mark(CommandNumber number);

// The rest of a mark, '>' included; nothing when it is no such thing.
std::optional<double> parse_begin_rest(std::string_view rest);
std::optional<EndMark> parse_end_rest(std::string_view rest);

// Terminals end a line with "\r\n".
std::string without_carriage_returns(std::string_view text);

// What a console has shown and nobody has taken yet.
class ConsoleText {
 public:
  // What is kept while nobody finds what he waits for: the last of it.
  static constexpr size_t kMaxBytes = size_t{1} << 20;

  void add(std::string_view text);
  // Everything before `wanted`; that and `wanted` are taken. Nothing: it has not been shown yet.
  std::optional<std::string> take_until(std::string_view wanted);
  // For an error: the last `bytes` of what is left.
  std::string tail(size_t bytes) const;

 private:
  std::string text_;
};

}  // namespace lockstep::bench
