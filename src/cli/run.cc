// `lockstep run`, `record` and `replay`: one replica in the foreground.

#include <filesystem>
#include <fmt/format.h>
#include <utility>

#include "cli/commands.h"
#include "cli/disks.h"
#include "cli/launch.h"
#include "cli/processes.h"
#include "io/posix/host_files.h"
#include "io/posix/terminal.h"
#include "io/posix/unix_socket_path.h"

namespace lockstep::cli {
namespace {

Status report_end(int exit_code, const std::string& log) {
  if (exit_code == 0) return {};
  const std::string how = exit_code > 128 ? fmt::format("signal {} ended it", exit_code - 128)
                                          : fmt::format("its exit code is {}", exit_code);
  return fail(ErrorCode::kUnavailable, "the VM's process failed; its log is", log,
              fmt::format("{}\n{}", how, quote_log(log)));
}

// The console until the VM ends or the user leaves.
Status attend(const PreparedVm& vm, posix::ChildProcess& replica, const std::string& log,
              const posix::Fd& console, const posix::Interrupts& interrupts) {
  const Result<posix::RelayEnd> end =
      posix::relay_terminal(console, interrupts, [&] { return !replica.exit_code().has_value(); });
  if (!end) return std::unexpected(end.error());
  if (const auto code = replica.exit_code()) return report_end(*code, log);
  if (*end == posix::RelayEnd::kPeerClosed) {
    return fail(ErrorCode::kUnavailable, "the console was closed by the gateway of", vm.config.name,
                "\n" + quote_log(vm.layout.gateway_log()));
  }
  fmt::print(stderr, "\nlockstep: stopping {}\n", vm.config.name);
  return {};
}

Status run_in_foreground(PreparedVm& vm, const std::string& record_file,
                         const posix::Interrupts& interrupts) {
  const Result<Newest> newest = newest_replica(vm.config, vm.layout);
  if (!newest) return std::unexpected(newest.error());
  if (const auto gateway = start_gateway(vm, interrupts); !gateway) {
    return std::unexpected(gateway.error());
  }
  // Connected before the guest's first byte, so none is missed.
  const Result<posix::Fd> console = posix::connect_unix_socket(vm.layout.console_socket());
  if (!console) return std::unexpected(console.error());
  std::vector<std::string> extra;
  if (!record_file.empty()) extra = {"--record", std::filesystem::absolute(record_file).string()};
  const auto command =
      replica_command(vm.layout, newest->node, ReplicaRole::kSolo, newest->epoch, extra);
  if (!command) return std::unexpected(command.error());
  const std::string log = vm.layout.replica_log(newest->node);
  Result<posix::ChildProcess> replica = posix::ChildProcess::start(*command, log);
  if (!replica) return std::unexpected(replica.error());
  Status done = record_process(vm.layout.replica_pid_file(newest->node), replica->id());
  vm.lock.reset();  // `lockstep down` must be able to stop it
  if (done) done = attend(vm, *replica, log, *console, interrupts);
  // Its parent is here: it stays a zombie, which counts as gone, until this process ends.
  if (const Status stopped = stop_process(replica->id()); !stopped && done) return stopped;
  return done;
}

}  // namespace

Status run_solo(const RunCommand& command, const std::string& state_directory) {
  const Result<posix::Interrupts> interrupts = posix::Interrupts::create();
  if (!interrupts) return std::unexpected(interrupts.error());
  Result<PreparedVm> vm = prepare_vm(command.config_file, command.engines, state_directory);
  if (!vm) return std::unexpected(vm.error());
  Status done = run_in_foreground(*vm, command.record_file, *interrupts);
  if (!vm->lock) {
    Result<posix::FileLock> lock = posix::FileLock::acquire(vm->layout.lock_file());
    if (!lock) return done;  // another command is stopping, or starting, this VM already
    vm->lock = std::move(*lock);
  }
  const Status stopped = stop_everything(vm->layout);
  return done ? stopped : done;
}

Status run_replay(const ReplayCommand& command) {
  const Result<std::string> program = find_own_program(kVmmProgram);
  if (!program) return std::unexpected(program.error());
  const auto size = posix::readable_file_size(command.recording, "cannot read the recording");
  if (!size) return std::unexpected(size.error());
  // A recording holds its board: nothing else is needed. The report and the exit code are its own.
  std::vector<std::string> arguments{*program, "--replay", command.recording};
  if (command.engine) {
    arguments.insert(arguments.end(), {"--engine", std::string(to_string(*command.engine))});
  }
  return posix::replace_process(arguments);
}

}  // namespace lockstep::cli
