// Arbiter in a directory on storage that all nodes share (design §6): local, or NFS.
//
// The register of a VM is the highest of the files <directory>/<vm>/epoch-<20 digits>. A claim is
// written to a file of its own, made durable, and then given the epoch's name by link(2), which the
// file system does atomically and for one claimant only: a reader finds a whole claim or none, and
// a crash at any moment leaves either no claim or a complete one. Nothing is ever locked.
//
// Invariants
//   1. The newest epoch file is never removed. Of the older ones the last kKeptEpochs stay.
//   2. A claim carries an identity of this object. "It exists" about one's own claim means success:
//      an NFS client that repeats a request can report the success of the first try as EEXIST.
//   3. kWon is only said of a claim that is durable, and has no higher epoch beside it.
//   4. Whatever fails, no claim file stays behind, except by a crash; those are swept when they are
//      kStaleClaimSeconds old.
//
// Calls block on the file system. Owner: one thread at a time. Format: docs/formats/arbiter.md.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "io/arbiter.h"

namespace lockstep::posix {

class DirectoryArbiter final : public io::Arbiter {
 public:
  static constexpr uint64_t kKeptEpochs = 16;
  static constexpr int64_t kStaleClaimSeconds = 600;
  static constexpr size_t kMaxNameBytes = 200;    // of a VM or a node
  static constexpr size_t kMaxClaimBytes = 1024;  // of a file

  // For tests: called before each system call that changes or reads the directory, with its name.
  // Not 0: the call is not made, and fails with this errno.
  using Interceptor = std::function<int(std::string_view call)>;

  // `directory` exists; what is below it is made as needed.
  explicit DirectoryArbiter(std::string directory, Interceptor interceptor = {});

  Result<io::ArbiterRegister> read(std::string_view vm) override;
  io::AcquireResult acquire(std::string_view vm, Epoch from, std::string_view node) override;

 private:
  const std::string directory_;
  const Interceptor interceptor_;
  const std::string claim_id_;
  uint64_t claims_made_ = 0;
};

}  // namespace lockstep::posix
