#include "cli/launch.h"

#include <array>
#include <chrono>
#include <filesystem>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "base/bytes.h"
#include "cli/processes.h"
#include "config/environment.h"
#include "config/load.h"
#include "config/render.h"
#include "config/values.h"
#include "io/posix/host_clock.h"
#include "io/posix/host_files.h"
#include "io/posix/subprocess.h"
#include "io/posix/unix_socket_path.h"

namespace lockstep::cli {
namespace {

constexpr size_t kBootSeedBytes = 32;  // what the board takes (machine/board.h)
constexpr std::chrono::milliseconds kPollPeriod{20};
constexpr std::chrono::milliseconds kGatewayTimeout{10'000};

std::string_view role_name(ReplicaRole role) {
  switch (role) {
    case ReplicaRole::kPrimary:
      return "primary";
    case ReplicaRole::kBackup:
      return "backup";
    case ReplicaRole::kSolo:
      return "solo";
  }
  return "?";
}

Status check_not_up(const config::VmLayout& layout) {
  std::string running;
  for (const config::Node node : config::kNodes) {
    if (const auto process = live_replica(layout, node)) {
      running += fmt::format("{}replica {} is process {}", running.empty() ? "" : ", ",
                             to_string(node), process->value);
    }
  }
  if (running.empty()) return {};
  return fail(ErrorCode::kInUse, "already up:", layout.vm_name(),
              fmt::format("{}; `lockstep down {}` stops it", running, layout.vm_name()));
}

std::unexpected<Error> all_of(const std::vector<Error>& errors, const config::VmConfig& config) {
  if (errors.size() == 1) return std::unexpected(errors[0]);
  std::string text;
  for (const Error& error : errors) text += fmt::format("\n  {}", error.text());
  return fail(errors[0].code, "this host lacks what the VM needs:", config.name, text);
}

std::unexpected<Error> ended(const char* what, const std::string& log) {
  return fail(ErrorCode::kUnavailable,
              fmt::format("{} ended while it was starting; its log is", what), log,
              "\n" + quote_log(log));
}

std::unexpected<Error> interrupted(const config::VmLayout& layout) {
  return fail(ErrorCode::kUnavailable, "interrupted while starting", layout.vm_name());
}

}  // namespace

Result<PreparedVm> prepare_vm(const std::string& config_file, const config::EngineFlags& engines,
                              const std::string& state_directory) {
  config::Loaded loaded = config::load_config(config_file);
  if (!loaded) return std::unexpected(loaded.error().error());
  config::apply_flags(engines, *loaded);
  config::VmLayout layout(state_directory, loaded->name);
  if (Status made = posix::make_directory(layout.directory()); !made) {
    return std::unexpected(made.error());
  }
  for (const char* name : {kVmmProgram, kGatewayProgram}) {
    if (auto program = find_own_program(name); !program) return std::unexpected(program.error());
  }
  Result<posix::FileLock> lock = posix::FileLock::acquire(layout.lock_file());
  if (!lock) return std::unexpected(lock.error());
  if (Status free = check_not_up(layout); !free) return std::unexpected(free.error());
  // A gateway whose replicas have both gone, and files of processes that have gone.
  if (Status cleared = stop_everything(layout); !cleared) return std::unexpected(cleared.error());
  const std::vector<Error> missing = config::check_environment(*loaded, layout);
  if (!missing.empty()) return all_of(missing, *loaded);
  for (const std::string& directory :
       {layout.replica_directory(config::Node::kA), layout.replica_directory(config::Node::kB),
        layout.gateway_directory()}) {
    if (Status made = posix::make_directory(directory); !made) return std::unexpected(made.error());
  }
  Status written = posix::write_file_atomically(layout.config_file(), config::to_toml(*loaded));
  if (!written) return std::unexpected(written.error());
  std::array<std::byte, kBootSeedBytes> seed;
  posix::fill_with_entropy(seed);
  written = posix::write_file_atomically(layout.boot_seed_file(), as_text(seed));
  if (!written) return std::unexpected(written.error());
  return PreparedVm{std::move(*loaded), std::move(layout), std::move(*lock)};
}

Result<std::vector<std::string>> replica_command(const config::VmLayout& layout, config::Node node,
                                                 ReplicaRole role, Epoch from_epoch,
                                                 const std::vector<std::string>& extra) {
  const Result<std::string> program = find_own_program(kVmmProgram);
  if (!program) return std::unexpected(program.error());
  std::vector<std::string> command{*program,
                                   "--config",
                                   layout.config_file(),
                                   "--state-dir",
                                   layout.directory(),
                                   "--node",
                                   std::string(to_string(node)),
                                   "--role",
                                   std::string(role_name(role)),
                                   "--from-epoch",
                                   std::to_string(from_epoch.value)};
  command.insert(command.end(), extra.begin(), extra.end());
  return command;
}

std::string gateway_configuration(const config::VmConfig& config, const config::VmLayout& layout) {
  nlohmann::ordered_json nics = nlohmann::ordered_json::array();
  for (size_t i = 0; i < config.nets.size(); ++i) {
    nlohmann::ordered_json forwards = nlohmann::ordered_json::array();
    for (const config::PortForward& forward : config.nets[i].forward) {
      forwards.push_back(config::format_forward(forward));
    }
    nics.push_back({{"nic", i}, {"forward", std::move(forwards)}});
  }
  const nlohmann::ordered_json document = {
      {"vm", config.name},
      {"socket", "unix:" + layout.gateway_socket()},
      {"status_socket", layout.gateway_status_socket()},
      {"consoles",
       {{{"port", 0}, {"socket", layout.console_socket()}, {"log", layout.console_log()}}}},
      {"nics", std::move(nics)},
  };
  return document.dump(2) + "\n";
}

Result<posix::ProcessId> start_gateway(const PreparedVm& vm, const posix::Interrupts& interrupts) {
  const config::VmLayout& layout = vm.layout;
  const Result<std::string> program = find_own_program(kGatewayProgram);
  if (!program) return std::unexpected(program.error());
  Status written = posix::write_file_atomically(layout.gateway_config_file(),
                                                gateway_configuration(vm.config, layout));
  if (!written) return std::unexpected(written.error());
  Result<posix::ProcessId> process =
      posix::spawn_daemon({*program, layout.gateway_config_file()}, layout.gateway_log());
  if (!process) return process;
  if (Status recorded = record_process(layout.gateway_pid_file(), *process); !recorded) {
    return std::unexpected(recorded.error());
  }
  const auto deadline = std::chrono::steady_clock::now() + kGatewayTimeout;
  while (!posix::connect_unix_socket(layout.gateway_status_socket())) {
    if (!posix::process_alive(*process)) return ended("the gateway", layout.gateway_log());
    if (interrupts.pending()) return interrupted(layout);
    if (std::chrono::steady_clock::now() > deadline) {
      return fail(ErrorCode::kUnavailable, "the gateway does not listen on",
                  layout.gateway_status_socket(), "\n" + quote_log(layout.gateway_log()));
    }
    std::this_thread::sleep_for(kPollPeriod);
  }
  return process;
}

Result<posix::ProcessId> start_replica(const PreparedVm& vm, config::Node node, ReplicaRole role,
                                       Epoch from_epoch) {
  const auto command = replica_command(vm.layout, node, role, from_epoch, {});
  if (!command) return std::unexpected(command.error());
  Result<posix::ProcessId> process = posix::spawn_daemon(*command, vm.layout.replica_log(node));
  if (!process) return process;
  Status recorded = record_process(vm.layout.replica_pid_file(node), *process);
  if (!recorded) return std::unexpected(recorded.error());
  return process;
}

Status wait_for_replicas(const config::VmLayout& layout, const std::vector<config::Node>& nodes,
                         std::chrono::milliseconds timeout, const posix::Interrupts& interrupts,
                         const std::function<Result<bool>()>& ready) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (true) {
    const Result<bool> answer = ready();
    if (!answer) return std::unexpected(answer.error());
    if (*answer) return {};
    for (const config::Node node : nodes) {
      if (live_replica(layout, node)) continue;
      return ended(fmt::format("replica {}", to_string(node)).c_str(), layout.replica_log(node));
    }
    if (interrupts.pending()) return interrupted(layout);
    if (std::chrono::steady_clock::now() > deadline) {
      std::string logs;
      for (const config::Node node : nodes) {
        logs += fmt::format("\n  {}:\n{}", layout.replica_log(node),
                            quote_log(layout.replica_log(node)));
      }
      return fail(
          ErrorCode::kUnavailable, "not ready in time:", layout.vm_name(),
          fmt::format("after {} s; the last lines of the logs:{}",
                      std::chrono::duration_cast<std::chrono::seconds>(timeout).count(), logs));
    }
    std::this_thread::sleep_for(kPollPeriod);
  }
}

}  // namespace lockstep::cli
