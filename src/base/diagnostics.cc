#include "base/diagnostics.h"

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fmt/chrono.h>
#include <unistd.h>

namespace lockstep {
namespace {

Severity initial_threshold() {
  const char* debug = std::getenv("LOCKSTEP_DEBUG");
  return debug != nullptr && debug[0] == '1' ? Severity::kDebug : Severity::kInfo;
}

std::atomic<Severity>& threshold() {
  static std::atomic<Severity> value{initial_threshold()};
  return value;
}

std::string& process_name() {
  static std::string name = "lockstep";
  return name;
}

const char* severity_name(Severity severity) {
  switch (severity) {
    case Severity::kDebug:
      return "debug";
    case Severity::kInfo:
      return "info";
    case Severity::kWarning:
      return "warning";
    case Severity::kError:
      return "error";
  }
  return "?";
}

}  // namespace

void set_diagnostics_name(std::string name) {
  process_name() = std::move(name);
}

void set_diagnostics_threshold(Severity value) {
  threshold().store(value);
}

bool diagnostics_enabled(Severity severity) {
  return severity >= threshold().load();
}

void write_diagnostic(Severity severity, std::string_view text) {
  const auto now =
      std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
  const auto seconds = std::chrono::time_point_cast<std::chrono::seconds>(now);
  const std::string line =
      fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:06}Z {}[{}] {}: {}\n", seconds, (now - seconds).count(),
                  process_name(), ::getpid(), severity_name(severity), text);
  std::fwrite(line.data(), 1, line.size(), stderr);
}

}  // namespace lockstep
