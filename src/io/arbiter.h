// Port: the arbiter, which decides who is live (design §6).
//
// It keeps, per VM, one register {epoch, owner} with one operation: acquire moves the epoch from
// `from` to `from + 1`, atomically, for one caller. Epochs are never given back, so no crash leaves
// a lock behind.
//
// Invariants
//   1. Per VM and epoch at most one Arbiter object is ever told kWon.
//   2. acquire() may be repeated: an object that has won `from + 1`, and asks from `from` again
//      (the first answer was lost), is told kWon again as long as nobody has won a later epoch.
//   3. kUnreachable says nothing: the acquisition may or may not have happened. Ask again.
//
// Calls may block. Owner: one thread at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/error.h"
#include "base/types.h"

namespace lockstep::io {

struct AcquireResult {
  struct Won {
    Epoch epoch;  // from + 1
    bool operator==(const Won&) const = default;
  };
  struct Lost {
    Epoch epoch;  // where the register stands
    std::string owner;
    bool operator==(const Lost&) const = default;
  };
  struct Unreachable {
    Error error;
  };
  std::variant<Won, Lost, Unreachable> value;

  static AcquireResult won(Epoch epoch) { return {Won{epoch}}; }
  static AcquireResult lost(Epoch epoch, std::string owner) {
    return {Lost{epoch, std::move(owner)}};
  }
  static AcquireResult unreachable(Error error) { return {Unreachable{std::move(error)}}; }
};

struct ArbiterRegister {
  Epoch epoch;        // 0: nobody has ever been live
  std::string owner;  // a node
  bool operator==(const ArbiterRegister&) const = default;
};

class Arbiter {
 public:
  virtual ~Arbiter() = default;
  virtual Result<ArbiterRegister> read(std::string_view vm) = 0;
  virtual AcquireResult acquire(std::string_view vm, Epoch from, std::string_view node) = 0;
};

}  // namespace lockstep::io
