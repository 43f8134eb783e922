#include "engine_guest.h"

#include <filesystem>
#include <fmt/format.h>
#include <thread>
#include <utility>

#include "api/status.h"
#include "config/layout.h"
#include "config/load.h"
#include "config/render.h"
#include "io/posix/host_clock.h"
#include "io/posix/host_files.h"
#include "io/posix/unix_socket_path.h"

namespace lockstep::bench {
namespace {

namespace fs = std::filesystem;

constexpr const char* kVmName = "bench";
// Sv39, for both: the JVM of Debian 13 does not start in a wider address space, which QEMU offers.
constexpr std::string_view kPagingArgument = " no4lvl";
constexpr std::chrono::seconds kConnectPatience{60};
constexpr std::chrono::milliseconds kConnectPoll{2};
constexpr std::chrono::seconds kStopPatience{20};
constexpr std::chrono::milliseconds kStopPoll{20};
constexpr std::string_view kMultiUser = "multi-user.target";
constexpr std::string_view kLoginPrompt = "login: ";
constexpr std::string_view kRootPrompt = "# ";
constexpr std::string_view kOutputFile = "/run/bench-output";

double seconds_between(HostTime first, HostTime last) {
  return static_cast<double>(last - first) / 1e9;
}

double to_seconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double>(time).count();
}

}  // namespace

Result<std::unique_ptr<EngineGuest>> EngineGuest::boot(Side side, const GuestOptions& options,
                                                       const posix::Interrupts& interrupts) {
  std::unique_ptr<EngineGuest> guest(new EngineGuest(side, options));
  if (Status status = guest->start(interrupts); !status) return std::unexpected(status.error());
  return guest;
}

EngineGuest::~EngineGuest() {
  if (process_ && !process_->exit_code()) {
    // Its error would be that there is no such process.
    static_cast<void>(posix::end_process(process_->id(), posix::EndSignal::kTerminate));
    const HostTime deadline =
        posix::monotonic_now() +
        static_cast<uint64_t>(std::chrono::nanoseconds(kStopPatience).count());
    while (!process_->exit_code() && posix::monotonic_now() < deadline) {
      std::this_thread::sleep_for(kStopPoll);
    }
    if (!process_->exit_code()) {
      fmt::print(stderr, "bench-engine: killing process {}\n", process_->id().value);
      static_cast<void>(posix::end_process(process_->id(), posix::EndSignal::kKill));
      if (side_ == Side::kOurs && engine_) {
        static_cast<void>(posix::end_process(*engine_, posix::EndSignal::kKill));
      }
    }
  }
  std::error_code ignored;
  fs::remove_all(options_.directory, ignored);
}

std::string EngineGuest::file(std::string_view name) const {
  return fmt::format("{}/{}", options_.directory, name);
}

Status EngineGuest::start(const posix::Interrupts& interrupts) {
  if (Status status = posix::make_directory(options_.directory); !status) return status;
  const auto config = configuration();
  if (!config) return std::unexpected(config.error());
  if (Status status = posix::write_file_atomically(file("VM.toml"), config::to_toml(*config));
      !status) {
    return status;
  }
  const bool ours = side_ == Side::kOurs;
  const auto command = ours ? our_command({"run", file("VM.toml")}) : qemu_command(*config);
  if (!command) return std::unexpected(command.error());
  const HostTime started = posix::monotonic_now();
  auto process = posix::ChildProcess::start(*command, file("log.txt"));
  if (!process) return std::unexpected(process.error());
  process_ = *process;
  const std::string socket =
      ours ? config::VmLayout(file("state"), kVmName).console_socket() : file("console.sock");
  if (Status status = connect(socket, interrupts); !status) return status;
  if (Status status = wait_for_multi_user(started); !status) return status;
  return log_in();
}

