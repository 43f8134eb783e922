// Exit codes of every program of this project. They are part of the interface: a number never
// changes its meaning (docs/errors.md).
//
// Owner: none (constants).
#pragma once

#include "base/error.h"

namespace lockstep::api {

inline constexpr int kExitSuccess = 0;
// 1 is left to crashes and to what no ErrorCode describes.

constexpr int exit_code(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalid:
      return 2;
    case ErrorCode::kNotFound:
      return 3;
    case ErrorCode::kInUse:
      return 4;
    case ErrorCode::kCorrupt:
      return 5;
    case ErrorCode::kIncompatible:
      return 6;
    case ErrorCode::kUnavailable:
      return 7;
    case ErrorCode::kNoSpace:
      return 8;
    case ErrorCode::kDiverged:
      return 9;
    case ErrorCode::kSystem:
      return 10;
  }
  return 1;
}

}  // namespace lockstep::api
