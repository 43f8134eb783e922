#include "api/client.h"

#include <filesystem>
#include <fmt/format.h>
#include <httplib.h>

#include "io/posix/unix_socket_path.h"

namespace lockstep::api {

Result<std::string> ApiClient::request(Method method, const char* path) const {
  std::error_code ignored;
  if (!std::filesystem::exists(socket_path_, ignored)) {
    return fail(ErrorCode::kNotFound, "cannot connect to", socket_path_, "no such socket");
  }
  Result<posix::UnixSocketPath> reachable = posix::UnixSocketPath::open(socket_path_);
  if (!reachable) return std::unexpected(reachable.error());
  httplib::Client http(reachable->usable());
  http.set_address_family(AF_UNIX);
  http.set_connection_timeout(kApiAnswerTimeoutSeconds);
  http.set_read_timeout(kApiAnswerTimeoutSeconds);
  http.set_write_timeout(kApiAnswerTimeoutSeconds);
  // A Unix socket's path is no host name (RFC 9112 §3.2).
  const httplib::Headers headers{{"Host", "localhost"}};
  const httplib::Result answer = method == Method::kGet
                                     ? http.Get(path, headers)
                                     : http.Post(path, headers, "", "application/json");
  if (!answer) {
    return fail(ErrorCode::kUnavailable, "no answer from", socket_path_,
                fmt::format("{}; is its process stopped or overloaded?",
                            httplib::to_string(answer.error())));
  }
  if (answer->status == 200) return answer->body;
  const Result<Error> error = parse_error(answer->body, socket_path_);
  return std::unexpected(error ? *error : error.error());
}

Result<ReplicaStatus> ApiClient::status() const {
  const Result<std::string> answer = request(Method::kGet, "/v1/status");
  if (!answer) return std::unexpected(answer.error());
  return parse_replica_status(*answer, socket_path_);
}

Result<std::vector<EventRecord>> ApiClient::events() const {
  const Result<std::string> answer = request(Method::kGet, "/v1/events");
  if (!answer) return std::unexpected(answer.error());
  return parse_events(*answer, socket_path_);
}

Status ApiClient::power_off() const {
  const Result<std::string> answer = request(Method::kPost, "/v1/power-off");
  if (!answer) return std::unexpected(answer.error());
  return {};
}

Status ApiClient::failover() const {
  const Result<std::string> answer = request(Method::kPost, "/v1/failover");
  if (!answer) return std::unexpected(answer.error());
  return {};
}

}  // namespace lockstep::api
