#include "api/server.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mutex>
#include <thread>

#include "api/client.h"
#include "io/posix/unix_socket_path.h"

namespace lockstep::api {
namespace {

namespace fs = std::filesystem;

class Api : public testing::Test {
 protected:
  Api() {
    std::string name = testing::TempDir() + "api-XXXXXX";
    directory_ = ::mkdtemp(name.data());
    status_.vm = "redis";
    status_.reason = "both replicas run";
    handlers_.status = [this] { return status_; };
    handlers_.events = [] { return std::vector<EventRecord>{{"now", "state", "solo"}}; };
    handlers_.power_off = [this]() -> Status {
      ++power_offs_;
      return {};
    };
    handlers_.failover = []() -> Status {
      return fail(ErrorCode::kUnavailable, "cannot fail over", "redis", "it has no backup");
    };
  }
  ~Api() override { fs::remove_all(directory_); }

  std::string directory_;
  ReplicaStatus status_;
  std::atomic<int> power_offs_ = 0;
  ApiHandlers handlers_;
};

TEST_F(Api, AnswersEveryRequest) {
  const std::string path = directory_ + "/api.sock";
  const auto server = ApiServer::start(path, handlers_);
  ASSERT_TRUE(server) << server.error().text();
  const ApiClient client(path);
  EXPECT_EQ(client.status().value(), status_);
  EXPECT_EQ(client.events().value(), handlers_.events());
  EXPECT_TRUE(client.power_off());
  EXPECT_EQ(power_offs_, 1);
  const Status failover = client.failover();
  ASSERT_FALSE(failover);
  EXPECT_EQ(failover.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(failover.error().text(), "cannot fail over redis: it has no backup");
}

TEST_F(Api, PathsLongerThanASocketAddress) {
  const std::string deep = directory_ + "/" + std::string(90, 'd') + "/" + std::string(90, 'e');
  fs::create_directories(deep);
  const std::string path = deep + "/api.sock";
  {
    const auto server = ApiServer::start(path, handlers_);
    ASSERT_TRUE(server) << server.error().text();
    EXPECT_TRUE(fs::is_socket(path));
    EXPECT_TRUE(ApiClient(path).status());
  }
  EXPECT_FALSE(fs::exists(path));
}

TEST_F(Api, OnlyTheOwnerMayConnect) {
  const std::string path = directory_ + "/api.sock";
  const auto server = ApiServer::start(path, handlers_);
  ASSERT_TRUE(server);
  EXPECT_EQ(fs::status(path).permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(Api, StopsAtOnceAndRemovesItsSocket) {
  const std::string path = directory_ + "/api.sock";
  {
    ASSERT_TRUE(ApiServer::start(path, handlers_));
  }
  EXPECT_FALSE(fs::exists(path));
  const auto gone = ApiClient(path).status();
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(ApiServer::start(path, handlers_)) << "the path can be used again";
}

TEST_F(Api, DoesNotTakeAnothersSocket) {
  const std::string path = directory_ + "/api.sock";
  const auto first = ApiServer::start(path, handlers_);
  ASSERT_TRUE(first);
  const auto second = ApiServer::start(path, handlers_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kInUse);
  EXPECT_TRUE(ApiClient(path).status());
}

TEST_F(Api, NoDirectory) {
  const auto server = ApiServer::start(directory_ + "/none/api.sock", handlers_);
  ASSERT_FALSE(server);
  EXPECT_THAT(server.error().text(), testing::HasSubstr(directory_ + "/none/api.sock"));
}

// A connection that sends nothing must not keep others from being answered.
TEST_F(Api, AnIdleConnectionBlocksNobody) {
  const std::string path = directory_ + "/api.sock";
  const auto server = ApiServer::start(path, handlers_);
  ASSERT_TRUE(server);
  const Result<posix::Fd> idle = posix::connect_unix_socket(path);
  ASSERT_TRUE(idle);
  const auto before = std::chrono::steady_clock::now();
  EXPECT_TRUE(ApiClient(path).status());
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(kApiIoTimeoutSeconds));
}

// Two requests at once: the first handler waits until the second has begun.
TEST_F(Api, RequestsRunBesideEachOther) {
  std::mutex mutex;
  std::condition_variable both_inside;
  int inside = 0;
  handlers_.status = [&] {
    std::unique_lock lock(mutex);
    ++inside;
    both_inside.notify_all();
    both_inside.wait_for(lock, std::chrono::seconds(kApiAnswerTimeoutSeconds),
                         [&] { return inside == 2; });
    return status_;
  };
  const std::string path = directory_ + "/api.sock";
  const auto server = ApiServer::start(path, handlers_);
  ASSERT_TRUE(server);
  std::thread other([&] { EXPECT_TRUE(ApiClient(path).status()); });
  EXPECT_TRUE(ApiClient(path).status());
  other.join();
  EXPECT_EQ(inside, 2);
}

}  // namespace
}  // namespace lockstep::api