// The image's own, but with the memory, the engine and the disks of this run.
Result<config::VmConfig> EngineGuest::configuration() const {
  config::Loaded config = config::load_config(options_.image + "/VM.toml");
  if (!config) return std::unexpected(config.error().error());
  config->name = kVmName;
  config->memory = options_.memory_bytes;
  config->engine = options_.engine;
  config->cmdline += kPagingArgument;
  config->nets.clear();
  for (config::DiskConfig& disk : config->disks) {
    const std::string copy = file(fs::path(disk.path).filename().string());
    if (Status status = posix::copy_file_sparse(disk.path, copy); !status) {
      return std::unexpected(status.error());
    }
    disk.path = copy;
  }
  config->disks.push_back({.path = options_.workloads, .readonly = true});
  return *config;
}

Result<std::vector<std::string>> EngineGuest::our_command(
    const std::vector<std::string>& arguments) const {
  const auto programs = posix::own_program_directory();
  if (!programs) return std::unexpected(programs.error());
  std::vector<std::string> command{*programs + "/lockstep", "--state-dir", file("state")};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return command;
}

Result<std::vector<std::string>> EngineGuest::qemu_command(const config::VmConfig& config) const {
  std::vector<std::string> command{
      options_.qemu, "-M", "virt", "-accel", "tcg", "-smp", "1", "-m",
      fmt::format("{}M", config.memory >> 20), "-display", "none", "-monitor", "none", "-nic",
      "none", "-serial", fmt::format("unix:{},server=on,wait=on", file("console.sock")), "-kernel",
      config.kernel, "-initrd", config.initrd, "-append", config.cmdline,
      // As ours: virtio 1.x.
      "-global", "virtio-mmio.force-legacy=false"};
  for (size_t i = 0; i < config.disks.size(); ++i) {
    const config::DiskConfig& disk = config.disks[i];
    command.insert(command.end(), {"-drive",
                                   fmt::format("if=none,id=disk{},format=raw,readonly={},file={}",
                                               i, disk.readonly ? "on" : "off", disk.path),
                                   "-device", fmt::format("virtio-blk-device,drive=disk{}", i)});
  }
  command.insert(command.end(), {"-device", "virtio-rng-device"});
  return command;
}

Status EngineGuest::connect(const std::string& socket, const posix::Interrupts& interrupts) {
  const HostTime deadline =
      posix::monotonic_now() +
      static_cast<uint64_t>(std::chrono::nanoseconds(kConnectPatience).count());
  while (true) {
    auto connected = posix::connect_unix_socket(socket);
    if (connected) {
      console_.emplace(std::move(*connected), interrupts);
      return {};
    }
    const bool ended = process_->exit_code().has_value();
    if (ended || interrupts.pending() || posix::monotonic_now() > deadline) {
      const auto log = posix::read_small_file(file("log.txt"));
      return fail(ErrorCode::kUnavailable, "cannot reach the console of a guest at", socket,
                  fmt::format("{}\n{}", connected.error().text(), log ? *log : ""));
    }
    std::this_thread::sleep_for(kConnectPoll);
  }
}

Result<posix::ProcessId> EngineGuest::engine_process() const {
  if (side_ == Side::kQemu) return process_->id();
  const auto command = our_command({"status", kVmName, "--json"});
  if (!command) return std::unexpected(command.error());
  const auto answer = posix::run_command(*command);
  if (!answer) return std::unexpected(answer.error());
  const auto status = api::parse_vm_status(answer->output, "lockstep status");
  if (!status) return std::unexpected(status.error());
  for (const api::ReplicaView& replica : status->replicas) {
    if (replica.status.pid > 0) return posix::ProcessId{replica.status.pid};
  }
  return fail(ErrorCode::kUnavailable, "no replica runs of", kVmName, answer->output);
}

Status EngineGuest::wait_for_multi_user(HostTime started) {
  const auto reached = console_->wait_for(kMultiUser, kGuestPatience);
  if (!reached) return std::unexpected(reached.error());
  boot_timing_.host_seconds = seconds_between(started, reached->when);
  const auto engine = engine_process();
  if (!engine) return std::unexpected(engine.error());
  engine_ = *engine;
  const auto cpu = posix::process_cpu_time(*engine_);
  if (!cpu) return std::unexpected(cpu.error());
  boot_timing_.cpu_seconds = to_seconds(*cpu);
  // systemd starts the terminals before it has reached multi-user, so the prompt may be there.
  if (reached->before.contains(kLoginPrompt)) return {};
  const auto prompt = console_->wait_for(kLoginPrompt, kGuestPatience);
  if (!prompt) return std::unexpected(prompt.error());
  return {};
}

