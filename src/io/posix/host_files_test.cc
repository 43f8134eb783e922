#include "io/posix/host_files.h"

#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "io/posix/fd.h"
#include "io/posix/file_lock.h"
#include "io/posix/host_port.h"

namespace lockstep::posix {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class HostFiles : public testing::Test {
 protected:
  HostFiles() {
    std::string name = testing::TempDir() + "host-files-XXXXXX";
    directory_ = ::mkdtemp(name.data());
  }
  ~HostFiles() override { fs::remove_all(directory_); }

  std::string path(const std::string& name) const { return directory_ + "/" + name; }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name)) << text;
  }

  std::string directory_;
};

TEST_F(HostFiles, SizeOfWhatCanBeRead) {
  write("disk", std::string(1536, 'x'));
  EXPECT_EQ(readable_file_size(path("disk"), "cannot read the disk").value(), 1536U);
  EXPECT_EQ(writable_file_size(path("disk"), "cannot open the disk").value(), 1536U);
}

TEST_F(HostFiles, SaysWhyAFileIsOfNoUse) {
  const auto absent = readable_file_size(path("none"), "cannot read the kernel");
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(absent.error().text(),
            "cannot read the kernel " + path("none") + ": No such file or directory");
  const auto folder = readable_file_size(directory_, "cannot read the kernel");
  ASSERT_FALSE(folder);
  EXPECT_EQ(folder.error().text(), "cannot read the kernel " + directory_ + ": it is not a file");
}

TEST_F(HostFiles, MakesParentsForTheirOwnerOnly) {
  ASSERT_TRUE(make_directory(path("a/b/c")));
  ASSERT_TRUE(make_directory(path("a/b/c")));
  EXPECT_EQ(fs::status(path("a/b")).permissions(), fs::perms::owner_all);
  EXPECT_TRUE(check_writable_directory(path("a/b/c")));
  EXPECT_TRUE(fs::is_empty(path("a/b/c")));
  EXPECT_EQ(check_writable_directory(path("a/x")).error().code, ErrorCode::kNotFound);
  write("file", "");
  EXPECT_FALSE(make_directory(path("file")));
  EXPECT_FALSE(make_directory(path("file/below")));
}

TEST_F(HostFiles, ReplacesAFileAtOnce) {
  write("f", "old");
  write("f.partial", "left by a crash, longer than the new text");
  ASSERT_TRUE(write_file_atomically(path("f"), "new"));
  EXPECT_EQ(read_small_file(path("f")).value(), "new");
  EXPECT_FALSE(fs::exists(path("f.partial")));
  EXPECT_FALSE(write_file_atomically(path("none/f"), "new"));
}

TEST_F(HostFiles, RefusesToReadAHugeFileWhole) {
  write("f", "x");
  fs::resize_file(path("f"), kMaxSmallFile + 1);
  EXPECT_EQ(read_small_file(path("f")).error().code, ErrorCode::kInvalid);
}

uint64_t allocated_bytes(const std::string& path) {
  struct stat facts{};
  EXPECT_EQ(::stat(path.c_str(), &facts), 0);
  return static_cast<uint64_t>(facts.st_blocks) * 512;
}

TEST_F(HostFiles, CopiesHolesAsHoles) {
  constexpr uint64_t kSize = uint64_t{64} << 20;
  write("disk", "begin");
  fs::resize_file(path("disk"), kSize - 3);
  std::ofstream(path("disk"), std::ios::app) << "end";
  ASSERT_TRUE(copy_file_sparse(path("disk"), path("copy")));
  EXPECT_EQ(fs::file_size(path("copy")), kSize);
  EXPECT_LT(allocated_bytes(path("copy")), uint64_t{4} << 20);
  std::ifstream from(path("disk"), std::ios::binary), to(path("copy"), std::ios::binary);
  const std::string expected{std::istreambuf_iterator<char>(from), {}};
  const std::string copied{std::istreambuf_iterator<char>(to), {}};
  EXPECT_TRUE(expected == copied);
}

TEST_F(HostFiles, CopyReplacesAndLeavesNothingBehind) {
  write("disk", "");
  write("copy", "older");
  ASSERT_TRUE(copy_file_sparse(path("disk"), path("copy")));
  EXPECT_EQ(fs::file_size(path("copy")), 0U);
  EXPECT_FALSE(copy_file_sparse(path("none"), path("copy")));
  EXPECT_FALSE(fs::exists(path("copy.partial")));
}

TEST_F(HostFiles, OneHolderOfALock) {
  auto first = FileLock::acquire(path("lock"));
  ASSERT_TRUE(first);
  const auto second = FileLock::acquire(path("lock"));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kInUse);
  {
    const FileLock moved = std::move(*first);
  }
  EXPECT_TRUE(FileLock::acquire(path("lock")));
}

// A listening socket on a port that the kernel chose.
struct TakenPort {
  Fd fd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  uint16_t port = 0;

  TakenPort() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    // SAFETY: the socket interface takes every address family through sockaddr.
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(fd.get(), generic, size), 0);
    EXPECT_EQ(::listen(fd.get(), 1), 0);
    EXPECT_EQ(::getsockname(fd.get(), generic, &size), 0);
    port = ntohs(address.sin_port);
  }
};

TEST(HostPort, KnowsATakenPort) {
  const TakenPort taken;
  const auto probed = probe_host_port(Transport::kTcp, "127.0.0.1", taken.port);
  ASSERT_FALSE(probed);
  EXPECT_EQ(probed.error().code, ErrorCode::kInUse);
  EXPECT_THAT(probed.error().text(), HasSubstr("TCP port " + std::to_string(taken.port)));
  EXPECT_TRUE(probe_host_port(Transport::kUdp, "127.0.0.1", 0));
  EXPECT_TRUE(probe_host_port(Transport::kTcp, "127.0.0.1", 0));
}

TEST(HostPort, RefusesAddressesThatAreNotThisHosts) {
  EXPECT_EQ(probe_host_port(Transport::kTcp, "192.0.2.1", 6379).error().code, ErrorCode::kSystem);
  EXPECT_EQ(probe_host_port(Transport::kTcp, "localhost", 1).error().code, ErrorCode::kInvalid);
}

}  // namespace
}  // namespace lockstep::posix
