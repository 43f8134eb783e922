// Diagnostics: what a process tells its operator, one line each, on standard error.
//
//   2026-05-04T12:00:00.123456Z primary[4711] warning: the backup is 80 ms behind
//
// A line is written whole by one write, so lines of several processes in one file stay whole.
// Thread-safe. Never called from inside the machine: it reads a clock.
#pragma once

#include <fmt/format.h>
#include <string>
#include <string_view>
#include <utility>

namespace lockstep {

enum class Severity : unsigned char { kDebug, kInfo, kWarning, kError };

// The name before the pid, "gateway" or "replica-a". Call once, before threads start.
void set_diagnostics_name(std::string name);
// Lines below it are dropped. The default is kInfo; LOCKSTEP_DEBUG=1 in the environment makes it
// kDebug.
void set_diagnostics_threshold(Severity threshold);
bool diagnostics_enabled(Severity severity);
void write_diagnostic(Severity severity, std::string_view text);

template <typename... Args>
void diagnose(Severity severity, fmt::format_string<Args...> format, Args&&... args) {
  if (!diagnostics_enabled(severity)) return;
  write_diagnostic(severity, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace lockstep
