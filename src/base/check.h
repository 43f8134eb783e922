// CHECK: a condition that only a bug can break. Stays on in release builds and stops the process:
// for a replica a crash is the safe answer, since the other one goes on.
#pragma once

namespace lockstep {

[[noreturn]] void check_failed(const char* condition, const char* file, int line);

}  // namespace lockstep

#define CHECK(condition)                               \
  (static_cast<bool>(condition) ? static_cast<void>(0) \
                                : ::lockstep::check_failed(#condition, __FILE__, __LINE__))
