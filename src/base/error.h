// Operating errors: a disk, a peer, a file, a configuration that is not as it should be.
//
// An operating error is a value. A bug is a CHECK (base/check.h). What a guest does wrong is
// neither: it becomes architectural state. No exception crosses a room.
//
// An Error says what failed, on which object, and what to do next. Owner: none (values).
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <utility>

namespace lockstep {

// Stable: the client's exit codes follow from it (docs/errors.md).
enum class ErrorCode : uint8_t {
  kInvalid,       // the user or a file asked for something that cannot be
  kNotFound,      // a named object does not exist
  kInUse,         // another process or VM holds it
  kCorrupt,       // bytes that do not check
  kIncompatible,  // a version or kind that this build does not speak
  kUnavailable,   // a peer, an arbiter or a service does not answer
  kNoSpace,       // a disk, a buffer or a table is full
  kDiverged,      // two replicas are not in the same state
  kSystem,        // the operating system refused; the text carries its reason
};

struct Error {
  ErrorCode code = ErrorCode::kSystem;
  std::string what;    // "cannot open the disk image"
  std::string object;  // "guest/redis.img"
  std::string advice;  // "check the path in [[disk]]"; may be empty

  // "cannot open the disk image guest/redis.img: check the path in [[disk]]"
  std::string text() const;
};

template <typename T>
using Result = std::expected<T, Error>;
using Status = std::expected<void, Error>;

inline std::unexpected<Error> fail(ErrorCode code, std::string what, std::string object,
                                   std::string advice = {}) {
  return std::unexpected(Error{code, std::move(what), std::move(object), std::move(advice)});
}

const char* to_string(ErrorCode code);

}  // namespace lockstep
