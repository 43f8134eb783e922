// The API of one process: HTTP/1.1 over a Unix socket (docs/api.md).
//
//   GET  /v1/status      the replica's status
//   GET  /v1/events      a list of what happened
//   POST /v1/power-off   powers the guest off
//   POST /v1/failover    hands over to the backup
//
// Owner: the thread that starts it; the destructor waits until requests under way have ended, at
// most kApiIoTimeoutSeconds. Handlers are called on threads of the server, several at a time: they
// must be thread-safe and answer at once, without waiting for the guest.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api/status.h"
#include "base/error.h"

namespace lockstep::api {

inline constexpr int kApiThreads = 2;
inline constexpr int kApiIoTimeoutSeconds = 2;
inline constexpr size_t kMaxApiRequest = size_t{64} << 10;  // bytes of a request's body

struct ApiHandlers {
  std::function<ReplicaStatus()> status;
  std::function<std::vector<EventRecord>()> events;
  std::function<Status()> power_off;
  std::function<Status()> failover;
};

class ApiServer {
 public:
  // Listens when this returns. A socket file that nobody listens on is replaced; error kInUse when
  // somebody does. Only this user can connect. All handlers must be given.
  static Result<std::unique_ptr<ApiServer>> start(const std::string& socket_path,
                                                  ApiHandlers handlers);
  // Removes the socket file.
  ~ApiServer();
  ApiServer(const ApiServer&) = delete;
  ApiServer& operator=(const ApiServer&) = delete;

 private:
  struct Impl;
  explicit ApiServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace lockstep::api
