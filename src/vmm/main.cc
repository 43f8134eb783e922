// lockstep-vmm: one replica of one VM. Started by `lockstep`; its command line is internal.
//
//   lockstep-vmm --config FILE --state-dir DIR --node a|b --role primary|backup|solo
//                --from-epoch N [--record FILE]
//   lockstep-vmm --replay FILE [--engine jit|interpreter]
#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdio>
#include <fmt/format.h>
#include <map>
#include <string>
#include <utility>

#include "api/exit_code.h"
#include "base/diagnostics.h"
#include "config/engines.h"
#include "config/layout.h"
#include "config/load.h"
#include "io/posix/process.h"
#include "vmm/replay_command.h"
#include "vmm/replica_process.h"

namespace lockstep::vmm {
namespace {

struct CommandLine {
  std::string config;
  std::string state_directory;
  std::string node = "a";
  StartRole role = StartRole::kSolo;
  uint64_t from_epoch = 0;
  std::string record;
  std::string replay;
  std::string engine{to_string(config::Engine::kJit)};
  int64_t plant_unlogged_input = -1;
  uint64_t digest_steps = kDigestSteps;
};

void add_options(CLI::App& app, CommandLine& line) {
  const std::map<std::string, StartRole> roles = {
      {"primary", StartRole::kPrimary}, {"backup", StartRole::kBackup}, {"solo", StartRole::kSolo}};
  app.add_option("--config", line.config, "the VM's configuration, as `lockstep up` left it");
  app.add_option("--state-dir", line.state_directory, "the VM's state directory");
  app.add_option("--node", line.node, "which replica: a or b");
  app.add_option("--role", line.role, "primary, backup or solo")
      ->transform(CLI::CheckedTransformer(roles, CLI::ignore_case));
  app.add_option("--from-epoch", line.from_epoch, "what the arbiter's register holds");
  app.add_option("--record", line.record, "write the log to this file");
  CLI::Option* const replay =
      app.add_option("--replay", line.replay, "replay this recording instead");
  app.add_option("--engine", line.engine, "what replays it; a replica's is in its configuration")
      ->needs(replay)
      ->check(CLI::IsMember(config::engine_names()));
  app.add_option("--digest-steps", line.digest_steps,
                 "for tests: a live replica takes a digest after so many steps")
      ->check(CLI::PositiveNumber)
      ->envname("LOCKSTEP_DIGEST_STEPS")
      ->group("");
  app.add_option("--plant-unlogged-input", line.plant_unlogged_input,
                 "for tests: before the first digest from this step on, one input is not logged")
      ->envname("LOCKSTEP_PLANT_UNLOGGED_INPUT")
      ->group("");
}

Status run_replica(const CommandLine& line) {
  config::Loaded config = config::load_config(line.config);
  if (!config) return std::unexpected(config.error().error());
  const std::optional<config::Node> node = config::parse_node(line.node);
  if (!node) return fail(ErrorCode::kInvalid, "there is no such node:", line.node, "a or b");
  ReplicaSettings settings{std::move(*config),
                           config::VmLayout::of_vm_directory(line.state_directory),
                           *node,
                           line.role,
                           Epoch(line.from_epoch),
                           line.record,
                           {},
                           line.digest_steps};
  if (line.plant_unlogged_input >= 0) {
    settings.plant_unlogged_input = Step(static_cast<uint64_t>(line.plant_unlogged_input));
  }
  set_diagnostics_name(fmt::format("replica-{}", line.node));
  auto process = ReplicaProcess::create(std::move(settings));
  if (!process) return std::unexpected(process.error());
  (*process)->run();
  return {};
}

}  // namespace
}  // namespace lockstep::vmm

int main(int argc, char** argv) {
  using namespace lockstep;
  CLI::App app("one replica of one Lockstep VM; started by `lockstep`");
  vmm::CommandLine line;
  vmm::add_options(app, line);
  CLI11_PARSE(app, argc, argv);
  set_diagnostics_name("lockstep-vmm");
  posix::return_large_blocks();
  const Status done = line.replay.empty()
                          ? vmm::run_replica(line)
                          : vmm::replay_recording(line.replay, *config::parse_engine(line.engine));
  if (done) return 0;
  diagnose(Severity::kError, "{}", done.error().text());
  return api::exit_code(done.error().code);
}
