// Runs blocks on both sides, finds the first record in which they differ, and the instruction that
// made the difference.
//
// Owner: one thread at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "tests/oracle/program.h"
#include "tests/oracle/runner.h"

namespace lockstep::oracle {

struct Sides {
  Runner oracle;
  Runner engine;
};

struct Difference {
  size_t block = 0;
  uint32_t pass = 1;  // the first that shows it, counted from 1
  // The instruction, by its index in the block, when the difference shows again while the block is
  // run by its prefixes, as it must unless it depends on addresses.
  std::optional<size_t> instruction;
  std::string report;
};

struct Arrangement {
  Layout layout = Layout::kApart;
  uint32_t passes = 1;
};

// No difference: empty. That one side cannot be run at all is an error.
Result<std::optional<Difference>> compare(std::span<const Block> blocks,
                                          const Arrangement& arrangement, const Sides& sides);

// One line for each register or run of bytes that is not the same in two records.
std::vector<std::string> differing_fields(ByteView oracle_record, ByteView engine_record);

}  // namespace lockstep::oracle
