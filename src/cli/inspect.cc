// The commands that look and do not start anything.

#include <fmt/format.h>

#include "api/client.h"
#include "cli/commands.h"
#include "cli/processes.h"
#include "cli/view.h"
#include "config/environment.h"
#include "config/load.h"
#include "config/render.h"
#include "io/posix/interrupts.h"
#include "io/posix/terminal.h"
#include "io/posix/unix_socket_path.h"

namespace lockstep::cli {
namespace {

// The API of the replica that is live, or of the one that is left.
Result<api::ApiClient> api_of(const std::string& state_directory, const std::string& vm) {
  const Result<config::VmLayout> layout = find_vm(state_directory, vm);
  if (!layout) return std::unexpected(layout.error());
  std::optional<config::Node> chosen;
  for (const config::Node node : config::kNodes) {
    if (!live_replica(*layout, node)) continue;
    const auto status = api::ApiClient(layout->api_socket(node)).status();
    if (!chosen || (status && status->role == api::Role::kPrimary)) chosen = node;
  }
  if (chosen) return api::ApiClient(layout->api_socket(*chosen));
  return fail(ErrorCode::kUnavailable, "not up:", vm, "`lockstep up` starts it");
}

}  // namespace

Status run_status(const StatusCommand& command, const std::string& state_directory) {
  if (!command.vm.empty()) {
    const Result<config::VmLayout> layout = find_vm(state_directory, command.vm);
    if (!layout) return std::unexpected(layout.error());
    const api::VmStatus vm = look_at(*layout);
    fmt::print("{}", command.json ? to_json(vm) + "\n" : render_status(vm));
    return {};
  }
  std::string text;
  for (const std::string& name : known_vms(state_directory)) {
    const api::VmStatus vm = look_at(config::VmLayout(state_directory, name));
    if (command.json && !text.empty()) text += ",\n";
    text += command.json ? to_json(vm) : render_status(vm);
  }
  if (command.json) {
    fmt::print("[{}]\n", text);
  } else {
    fmt::print("{}", text.empty() ? fmt::format("no VM in {}\n", state_directory) : text);
  }
  return {};
}

Status run_list(const std::string& state_directory) {
  std::vector<api::VmStatus> vms;
  for (const std::string& name : known_vms(state_directory)) {
    vms.push_back(look_at(config::VmLayout(state_directory, name)));
  }
  fmt::print("{}", render_list(vms));
  return {};
}

Status run_console(const ConsoleCommand& command, const std::string& state_directory) {
  const Result<config::VmLayout> layout = find_vm(state_directory, command.vm);
  if (!layout) return std::unexpected(layout.error());
  const Result<posix::Interrupts> interrupts = posix::Interrupts::create();
  if (!interrupts) return std::unexpected(interrupts.error());
  const Result<posix::Fd> console = posix::connect_unix_socket(layout->console_socket());
  if (!console) {
    return fail(ErrorCode::kUnavailable, "no console of", command.vm,
                fmt::format("{}; is it up?", console.error().text()));
  }
  fmt::print(stderr, "console of {}; Ctrl-] leaves it\n", command.vm);
  const auto end = posix::relay_terminal(*console, *interrupts, [] { return true; });
  if (!end) return std::unexpected(end.error());
  fmt::print(stderr, "\n{} the console of {}\n",
             *end == posix::RelayEnd::kPeerClosed ? "the VM's gateway closed" : "left", command.vm);
  return {};
}

Status run_failover(const FailoverCommand& command, const std::string& state_directory) {
  const Result<api::ApiClient> api = api_of(state_directory, command.vm);
  if (!api) return std::unexpected(api.error());
  if (Status asked = api->failover(); !asked) return asked;
  fmt::print("{}: the primary hands over; `lockstep status {}` shows who is live\n", command.vm,
             command.vm);
  return {};
}

Status run_events(const EventsCommand& command, const std::string& state_directory) {
  const Result<api::ApiClient> api = api_of(state_directory, command.vm);
  if (!api) return std::unexpected(api.error());
  const auto events = api->events();
  if (!events) return std::unexpected(events.error());
  for (const api::EventRecord& event : *events) {
    fmt::print("{}  {:<10}  {}\n", event.when, event.kind, event.text);
  }
  return {};
}

Status run_config_check(const ConfigCheckCommand& command, const std::string& state_directory) {
  const config::Loaded loaded = config::load_config(command.config_file);
  if (!loaded) return std::unexpected(loaded.error().error());
  fmt::print("{}", config::to_toml(*loaded));
  if (!command.host) return {};
  const std::vector<Error> missing =
      config::check_environment(*loaded, config::VmLayout(state_directory, loaded->name));
  for (const Error& error : missing) fmt::print(stderr, "lockstep: {}\n", error.text());
  if (missing.empty()) return {};
  return fail(missing[0].code, "this host lacks what the VM needs:", loaded->name,
              fmt::format("{} findings above", missing.size()));
}

Status run_config_reference() {
  fmt::print("{}", config::configuration_reference());
  return {};
}

Status run_version() {
  fmt::print("lockstep {}\n", LOCKSTEP_VERSION);
  return {};
}

}  // namespace lockstep::cli
