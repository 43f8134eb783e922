// The other end of api/server.h: one request, one connection.
//
// Every call waits at most kApiAnswerTimeoutSeconds. Errors: kUnavailable when nobody listens or
// answers, kNotFound when the socket does not exist, kIncompatible when the answer is not
// understood, else what the server answered. Thread-safe: nothing is shared.
#pragma once

#include <string>
#include <vector>

#include "api/status.h"
#include "base/error.h"

namespace lockstep::api {

inline constexpr int kApiAnswerTimeoutSeconds = 3;

class ApiClient {
 public:
  explicit ApiClient(std::string socket_path) : socket_path_(std::move(socket_path)) {}

  Result<ReplicaStatus> status() const;
  Result<std::vector<EventRecord>> events() const;
  Status power_off() const;
  Status failover() const;

 private:
  enum class Method : unsigned char { kGet, kPost };
  Result<std::string> request(Method method, const char* path) const;

  std::string socket_path_;
};

}  // namespace lockstep::api
