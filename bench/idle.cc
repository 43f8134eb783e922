// bench-idle: what a protected pair costs while its guest has nothing to do.
//
// Starts the small guest of --guest as a pair, with its own state directory, a copy of the disk and
// a free port, waits until it is ready and has settled, and then only watches: bits on the logging
// channel, by kind of log entry and in all, steps of the guest, and processor time of every
// process. Baseline: the goal of 0.05 Mbit/s.
#include <CLI/CLI.hpp>
#include <chrono>
#include <filesystem>
#include <fmt/format.h>
#include <thread>

#include "api/status.h"
#include "config/layout.h"
#include "config/load.h"
#include "config/render.h"
#include "io/posix/host_clock.h"
#include "io/posix/host_files.h"
#include "io/posix/process_control.h"
#include "io/posix/subprocess.h"
#include "report.h"

namespace lockstep::bench {
namespace {

namespace fs = std::filesystem;

constexpr double kGoalMbitPerSecond = 0.05;
constexpr std::chrono::seconds kReadyPatience{180};
constexpr std::chrono::milliseconds kReadyPoll{200};
constexpr std::string_view kReady = "lockstep-guest ready";

struct Options {
  std::string json;
  std::string guest;
  unsigned seconds = 30;
  unsigned settle_seconds = 10;
};

// A protected VM that exists as long as this does.
class Pair {
 public:
  static Result<std::unique_ptr<Pair>> start(const std::string& guest);
  ~Pair();

  Result<api::VmStatus> status() const;
  // Until the guest has said that it is ready.
  Status wait_until_ready() const;

 private:
  Pair(std::string client, std::string directory, std::string name)
      : client_(std::move(client)),
        directory_(std::move(directory)),
        layout_(directory_ + "/state", std::move(name)) {}
  Status write_configuration(const std::string& guest);
  Result<std::string> run_client(std::vector<std::string> arguments) const;