Status EngineGuest::log_in() {
  if (Status status = console_->type("root\n"); !status) return status;
  if (auto prompt = console_->wait_for(kRootPrompt, kGuestPatience); !prompt) {
    return std::unexpected(prompt.error());
  }
  // No echo, no prompt, no messages of the kernel between the marks.
  if (Status status = console_->type("stty -echo; PS1=; PS2=; dmesg -n 1\n"); !status) {
    return status;
  }
  // The exit code of the first is that of a degraded system, too.
  const auto quiet =
      run_marked("systemctl is-system-running --wait > /dev/null; systemctl stop '*.timer'");
  if (!quiet) return std::unexpected(quiet.error());
  const auto uptime =
      run_marked("systemctl show -P ActiveEnterTimestampMonotonic multi-user.target");
  if (!uptime) return std::unexpected(uptime.error());
  boot_timing_.guest_seconds = std::strtod(uptime->output.c_str(), nullptr) / 1e6;
  const auto unpacked = run_marked("mkdir bench && cd bench && tar -xf /dev/vdb");
  if (!unpacked) return std::unexpected(unpacked.error());
  if (unpacked->status == 0 && boot_timing_.guest_seconds > 0) return {};
  return fail(ErrorCode::kIncompatible, "cannot work in a guest of", options_.image,
              fmt::format("it says {:?}, and its uptime at multi-user was {:?}", unpacked->output,
                          uptime->output));
}

Result<RunResult> EngineGuest::run_marked(std::string_view command) {
  const CommandNumber number{++commands_};
  if (Status status = console_->type(marked_command(number, command)); !status) {
    return std::unexpected(status.error());
  }
  const auto begin = console_->wait_for(begin_mark(number), kGuestPatience);
  if (!begin) return std::unexpected(begin.error());
  const auto cpu_before = posix::process_cpu_time(*engine_);
  const auto begin_rest = console_->wait_for(">", kGuestPatience);
  if (!begin_rest) return std::unexpected(begin_rest.error());
  const auto end = console_->wait_for(end_mark(number), kGuestPatience);
  if (!end) return std::unexpected(end.error());
  const auto cpu_after = posix::process_cpu_time(*engine_);
  const auto end_rest = console_->wait_for(">", kGuestPatience);
  if (!end_rest) return std::unexpected(end_rest.error());

  const auto begin_seconds = parse_begin_rest(begin_rest->before + ">");
  const auto ended = parse_end_rest(end_rest->before + ">");
  if (!begin_seconds || !ended || !cpu_before || !cpu_after) {
    return fail(ErrorCode::kUnavailable, "cannot read the marks of", std::string(command),
                fmt::format("{:?} and {:?}", begin_rest->before, end_rest->before));
  }
  std::string output = without_carriage_returns(end->before);
  if (output.starts_with('\n')) output.erase(0, 1);
  return RunResult{.timing = {.host_seconds = seconds_between(begin->when, end->when),
                              .guest_seconds = ended->seconds - *begin_seconds,
                              .cpu_seconds = to_seconds(*cpu_after - *cpu_before)},
                   .status = ended->status,
                   .output = std::move(output)};
}

// Output goes to a file first: drawing it on the console is no part of the row.
Result<RunResult> EngineGuest::run(std::string_view command) {
  auto result = run_marked(fmt::format("{{ {}; }} > {} 2>&1", command, kOutputFile));
  if (!result) return result;
  auto output = run_marked(fmt::format("cat {}", kOutputFile));
  if (!output) return output;
  result->output = std::move(output->output);
  return result;
}

Result<ProcessMemory> EngineGuest::memory() const {
  return process_memory(*engine_, options_.memory_bytes);
}

}  // namespace lockstep::bench
