// A run of bench-engine: rounds of both sides in turn, row by row.
//
// In each round both guests boot afresh, one after the other, and then each row runs in one and at
// once in the other, so that what else the host does falls on both alike. The guest whose turn it
// is not idles. Every output of a row must equal the first one, whichever engine printed it.
//
// Owner: the main thread.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "engine_guest.h"
#include "engine_report.h"
#include "engine_rows.h"

namespace lockstep::bench {

struct RunOptions {
  std::string image;
  std::string qemu = "qemu-system-riscv64";
  std::string kbench;  // a kbench for riscv64, so that no guest has to compile one; may be empty
  std::vector<EngineRow> rows;
  std::vector<Side> sides;
  bool native = true;
  unsigned rounds = 1;
  uint64_t memory_bytes = 0;
  config::Engine engine = config::Engine::kJit;
};

class EngineRun {
 public:
  EngineRun(RunOptions options, const posix::Interrupts& interrupts);
  ~EngineRun();
  EngineRun(const EngineRun&) = delete;
  EngineRun& operator=(const EngineRun&) = delete;

  // What a row lacks is in its error; a Status says that nothing could be measured.
  Status run();
  const EngineReport& report() const { return report_; }

 private:
  struct Seat {
    std::unique_ptr<EngineGuest> guest;  // empty: did not boot, or has stopped answering
    std::string lost;                    // why
    std::set<std::string> prepared;      // what has been done in it
  };

  Status make_workloads(const std::string& root_disk);
  bool selected(std::string_view row) const;
  void run_round(unsigned round);
  void boot(Side side, unsigned round);
  void run_row(Side side, const EngineRow& row, RowResult& result);
  Result<Timing> run_in(Seat& seat, const EngineRow& row);
  Result<Timing> check_output(const EngineRow& row, const RunResult& run);
  void run_natively(const EngineRow& row, RowResult& result);
  void note_memory(Side side);
  RowResult& result_of(std::string_view name);

  RunOptions options_;
  const posix::Interrupts& interrupts_;
  std::string directory_;
  std::map<Side, Seat> seats_;
  std::map<std::string, std::string, std::less<>> outputs_;  // by row
  EngineReport report_;
};

}  // namespace lockstep::bench