  std::string client_;
  std::string directory_;
  config::VmLayout layout_;
};

Result<std::unique_ptr<Pair>> Pair::start(const std::string& guest) {
  const Result<std::string> programs = posix::own_program_directory();
  if (!programs) return std::unexpected(programs.error());
  const std::string name = fmt::format("bench-idle-{}", posix::this_process().value);
  std::unique_ptr<Pair> pair(
      new Pair(*programs + "/lockstep", (fs::temp_directory_path() / name).string(), "bench-idle"));
  if (Status status = pair->write_configuration(guest); !status) {
    return std::unexpected(status.error());
  }
  const auto up = pair->run_client({"up", pair->directory_ + "/VM.toml"});
  if (!up) return std::unexpected(up.error());
  return pair;
}

Pair::~Pair() {
  if (const auto down = run_client({"down", layout_.vm_name(), "--force"}); !down) {
    fmt::print(stderr, "bench-idle: {}\n", down.error().text());
  }
  std::error_code ignored;
  fs::remove_all(directory_, ignored);
}

Status Pair::write_configuration(const std::string& guest) {
  config::Loaded config = config::load_config(guest + "/VM.toml");
  if (!config) return std::unexpected(config.error().error());
  if (Status status = posix::make_directory(directory_); !status) return status;
  config->name = layout_.vm_name();
  for (config::DiskConfig& disk : config->disks) {
    const std::string copy =
        fmt::format("{}/{}", directory_, fs::path(disk.path).filename().string());
    if (Status status = posix::copy_file_sparse(disk.path, copy); !status) return status;
    disk.path = copy;
  }
  for (config::NetConfig& net : config->nets) {
    for (config::PortForward& forward : net.forward) forward.host_port = 0;
  }
  return posix::write_file_atomically(directory_ + "/VM.toml", config::to_toml(*config));
}

Result<std::string> Pair::run_client(std::vector<std::string> arguments) const {
  std::vector<std::string> argv{client_, "--state-dir", directory_ + "/state"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  const auto result = posix::run_command(argv);
  if (!result) return std::unexpected(result.error());
  if (result->exit_code == 0) return result->output;
  return fail(ErrorCode::kUnavailable, "this command of lockstep failed:", arguments.front(),
              result->output);
}

Result<api::VmStatus> Pair::status() const {
  const auto json = run_client({"status", layout_.vm_name(), "--json"});
  if (!json) return std::unexpected(json.error());
  return api::parse_vm_status(*json, "lockstep status");
}

Status Pair::wait_until_ready() const {
  const auto deadline = std::chrono::steady_clock::now() + kReadyPatience;
  while (std::chrono::steady_clock::now() < deadline) {
    const auto console = posix::read_small_file(layout_.console_log());
    if (console && console->find(kReady) != std::string::npos) return {};
    std::this_thread::sleep_for(kReadyPoll);
  }
  return fail(ErrorCode::kUnavailable, "the guest did not become ready; its console is in",
              layout_.console_log());
}

// All that is read at the beginning and at the end of the watch.
struct Sample {
  HostTime when;
  api::ReplicaStatus primary;
  std::chrono::nanoseconds primary_cpu{};
  std::chrono::nanoseconds backup_cpu{};
  std::chrono::nanoseconds gateway_cpu{};
};

Result<Sample> take_sample(const Pair& pair) {
  const auto status = pair.status();
  if (!status) return std::unexpected(status.error());
  if (status->state() != api::ReplicaState::kProtected) {
    return fail(ErrorCode::kUnavailable, "the pair is not protected but",
                std::string(to_string(status->state())), status->reason());
  }
  Sample sample{.when = posix::monotonic_now(), .primary = {}};
  for (const api::ReplicaView& replica : status->replicas) {
    const auto cpu = posix::process_cpu_time({replica.status.pid});
    if (!cpu) return std::unexpected(cpu.error());
    if (replica.status.role == api::Role::kPrimary) {
      sample.primary = replica.status;
      sample.primary_cpu = *cpu;
    } else {
      sample.backup_cpu = *cpu;
    }
  }
  const auto gateway_cpu = posix::process_cpu_time({status->gateway.pid});
  if (!gateway_cpu) return std::unexpected(gateway_cpu.error());
  sample.gateway_cpu = *gateway_cpu;
  return sample;
}

class Difference {
 public:
  Difference(const Sample& first, const Sample& last) : first_(first), last_(last) {}

  double seconds() const { return static_cast<double>(last_.when - first_.when) / 1e9; }
  double mbit_per_second(uint64_t first_bytes, uint64_t last_bytes) const {
    return 8e-6 * static_cast<double>(last_bytes - first_bytes) / seconds();
  }
  double cpu_percent(std::chrono::nanoseconds Sample::* cpu) const {
    const std::chrono::duration<double> used = last_.*cpu - first_.*cpu;
    return 100 * used.count() / seconds();
  }

 private:
  const Sample& first_;
  const Sample& last_;
};

Report make_report(const Sample& first, const Sample& last) {
  const Difference difference(first, last);
  Report report;
  const auto add = [&](std::string name, double value, std::string unit,
                       std::optional<double> baseline = std::nullopt) {
    report.add({std::move(name), value, std::move(unit), baseline});
  };
  const auto& before = first.primary;
  const auto& after = last.primary;
  const uint64_t channel_before = before.channel_sent_bytes + before.channel_received_bytes;
  const uint64_t channel_after = after.channel_sent_bytes + after.channel_received_bytes;
  uint64_t log_before = 0;
  uint64_t log_after = 0;
  for (const auto& [kind, traffic] : after.log) {
    const auto found = before.log.find(kind);
    const api::EntryTraffic earlier =
        found == before.log.end() ? api::EntryTraffic{} : found->second;
    log_before += earlier.bytes;
    log_after += traffic.bytes;
    add("log/" + kind, difference.mbit_per_second(earlier.bytes, traffic.bytes), "Mbit/s");
    add("log/" + kind + "/entries",
        static_cast<double>(traffic.entries - earlier.entries) / difference.seconds(), "1/s");
  }
  add("log/total", difference.mbit_per_second(log_before, log_after), "Mbit/s", kGoalMbitPerSecond);
  add("channel/sent",
      difference.mbit_per_second(before.channel_sent_bytes, after.channel_sent_bytes), "Mbit/s");
  add("channel/received",
      difference.mbit_per_second(before.channel_received_bytes, after.channel_received_bytes),
      "Mbit/s");
  add("channel/total", difference.mbit_per_second(channel_before, channel_after), "Mbit/s",
      kGoalMbitPerSecond);
  add("channel/total/bytes", static_cast<double>(channel_after - channel_before), "bytes");
  add("guest/speed", static_cast<double>(after.step - before.step) / difference.seconds() / 1e6,
      "Msteps/s");
  add("cpu/primary", difference.cpu_percent(&Sample::primary_cpu), "%");
  add("cpu/backup", difference.cpu_percent(&Sample::backup_cpu), "%");
  add("cpu/gateway", difference.cpu_percent(&Sample::gateway_cpu), "%");
  return report;
}

Status measure(const Options& options) {
  const auto pair = Pair::start(options.guest);
  if (!pair) return std::unexpected(pair.error());
  if (Status status = (*pair)->wait_until_ready(); !status) return status;
  std::this_thread::sleep_for(std::chrono::seconds(options.settle_seconds));
  const auto first = take_sample(**pair);
  if (!first) return std::unexpected(first.error());
  std::this_thread::sleep_for(std::chrono::seconds(options.seconds));
  const auto last = take_sample(**pair);
  if (!last) return std::unexpected(last.error());
  return make_report(*first, *last).publish(options.json);
}

}  // namespace
}  // namespace lockstep::bench

int main(int argc, char** argv) {
  lockstep::bench::Options options;
  CLI::App app("What a protected pair costs while its guest is idle.", "bench-idle");
  app.add_option("--guest", options.guest, "a directory of `lockstep image build`")
      ->type_name("DIR")
      ->required();
  app.add_option("--json", options.json, "also write the rows to FILE")->type_name("FILE");
  app.add_option("--seconds", options.seconds, "how long to watch")
      ->check(CLI::Range(1, 86400))
      ->capture_default_str();
  app.add_option("--settle", options.settle_seconds, "seconds between ready and the watch")
      ->check(CLI::Range(0, 3600))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  if (const auto status = lockstep::bench::measure(options); !status) {
    fmt::print(stderr, "bench-idle: {}\n", status.error().text());
    return 1;
  }
  return 0;
}
