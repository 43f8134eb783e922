#include "api/server.h"

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fmt/format.h>
#include <httplib.h>
#include <thread>
#include <utility>

#include "base/check.h"
#include "io/posix/unix_socket_path.h"

namespace lockstep::api {
namespace {

constexpr const char* kJson = "application/json";

int http_status(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalid:
    case ErrorCode::kIncompatible:
      return 400;
    case ErrorCode::kNotFound:
      return 404;
    case ErrorCode::kInUse:
      return 409;
    case ErrorCode::kUnavailable:
      return 503;
    default:
      return 500;
  }
}

void answer(httplib::Response& response, const Error& error) {
  response.status = http_status(error.code);
  response.set_content(to_json(error), kJson);
}

httplib::Server::Handler action(std::function<Status()> handler) {
  return [handler = std::move(handler)](const httplib::Request&, httplib::Response& response) {
    if (const Status done = handler(); !done) return answer(response, done.error());
    response.set_content("{}", kJson);
  };
}

}  // namespace

struct ApiServer::Impl {
  Impl(std::string socket_path, posix::UnixSocketPath usable)
      : path(std::move(socket_path)), reachable(std::move(usable)) {}

  std::string path;
  posix::UnixSocketPath reachable;
  httplib::Server server;
  std::atomic<bool> ended = false;
  std::thread thread;

  void route(const ApiHandlers& handlers) {
    server.Get("/v1/status",
               [status = handlers.status](const httplib::Request&, httplib::Response& response) {
                 response.set_content(to_json(status()), kJson);
               });
    server.Get("/v1/events",
               [events = handlers.events](const httplib::Request&, httplib::Response& response) {
                 response.set_content(to_json(events()), kJson);
               });
    server.Post("/v1/power-off", action(handlers.power_off));
    server.Post("/v1/failover", action(handlers.failover));
    // Everything that no route answered.
    server.set_error_handler([](const httplib::Request& request, httplib::Response& response) {
      if (!response.body.empty()) return;
      const int status = response.status;
      answer(response, Error{status == 404 ? ErrorCode::kNotFound : ErrorCode::kInvalid,
                             "no such request:", request.method + " " + request.path,
                             "docs/api.md lists them"});
      response.status = status;
    });
  }

  void limit() {
    server.set_address_family(AF_UNIX);
    server.new_task_queue = [] { return new httplib::ThreadPool(kApiThreads); };
    server.set_keep_alive_max_count(1);
    server.set_read_timeout(kApiIoTimeoutSeconds);
    server.set_write_timeout(kApiIoTimeoutSeconds);
    server.set_payload_max_length(kMaxApiRequest);
  }
};

ApiServer::ApiServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {
}

Result<std::unique_ptr<ApiServer>> ApiServer::start(const std::string& socket_path,
                                                    ApiHandlers handlers) {
  CHECK(handlers.status && handlers.events && handlers.power_off && handlers.failover);
  if (Status removed = posix::remove_stale_socket(socket_path); !removed) {
    return std::unexpected(removed.error());
  }
  Result<posix::UnixSocketPath> reachable = posix::UnixSocketPath::open(socket_path);
  if (!reachable) return std::unexpected(reachable.error());
  std::unique_ptr<Impl> impl(new Impl(socket_path, std::move(*reachable)));
  impl->limit();
  impl->route(handlers);
  // The port is not used by Unix sockets, but must not be 0.
  if (!impl->server.bind_to_port(impl->reachable.usable(), 1)) {
    return fail(ErrorCode::kSystem, "cannot listen on", socket_path,
                "check that its directory exists and can be written");
  }
  std::error_code failed;
  std::filesystem::permissions(
      socket_path, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write,
      failed);
  if (failed) {
    return fail(ErrorCode::kSystem, "cannot restrict access to", socket_path, failed.message());
  }
  impl->thread = std::thread([listening = impl.get()] {
    listening->server.listen_after_bind();
    listening->ended = true;
  });
  // stop() does nothing to a server that does not run yet.
  while (!impl->server.is_running() && !impl->ended) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return std::unique_ptr<ApiServer>(new ApiServer(std::move(impl)));
}

ApiServer::~ApiServer() {
  impl_->server.stop();
  impl_->thread.join();
  std::error_code ignored;
  std::filesystem::remove(impl_->path, ignored);
}

}  // namespace lockstep::api
