// bench-interpreter: how fast an engine runs, on the cases of kbench.
//
// Always: the inner loops alone, on a bare hart (loops.h). With --guest: the real kbench in a
// booted guest. Baselines: the bar of 100 million steps a second, and, for seconds, what
// --kbench gives (the same program under Debian's qemu-riscv64-static) or the host itself.
#include "riscv/interpreter/interpreter.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "config/engines.h"
#include "guest_runner.h"
#include "io/posix/host_clock.h"
#include "io/posix/subprocess.h"
#include "jit/translator.h"
#include "loop_runner.h"
#include "loops.h"
#include "report.h"
#include "vmm/engine_choice.h"

namespace lockstep::bench {
namespace {

// The bar for the int case, in million steps a second.
constexpr double kIntegerBar = 100;
constexpr const char* kQemu = "qemu-riscv64-static";

struct Options {
  std::string json;
  std::string guest;          // directory
  std::string kbench;         // riscv64
  std::string native_kbench;  // for the host
  std::vector<std::string> cases{"int", "fp", "mem", "ptr"};
  unsigned repeat = 3;
  unsigned scale = 1;
  bool skip_loops = false;
  std::string engine{to_string(config::Engine::kJit)};
};

machine::EngineChoice engine_choice(const Options& options) {
  return vmm::engine_choice(*config::parse_engine(options.engine));
}

bool wanted(const Options& options, const std::string& name) {
  return std::ranges::find(options.cases, name) != options.cases.end();
}

std::optional<double> bar_of(const std::string& name) {
  return name == "int" ? std::optional(kIntegerBar) : std::nullopt;
}

double seconds_since(HostTime start) {
  return static_cast<double>(posix::monotonic_now() - start) / 1e9;
}

Status measure_loops(const Options& options, Report& report) {
  const machine::EngineChoice choice = engine_choice(options);
  const riscv::EngineFactory make_engine = choice.kind == machine::EngineKind::kInterpreter
                                               ? riscv::make_interpreter
                                               : jit::translator_factory(choice.translator);
  for (const Loop& loop : make_loops(options.scale)) {
    if (!wanted(options, loop.name)) continue;
    std::vector<double> seconds;
    std::vector<double> native_seconds;
    uint64_t steps = 0;
    for (unsigned i = 0; i < options.repeat; ++i) {
      const auto run = run_loop(loop, make_engine);
      if (!run) return std::unexpected(run.error());
      steps = run->steps;
      seconds.push_back(run->seconds);
      const HostTime start = posix::monotonic_now();
      const uint64_t expected = loop.native();
      native_seconds.push_back(seconds_since(start));
      if (run->result != expected) {
        return fail(ErrorCode::kDiverged, "the engine computed something else than the host in",
                    loop.name);
      }
    }
    const double median_seconds = median(seconds);
    report.add({.name = "loop/" + loop.name + "/speed",
                .value = static_cast<double>(steps) / median_seconds / 1e6,
                .unit = "Msteps/s",
                .baseline = bar_of(loop.name)});
    report.add({.name = "loop/" + loop.name + "/seconds",
                .value = median_seconds,
                .unit = "s",
                .baseline = median(native_seconds)});
  }
  return {};
}

// The median time of a program with one argument, and what it printed.
struct HostRun {
  double seconds = 0;
  std::string output;
};

Result<HostRun> time_program(const std::vector<std::string>& argv, unsigned repeat) {
  std::vector<double> seconds;
  HostRun run;
  for (unsigned i = 0; i < repeat; ++i) {
    const HostTime start = posix::monotonic_now();
    const auto result = posix::run_command(argv);
    seconds.push_back(seconds_since(start));
    if (!result) return std::unexpected(result.error());
    if (result->exit_code != 0) {
      return fail(ErrorCode::kSystem, "the program failed:", argv.front(), result->output);
    }
    run.output = result->output;
  }
  run.seconds = median(seconds);
  return run;
}

// A console ends its lines with CR LF.
std::string without_returns(std::string text) {
  std::erase(text, '\r');
  return text;
}

Status measure_in_guest(const Options& options, const std::string& name, GuestRunner& guest,
                        Report& report) {
  std::vector<double> seconds;
  CommandRun run;
  for (unsigned i = 0; i < options.repeat; ++i) {
    auto command = guest.run("kbench " + name);
    if (!command) return std::unexpected(command.error());
    run = std::move(*command);
    seconds.push_back(run.seconds);
  }
  const double median_seconds = median(seconds);
  std::optional<double> qemu_seconds;
  if (!options.kbench.empty()) {
    const auto qemu = time_program({kQemu, options.kbench, name}, options.repeat);
    if (!qemu) return std::unexpected(qemu.error());
    qemu_seconds = qemu->seconds;
    if (without_returns(run.output) != qemu->output) {
      return fail(ErrorCode::kDiverged, "the guest and qemu-riscv64 print different results for",
                  "kbench " + name, fmt::format("{:?} and {:?}", run.output, qemu->output));
    }
  }
  report.add({.name = "guest/" + name + "/speed",
              .value = static_cast<double>(run.steps) / median_seconds / 1e6,
              .unit = "Msteps/s",
              .baseline = bar_of(name)});
  report.add({.name = "guest/" + name + "/seconds",
              .value = median_seconds,
              .unit = "s",
              .baseline = qemu_seconds});
  if (!options.native_kbench.empty()) {
    const auto native = time_program({options.native_kbench, name}, options.repeat);
    if (!native) return std::unexpected(native.error());
    report.add({.name = "guest/" + name + "/seconds-over-native",
                .value = median_seconds,
                .unit = "s",
                .baseline = native->seconds});
  }
  return {};
}

Status measure_guest(const Options& options, Report& report) {
  auto guest = GuestRunner::boot(options.guest + "/VM.toml", engine_choice(options));
  if (!guest) return std::unexpected(guest.error());
  const CommandRun& boot = (*guest)->boot_run();
  report.add({.name = "guest/boot/speed",
              .value = static_cast<double>(boot.steps) / boot.seconds / 1e6,
              .unit = "Msteps/s",
              .baseline = std::nullopt});
  report.add(
      {.name = "guest/boot/seconds", .value = boot.seconds, .unit = "s", .baseline = std::nullopt});
  for (const std::string& name : options.cases) {
    if (Status status = measure_in_guest(options, name, **guest, report); !status) return status;
  }
  return {};
}

Status measure(const Options& options) {
  Report report;
  if (!options.skip_loops) {
    if (Status status = measure_loops(options, report); !status) return status;
  }
  if (!options.guest.empty()) {
    if (Status status = measure_guest(options, report); !status) return status;
  }
  return report.publish(options.json);
}

}  // namespace
}  // namespace lockstep::bench

