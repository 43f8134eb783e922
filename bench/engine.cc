// bench-engine: the same Debian guest in ours and in QEMU, row by row, and on this host itself.
#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "api/exit_code.h"
#include "config/values.h"
#include "engine_run.h"
#include "io/posix/host_files.h"
#include "io/posix/process.h"

namespace lockstep::bench {
namespace {

struct Options {
  RunOptions run;
  std::string rows;
  std::string only;
  std::string engine = "jit";
  std::string memory = "1G";
  std::string json;
  bool skip_native = false;
};

Status complete(Options& options) {
  auto rows = select_rows(options.rows);
  if (!rows) return std::unexpected(rows.error());
  options.run.rows = std::move(*rows);
  if (options.only != "qemu") options.run.sides.push_back(Side::kOurs);
  if (options.only != "ours") options.run.sides.push_back(Side::kQemu);
  const auto memory = config::parse_size(options.memory);
  if (!memory) {
    return fail(ErrorCode::kInvalid, "cannot use", "--memory", "it must be " + memory.error());
  }
  options.run.memory_bytes = *memory;
  options.run.native = !options.skip_native;
  options.run.engine =
      options.engine == "jit" ? config::Engine::kJit : config::Engine::kInterpreter;
  return {};
}

Status measure(Options& options) {
  if (Status status = complete(options); !status) return status;
  auto interrupts = posix::Interrupts::create();
  if (!interrupts) return std::unexpected(interrupts.error());
  EngineRun run(std::move(options.run), *interrupts);
  if (Status status = run.run(); !status) return status;
  fmt::print("{}", run.report().table());
  if (!options.json.empty()) {
    Status status = posix::write_file_atomically(options.json, run.report().json());
    if (!status) return status;
  }
  if (interrupts->pending()) {
    return fail(ErrorCode::kUnavailable, "interrupted before the end of", "the rounds");
  }
  return run.report().complete();
}

}  // namespace
}  // namespace lockstep::bench

int main(int argc, char** argv) {
  lockstep::bench::Options options;
  CLI::App app("Boots one Debian image in ours and in QEMU and times the same work in both.",
               "bench-engine");
  app.add_option(
         "--guest", options.run.image,
         "a directory of `lockstep image build --full` with the packages of bench/README.md")
      ->type_name("DIR")
      ->required();
  app.add_option("--rows", options.rows, "names, as in int,fp (default: all)")->type_name("ROWS");
  app.add_option("--rounds", options.run.rounds, "each boots both; the best of a row counts")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  app.add_option("--only", options.only, "one side alone")->check(CLI::IsMember({"ours", "qemu"}));
  app.add_option("--engine", options.engine, "what runs ours")
      ->check(CLI::IsMember({"jit", "interpreter"}))
      ->capture_default_str();
  app.add_option("--memory", options.memory, "RAM of each guest")->capture_default_str();
  app.add_option("--qemu", options.run.qemu, "the QEMU to compare with")
      ->type_name("PATH")
      ->capture_default_str();
  app.add_option("--kbench", options.run.kbench,
                 "a kbench for riscv64, so that no guest has to compile it")
      ->type_name("FILE");
  app.add_flag("--skip-native", options.skip_native, "do not run the rows on this host");
  app.add_option("--json", options.json, "also write all of it to FILE")->type_name("FILE");
  CLI11_PARSE(app, argc, argv);
  if (const auto status = lockstep::bench::measure(options); !status) {
    fmt::print(stderr, "bench-engine: {}\n", status.error().text());
    return lockstep::api::exit_code(status.error().code);
  }
  return 0;
}
