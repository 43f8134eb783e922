#include "base/error.h"

namespace lockstep {

std::string Error::text() const {
  std::string text = what;
  if (!object.empty()) text += " " + object;
  if (!advice.empty()) text += ": " + advice;
  return text;
}

const char* to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalid:
      return "invalid";
    case ErrorCode::kNotFound:
      return "not-found";
    case ErrorCode::kInUse:
      return "in-use";
    case ErrorCode::kCorrupt:
      return "corrupt";
    case ErrorCode::kIncompatible:
      return "incompatible";
    case ErrorCode::kUnavailable:
      return "unavailable";
    case ErrorCode::kNoSpace:
      return "no-space";
    case ErrorCode::kDiverged:
      return "diverged";
    case ErrorCode::kSystem:
      return "system";
  }
  return "unknown";
}

}  // namespace lockstep