int main(int argc, char** argv) {
  lockstep::bench::Options options;
  CLI::App app("The speed of an engine on the cases of kbench.", "bench-interpreter");
  app.add_option("--json", options.json, "also write the rows to FILE")->type_name("FILE");
  app.add_option("--guest", options.guest,
                 "a directory of `lockstep image build --with-program kbench`")
      ->type_name("DIR");
  app.add_option("--kbench", options.kbench, "kbench for riscv64, for qemu-riscv64-static")
      ->type_name("FILE");
  app.add_option("--native-kbench", options.native_kbench, "kbench for this host")
      ->type_name("FILE");
  app.add_option("--case", options.cases,
                 "int, fp, mem or ptr (in the guest also sys, fork); may be repeated");
  app.add_option("--repeat", options.repeat, "runs of each case; the median counts")
      ->check(CLI::Range(1, 1000));
  app.add_option("--scale", options.scale, "multiplies the work of the loops")
      ->check(CLI::Range(1, 1000));
  app.add_option("--engine", options.engine, "what is measured")
      ->capture_default_str()
      ->check(CLI::IsMember(lockstep::config::engine_names()));
  app.add_flag("--skip-loops", options.skip_loops, "only what --guest asks for");
  CLI11_PARSE(app, argc, argv);
  if (const auto status = lockstep::bench::measure(options); !status) {
    fmt::print(stderr, "bench-interpreter: {}\n", status.error().text());
    return 1;
  }
  return 0;
}
