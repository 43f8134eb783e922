#include "cli/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sstream>
#include <string_view>
#include <utility>

#include "api/exit_code.h"
#include "config/load.h"

namespace lockstep::cli {
namespace {

constexpr const char* kVmHelp = "the VM's name";
constexpr const char* kConfigHelp = "the VM's configuration (TOML, docs/configuration.md)";
constexpr const char* kEngineHelp =
    "what runs the guest: jit or interpreter, instead of what the configuration says";

void declare_engine(CLI::App& command, const char* flag, const char* help,
                    std::optional<config::Engine>& engine) {
  command
      .add_option_function<std::string>(
          flag, [&engine](const std::string& name) { engine = config::parse_engine(name); }, help)
      ->type_name("ENGINE")
      ->check([](const std::string& name) {
        if (config::parse_engine(name)) return std::string();
        return fmt::format("must be {}, not {}", fmt::join(config::kEngineNames, " or "), name);
      });
}

// One declared command: its CLI11 object, and the value it makes. The options write into `value`,
// which must stay where it is until parsing has ended.
template <typename T>
class Declared {
 public:
  Declared(CLI::App& parent, const char* name, const char* help)
      : app_(parent.add_subcommand(name, help)) {}

  CLI::App* operator->() { return app_; }
  CLI::App& app() { return *app_; }
  T& value() { return value_; }

  bool take(Command& command) {
    if (!app_->parsed()) return false;
    command = std::move(value_);
    return true;
  }

 private:
  CLI::App* app_;
  T value_;
};

struct Parser {
  CLI::App app{"Fault-tolerant virtual machines: a backup follows the primary in lockstep.",
               "lockstep"};
  std::string state_directory;

  Declared<UpCommand> up{app, "up", "Start a protected VM: a primary, its backup, its network"};
  Declared<DownCommand> down{app, "down", "Power a VM off and stop its processes"};
  Declared<StatusCommand> status{app, "status", "Show how a VM, or every VM, is doing"};
  Declared<ListCommand> list{app, "list", "List the VMs of the state directory"};
  Declared<ConsoleCommand> console{app, "console", "Use a VM's console; Ctrl-] leaves it"};
  Declared<FailoverCommand> failover{app, "failover", "Hand over to the backup now"};
  Declared<EventsCommand> events{app, "events", "Show what happened to a VM"};
  Declared<RunCommand> run{app, "run",
                           "Run one unprotected VM with its console here; Ctrl-] ends it"};
  Declared<RunCommand> record{app, "record", "As run, and write everything that happens to a file"};
  Declared<ReplayCommand> replay{app, "replay", "Run a recording again, exactly"};
  CLI::App* config = app.add_subcommand("config", "Check and explain configuration files");
  Declared<ConfigCheckCommand> check{*config, "check", "Check a file and show every value"};
  Declared<ConfigReferenceCommand> reference{*config, "reference",
                                             "Print the reference of all keys (Markdown)"};
  CLI::App* image = app.add_subcommand("image", "Guest images");
  Declared<ImageBuildCommand> build{*image, "build",
                                    "Build a Debian guest: kernel, disk and configuration"};
  Declared<VersionCommand> version{app, "version", "Print the version"};

  Parser() {
    app.require_subcommand(1);
    config->require_subcommand(1);
    image->require_subcommand(1);
    app.add_option("--state-dir", state_directory,
                   "where VMs keep their state (default: $LOCKSTEP_STATE_DIR, else "
                   "$XDG_STATE_HOME/lockstep, else ~/.local/state/lockstep)");
    app.footer("Exit codes: docs/errors.md.");
    declare_vm_commands();
    declare_run_commands();
  }

  void declare_vm_commands() {
    up->add_option("VM.toml", up.value().config_file, kConfigHelp)->required();
    config::EngineFlags& engines = up.value().engines;
    declare_engine(up.app(), "--engine", kEngineHelp, engines.both);
    declare_engine(up.app(), "--engine-a", "replica a's, where it is to be another", engines.a);
    declare_engine(up.app(), "--engine-b", "replica b's", engines.b);
    CLI::Option* vm = down->add_option("VM", down.value().vm, kVmHelp);
    down->add_flag("--all", down.value().all, "every VM of the state directory")->excludes(vm);
    down->add_flag("--force", down.value().force,
                   "stop the processes at once, without powering the guest off");
    status->add_option("VM", status.value().vm, kVmHelp);
    status->add_flag("--json", status.value().json, "as JSON (docs/api.md)");
    console->add_option("VM", console.value().vm, kVmHelp)->required();
    failover->add_option("VM", failover.value().vm, kVmHelp)->required();
    events->add_option("VM", events.value().vm, kVmHelp)->required();
  }

