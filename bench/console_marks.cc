#include "console_marks.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>

namespace lockstep::bench {
namespace {

// Takes a number and the character after it from the front of `text`.
template <typename Number>
std::optional<Number> take_number(std::string_view& text, char after) {
  Number number{};
  const char* end = text.data() + text.size();
  const auto [next, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || next == end || *next != after) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(next + 1 - text.data()));
  return number;
}

}  // namespace

std::string marked_command(CommandNumber number, std::string_view command) {
  return fmt::format(
      "echo \"<lockstep-\"\"bench begin {0} $EPOCHREALTIME>\"; {1}; "
      "echo \"<lockstep-\"\"bench end {0} $? $EPOCHREALTIME>\"\n",
      number.value, command);
}

std::string begin_mark(CommandNumber number) {
  return fmt::format("<lockstep-bench begin {} ", number.value);
}

std::string end_mark(CommandNumber number) {
  return fmt::format("<lockstep-bench end {} ", number.value);
}

std::optional<double> parse_begin_rest(std::string_view rest) {
  const auto seconds = take_number<double>(rest, '>');
  return rest.empty() ? seconds : std::nullopt;
}

std::optional<EndMark> parse_end_rest(std::string_view rest) {
  const auto status = take_number<int>(rest, ' ');
  if (!status) return std::nullopt;
  const auto seconds = take_number<double>(rest, '>');
  if (!seconds || !rest.empty()) return std::nullopt;
  return EndMark{.status = *status, .seconds = *seconds};
}

std::string without_carriage_returns(std::string_view text) {
  std::string result(text);
  std::erase(result, '\r');
  return result;
}

void ConsoleText::add(std::string_view text) {
  text_ += text;
  if (text_.size() > 2 * kMaxBytes) text_.erase(0, text_.size() - kMaxBytes);
}

std::optional<std::string> ConsoleText::take_until(std::string_view wanted) {
  const size_t found = text_.find(wanted);
  if (found == std::string::npos) return std::nullopt;
  std::string before = text_.substr(0, found);
  text_.erase(0, found + wanted.size());
  return before;
}

std::string ConsoleText::tail(size_t bytes) const {
  return text_.substr(text_.size() - std::min(bytes, text_.size()));
}

}  // namespace lockstep::bench
