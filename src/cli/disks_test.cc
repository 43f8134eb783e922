#include "cli/disks.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <iterator>

#include "io/posix/directory_arbiter.h"
#include "io/posix/host_files.h"

namespace lockstep::cli {
namespace {

namespace fs = std::filesystem;
using config::Node;

class Disks : public testing::Test {
 protected:
  Disks() {
    std::string name = testing::TempDir() + "disks-XXXXXX";
    directory_ = ::mkdtemp(name.data());
    config_.name = "vm";
    config_.disks = {{path("root.img"), false, false}, {path("cd.iso"), false, true}};
    config_.protection.arbiter = {config::ArbiterKind::kDirectory, "arbiter"};
    fs::create_directories(layout().arbiter_directory(config_));
    write(path("root.img"), "of a");
    write(path("cd.iso"), "read-only");
  }
  ~Disks() override { fs::remove_all(directory_); }

  std::string path(const std::string& name) const { return directory_ + "/" + name; }
  config::VmLayout layout() const { return {path("state"), "vm"}; }
  static void write(const std::string& file, const std::string& text) {
    std::ofstream(file) << text;
  }
  static std::string read(const std::string& file) {
    std::ifstream in(file);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void win(Epoch from, const std::string& node) const {
    posix::DirectoryArbiter arbiter(layout().arbiter_directory(config_));
    const io::AcquireResult result = arbiter.acquire("vm", from, node);
    ASSERT_TRUE(std::holds_alternative<io::AcquireResult::Won>(result.value));
  }
  Status refresh(Node from) {
    return refresh_other_disks(config_, layout(), from,
                               [this](const std::string& text) { progress_.push_back(text); });
  }

  std::string directory_;
  config::VmConfig config_;
  std::vector<std::string> progress_;
};

TEST_F(Disks, TheOwnerOfTheNewestEpochHasTheNewest) {
  EXPECT_EQ(newest_replica(config_, layout())->node, Node::kA);
  EXPECT_EQ(newest_replica(config_, layout())->epoch, Epoch(0));
  win(Epoch(0), "a");
  EXPECT_EQ(newest_replica(config_, layout())->node, Node::kA);
  win(Epoch(1), "b");
  EXPECT_EQ(newest_replica(config_, layout())->node, Node::kB);
  EXPECT_EQ(newest_replica(config_, layout())->epoch, Epoch(2));
}

TEST_F(Disks, AStrangersRegisterIsNotUsed) {
  win(Epoch(0), "host-7");
  const auto newest = newest_replica(config_, layout());
  ASSERT_FALSE(newest);
  EXPECT_EQ(newest.error().code, ErrorCode::kCorrupt);
  EXPECT_THAT(newest.error().text(), testing::HasSubstr("\"host-7\", which is neither"));
}

TEST_F(Disks, RefreshesNodeBFromA) {
  ASSERT_TRUE(refresh(Node::kA));
  EXPECT_EQ(read(layout().disk_image(config_, Node::kB, 0)), "of a");
  EXPECT_FALSE(fs::exists(layout().refresh_marker(Node::kB)));
  EXPECT_FALSE(fs::exists(layout().replica_directory(Node::kB) + "/disk1.img"))
      << "a read-only disk needs no copy";
  EXPECT_THAT(progress_, testing::ElementsAre("copying disk 0 of node a to node b"));
}

TEST_F(Disks, RefreshesTheConfiguredImageAfterAFailover) {
  fs::rename(path("root.img"), path("real.img"));
  fs::create_symlink(path("real.img"), path("root.img"));
  fs::create_directories(layout().replica_directory(Node::kB));
  write(layout().disk_image(config_, Node::kB, 0), "newer, of b");
  ASSERT_TRUE(refresh(Node::kB));
  EXPECT_EQ(read(path("root.img")), "newer, of b");
  EXPECT_TRUE(fs::is_symlink(path("root.img"))) << "the link stays, its target is replaced";
}

TEST_F(Disks, AFailedRefreshLeavesItsMarkAndTheOldImage) {
  ASSERT_TRUE(refresh(Node::kA));
  fs::remove(path("root.img"));
  EXPECT_FALSE(refresh(Node::kA));
  EXPECT_TRUE(fs::exists(layout().refresh_marker(Node::kB)));
  EXPECT_EQ(read(layout().disk_image(config_, Node::kB, 0)), "of a");
}

TEST_F(Disks, AnInterruptedRefreshIsDoneAgain) {
  fs::create_directories(layout().replica_directory(Node::kB));
  write(layout().refresh_marker(Node::kB), "");
  write(layout().disk_image(config_, Node::kB, 0) + std::string(posix::kPartialSuffix), "ha");
  EXPECT_EQ(newest_replica(config_, layout())->node, Node::kA);
  ASSERT_TRUE(refresh(Node::kA));
  EXPECT_EQ(read(layout().disk_image(config_, Node::kB, 0)), "of a");
  EXPECT_FALSE(fs::exists(layout().refresh_marker(Node::kB)));
}

TEST_F(Disks, HalfRefreshedImagesAreNeverTheNewest) {
  win(Epoch(0), "b");
  fs::create_directories(layout().replica_directory(Node::kB));
  write(layout().refresh_marker(Node::kB), "");
  const auto newest = newest_replica(config_, layout());
  ASSERT_FALSE(newest);
  EXPECT_EQ(newest.error().code, ErrorCode::kCorrupt);
}

TEST_F(Disks, ADeviceIsNotReplacedByAFile) {
  config_.disks[0].path = "/dev/null";
  fs::create_directories(layout().replica_directory(Node::kB));
  write(layout().disk_image(config_, Node::kB, 0), "newer, of b");
  const Status refreshed = refresh(Node::kB);
  ASSERT_FALSE(refreshed);
  EXPECT_EQ(refreshed.error().code, ErrorCode::kIncompatible);
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
}

}  // namespace
}  // namespace lockstep::cli
