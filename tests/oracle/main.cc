// oracle-test: random user-level programs on the engine and on QEMU, compared register by register,
// or, with --float, directed floating-point programs, compared result by result.
//
// Exit: 0 no difference, 1 a difference, 2 the comparison could not be made.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <fmt/format.h>
#include <string>
#include <utility>

#include "jit/translator.h"
#include "riscv/interpreter/interpreter.h"
#include "tests/oracle/comparison.h"
#include "tests/oracle/engine.h"
#include "tests/oracle/float_matrix.h"
#include "tests/oracle/generator.h"

namespace lockstep::oracle {
namespace {

constexpr uint64_t kProgressEvery = 50;  // seeds

struct Options {
  uint64_t first_seed = 0;
  uint64_t last_seed = 0;
  ProgramShape shape;
  uint32_t passes = 1;
  bool floating_point = false;
  bool whole = false;
  std::string qemu = "qemu-riscv64-static";
  std::string engine = "interpreter";

  // The translator translates at once, so that no code is too cold for it.
  riscv::EngineFactory make_engine() const {
    if (engine == "jit") return jit::translator_factory({.hot_threshold = 1});
    return riscv::make_interpreter;
  }
};

// "7" or "0..99", both ends included.
bool parse_seeds(const std::string& text, Options& options) {
  const size_t dots = text.find("..");
  try {
    size_t used = 0;
    options.first_seed = std::stoull(text, &used);
    if (dots == std::string::npos) {
      options.last_seed = options.first_seed;
      return used == text.size();
    }
    if (used != dots) return false;
    const std::string rest = text.substr(dots + 2);
    options.last_seed = std::stoull(rest, &used);
    return used == rest.size() && options.first_seed <= options.last_seed;
  } catch (const std::exception&) {
    return false;
  }
}

struct Totals {
  uint64_t programs = 0;
  uint64_t instructions = 0;
  uint64_t differences = 0;
};

// False: the comparison could not be made.
bool run_seed(uint64_t seed, const Options& options, const Runner& qemu, Totals& totals) {
  const std::vector<Block> blocks = random_blocks(seed, options.shape);
  for (const Block& block : blocks) totals.instructions += block.code.size() * options.passes;
  ++totals.programs;
  const Sides sides{.oracle = qemu,
                    .engine = engine_runner(variant_of(seed), options.make_engine())};
  const auto difference = compare(blocks, {layout_of(seed), options.passes}, sides);
  const std::string repeat = fmt::format("oracle-test --seed {} --blocks {} --instructions {}",
                                         seed, options.shape.blocks, options.shape.instructions);
  if (!difference) {
    if (difference.error().code != ErrorCode::kDiverged) {
      fmt::print(stderr, "seed {}: {}\n", seed, difference.error().text());
      return false;
    }
    ++totals.differences;
    fmt::print("seed {}: {}\nrepeat: {}\n\n", seed, difference.error().text(), repeat);
  } else if (difference->has_value()) {
    ++totals.differences;
    fmt::print("seed {}: {}repeat: {}\n\n", seed, (*difference)->report, repeat);
  }
  return true;
}

// The engine's variant goes by the program.
int run_float(const Options& options) {
  const TemporaryDirectory directory;
  const Runner qemu = qemu_runner(directory, options.qemu);
  const auto start = std::chrono::steady_clock::now();
  FloatTotals totals;
  for (uint64_t seed = options.first_seed; seed <= options.last_seed; ++seed) {
    const MatrixSize size = options.whole ? MatrixSize::kWhole : MatrixSize::kBounded;
    for (const FloatJob& job : float_jobs(size, seed)) {
      const Runner engine = engine_runner(variant_of(totals.programs), options.make_engine());
      if (Status status = compare_float_job(job, qemu, engine, totals); !status) {
        fmt::print(stderr, "seed {}: {}\n", seed, status.error().text());
        return 2;
      }
    }
  }
  for (const std::string& report : totals.reports) fmt::print("{}\n\n", report);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  fmt::print("{} programs, {} floating-point results, {} differences, {:.1f} s\n", totals.programs,
             totals.results, totals.differences, took.count());
  return totals.differences == 0 ? 0 : 1;
}

int run(const Options& options) {
  const TemporaryDirectory directory;
  const Runner qemu = qemu_runner(directory, options.qemu);
  const auto start = std::chrono::steady_clock::now();
  Totals totals;
  for (uint64_t seed = options.first_seed; seed <= options.last_seed; ++seed) {
    if (!run_seed(seed, options, qemu, totals)) return 2;
    if (totals.programs % kProgressEvery == 0) {
      fmt::print(stderr, "{} programs, {} differences\n", totals.programs, totals.differences);
    }
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  fmt::print("{} programs, {} instructions, {} differences, {:.1f} s\n", totals.programs,
             totals.instructions, totals.differences, took.count());
  return totals.differences == 0 ? 0 : 1;
}

}  // namespace
}  // namespace lockstep::oracle

int main(int argc, char** argv) {
  using lockstep::oracle::kMaximumBlocks;
  using lockstep::oracle::kMaximumInstructions;
  using lockstep::oracle::kMaximumPasses;
  lockstep::oracle::Options options;
  std::string seeds;
  CLI::App app("Random user-level RISC-V programs: the engine against user-mode QEMU",
               "oracle-test");
  app.add_option("--seeds,--seed", seeds, "A seed, or a range A..B; else 0..9, with --float 0")
      ->check([&options](const std::string& text) {
        return lockstep::oracle::parse_seeds(text, options) ? "" : "not a seed or a range A..B";
      });
  app.add_option("--blocks", options.shape.blocks, "Blocks in a program")
      ->capture_default_str()
      ->check(CLI::Range(size_t{1}, kMaximumBlocks));
  app.add_option("--instructions", options.shape.instructions, "Instructions in a block")
      ->capture_default_str()
      ->check(CLI::Range(size_t{1}, kMaximumInstructions));
  app.add_option("--passes", options.passes, "How often each block runs, each on what it left")
      ->capture_default_str()
      ->check(CLI::Range(uint32_t{1}, kMaximumPasses));
  auto* floating_point = app.add_flag(
      "--float", options.floating_point,
      "Directed floating-point programs: each instruction with each mode on corner operands; a "
      "seed chooses among the operands");
  app.add_flag("--whole", options.whole, "With --float: all corners in every combination")
      ->needs(floating_point);
  app.add_option("--engine", options.engine, "The engine that is compared")
      ->capture_default_str()
      ->check(CLI::IsMember({"interpreter", "jit"}));
  app.add_option("--qemu", options.qemu, "The oracle")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  if (seeds.empty()) seeds = options.floating_point ? "0" : "0..9";
  if (!lockstep::oracle::parse_seeds(seeds, options)) return 2;
  if (options.floating_point) return lockstep::oracle::run_float(options);
  return lockstep::oracle::run(options);
}
