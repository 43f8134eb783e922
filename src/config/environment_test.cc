#include "config/environment.h"

#include <cstdlib>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "io/posix/fd.h"

namespace lockstep::config {
namespace {

namespace fs = std::filesystem;

class Environment : public testing::Test {
 protected:
  Environment() {
    std::string name = testing::TempDir() + "environment-XXXXXX";
    directory_ = ::mkdtemp(name.data());
    write("kernel", "k");
    write("initrd", "i");
    write("disk", std::string(1024, 'd'));
    config_.name = "vm";
    config_.kernel = path("kernel");
    config_.initrd = path("initrd");
    config_.disks = {{path("disk"), false, false}};
    config_.protection.arbiter = {ArbiterKind::kDirectory, "arbiter"};
  }
  ~Environment() override { fs::remove_all(directory_); }

  std::string path(const std::string& name) const { return directory_ + "/" + name; }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name)) << text;
  }
  std::vector<std::string> errors() const {
    std::vector<std::string> texts;
    for (const Error& error : check_environment(config_, VmLayout(path("state"), "vm"))) {
      texts.push_back(error.text());
    }
    return texts;
  }

  std::string directory_;
  VmConfig config_;
};

TEST_F(Environment, AllIsWell) {
  config_.nets = {{NetMode::kUser, {}, {{Protocol::kTcp, "127.0.0.1", 0, 80}}}};
  EXPECT_THAT(errors(), testing::IsEmpty());
  EXPECT_TRUE(fs::is_directory(path("state/vm/arbiter")));
}

TEST_F(Environment, EveryFindingAtOnce) {
  config_.kernel = path("none");
  write("initrd", "");
  write("disk", std::string(1000, 'd'));
  config_.protection.arbiter.location = path("kernel");
  EXPECT_THAT(
      errors(),
      testing::ElementsAre(
          fmt::format("cannot read the kernel {}: No such file or directory; check kernel in the "
                      "configuration",
                      path("none")),
          fmt::format("cannot use the initrd {}: the file is empty", path("initrd")),
          fmt::format("cannot use the disk {}: its size, 1000 bytes, is not a positive multiple of "
                      "512; make it one with truncate",
                      path("disk")),
          fmt::format("cannot make the directory {}: a file has this name; check "
                      "protection.arbiter in the configuration",
                      path("kernel"))));
}

TEST_F(Environment, EmptyDisk) {
  write("disk", "");
  ASSERT_EQ(errors().size(), 1U);
  EXPECT_THAT(errors()[0], testing::HasSubstr("its size, 0 bytes, is not a positive multiple"));
}

TEST_F(Environment, TakenPort) {
  const posix::Fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  // SAFETY: the socket interface takes every address family through sockaddr.
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(listener.get(), generic, size), 0);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  ASSERT_EQ(::getsockname(listener.get(), generic, &size), 0);
  const uint16_t port = ntohs(address.sin_port);
  config_.nets = {{NetMode::kUser, {}, {{Protocol::kTcp, "127.0.0.1", port, 80}}}};
  EXPECT_THAT(errors(),
              testing::ElementsAre(fmt::format(
                  "cannot take TCP port {0} of 127.0.0.1: Address already in use; the forward "
                  "\"tcp:127.0.0.1:{0}:80\" needs this port; stop what uses it or choose another",
                  port)));
}

}  // namespace
}  // namespace lockstep::config