  void declare_run_commands() {
    run->add_option("VM.toml", run.value().config_file, kConfigHelp)->required();
    run->add_option("--record", run.value().record_file, "write the log to this file");
    record->add_option("VM.toml", record.value().config_file, kConfigHelp)->required();
    record->add_option("FILE", record.value().record_file, "the recording")->required();
    replay->add_option("FILE", replay.value().recording, "the recording")->required();
    declare_engine(run.app(), "--engine", kEngineHelp, run.value().engines.both);
    declare_engine(record.app(), "--engine", kEngineHelp, record.value().engines.both);
    declare_engine(replay.app(), "--engine", "what replays it: jit (the default) or interpreter",
                   replay.value().engine);
    check->add_option("FILE", check.value().config_file, kConfigHelp)->required();
    check->add_flag("--host", check.value().host,
                    "also check that this host has the files and ports");
    build.value().output = "guest";
    build->add_option("--output", build.value().output, "the directory to build in")
        ->capture_default_str();
    build->add_option("--size", build.value().size, "size of the disk, as in 256M");
    build->add_flag("--full", build.value().full, "a whole Debian with systemd");
    build->add_flag("--replace-disk", build.value().replace_disk,
                    "build a new disk even if the guest has written to the old one");
    build->add_option("--with-program", build.value().programs,
                      "a riscv64 program to put into /usr/local/bin; may be repeated");
    build->add_option("--with-package", build.value().packages,
                      "a Debian package to install, with --full; may be repeated");
  }

  // An unknown word in the place of a command, explained; empty when there is none. CLI11 would
  // only say that a command is missing.
  std::string unknown_command(const std::vector<std::string>& arguments) const {
    const CLI::App* level = &app;
    for (size_t i = 0; i < arguments.size() && !level->get_subcommands({}).empty(); ++i) {
      const std::string& word = arguments[i];
      if (word == "--state-dir") ++i;
      if (word.starts_with('-')) continue;
      std::vector<std::string_view> names;
      for (const CLI::App* command : level->get_subcommands({})) {
        names.push_back(command->get_name());
      }
      if (std::ranges::find(names, word) == names.end()) {
        const std::string_view nearest = config::nearest_key(word, names);
        return fmt::format("lockstep: {} is no command; {}\n", word,
                           nearest.empty() ? fmt::format("there are: {}", fmt::join(names, ", "))
                                           : fmt::format("did you mean {}?", nearest));
      }
      level = level->get_subcommand(word);
    }
    return {};
  }

  Command take() {
    Command command;
    const auto take_one = [&](auto&... declared) { return (declared.take(command) || ...); };
    take_one(up, down, status, list, console, failover, events, run, record, replay, check,
             reference, build, version);
    return command;
  }
};

}  // namespace

std::variant<CommandLine, Usage> parse_command_line(const std::vector<std::string>& arguments) {
  Parser parser;
  if (std::string text = parser.unknown_command(arguments); !text.empty()) {
    return Usage{api::exit_code(ErrorCode::kInvalid), std::move(text)};
  }
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());  // as CLI11 wants it
  try {
    parser.app.parse(std::move(reversed));
    if (parser.down->parsed() && parser.down.value().vm.empty() && !parser.down.value().all) {
      throw CLI::RequiredError("VM or --all");
    }
  } catch (const CLI::ParseError& error) {
    std::ostringstream out, err;
    const bool help = parser.app.exit(error, out, err) == 0;
    return Usage{help ? api::kExitSuccess : api::exit_code(ErrorCode::kInvalid),
                 out.str() + err.str()};
  }
  return CommandLine{parser.state_directory, parser.take()};
}

}  // namespace lockstep::cli
