// lockstep-gateway CONFIGURATION: the outside of one VM on this machine. Ends on SIGTERM or SIGINT.

#include <CLI/CLI.hpp>
#include <string>

#include "api/exit_code.h"
#include "base/diagnostics.h"
#include "gateway/configuration.h"
#include "gateway/server.h"
#include "io/posix/event_loop.h"
#include "io/posix/process.h"

namespace lockstep::gateway {
namespace {

int report(const Error& error) {
  diagnose(Severity::kError, "{}", error.text());
  return api::exit_code(error.code);
}

int run(const std::string& path) {
  const Result<Configuration> configuration = load_configuration(path);
  if (!configuration) return report(configuration.error());
  set_diagnostics_name("gateway-" + configuration->vm);
  posix::ignore_broken_pipes();
  posix::raise_descriptor_limit();
  Result<posix::Fd> signals = posix::termination_signals();
  if (!signals) return report(signals.error());
  posix::EventLoop loop;
  const Result<std::unique_ptr<Server>> server = Server::create(loop, *configuration);
  if (!server) return report(server.error());
  loop.watch(signals->get(), posix::EventLoop::kReadable, [&loop](uint32_t) { loop.stop(); });
  diagnose(Severity::kInfo, "ready: {}", (*server)->status());
  loop.run();
  diagnose(Severity::kInfo, "ending: {}", (*server)->status());
  return api::kExitSuccess;
}

}  // namespace
}  // namespace lockstep::gateway

int main(int argc, char** argv) {
  CLI::App app{"The user network and console of one VM: outlives its replicas"};
  std::string path;
  app.add_option("configuration", path, "A JSON file")->required();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    using lockstep::ErrorCode;
    return app.exit(error) == 0 ? lockstep::api::kExitSuccess
                                : lockstep::api::exit_code(ErrorCode::kInvalid);
  }
  return lockstep::gateway::run(path);
}
