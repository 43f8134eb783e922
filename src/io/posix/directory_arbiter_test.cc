#include "io/posix/directory_arbiter.h"

#include <barrier>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace lockstep::posix {
namespace {

using Won = io::AcquireResult::Won;
using Lost = io::AcquireResult::Lost;
using Unreachable = io::AcquireResult::Unreachable;
using testing::HasSubstr;
namespace fs = std::filesystem;

// More than one acquisition in a directory of kKeptEpochs can need.
constexpr int kMostCalls = 300;

bool won(const io::AcquireResult& result, uint64_t epoch) {
  const auto* value = std::get_if<Won>(&result.value);
  return value != nullptr && value->epoch == Epoch(epoch);
}

std::string unreachable_text(const io::AcquireResult& result) {
  const auto* value = std::get_if<Unreachable>(&result.value);
  return value == nullptr ? "(answered)" : value->error.text();
}

std::string node_name(size_t index) {
  return fmt::format("node-{}", index);
}

class DirectoryArbiterTest : public testing::Test {
 protected:
  DirectoryArbiterTest() {
    std::string pattern = (fs::temp_directory_path() / "arbiter-XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
  }
  ~DirectoryArbiterTest() override { fs::remove_all(directory_); }

  std::set<std::string> files(const std::string& vm = "vm") const {
    std::set<std::string> names;
    if (!fs::exists(fs::path(directory_) / vm)) return names;
    for (const auto& entry : fs::directory_iterator(fs::path(directory_) / vm)) {
      names.insert(entry.path().filename().string());
    }
    return names;
  }
  bool claim_left_behind() const {
    for (const std::string& name : files()) {
      if (name.starts_with(".claim-")) return true;
    }
    return false;
  }
  // What a crash left, so that the next round makes the same calls.
  void remove_claims() {
    for (const std::string& name : files()) {
      if (name.starts_with(".claim-")) fs::remove(fs::path(directory_) / "vm" / name);
    }
  }
  void place(const std::string& name, const std::string& text) {
    fs::create_directories(fs::path(directory_) / "vm");
    std::ofstream(fs::path(directory_) / "vm" / name) << text;
  }

  std::string directory_;
};

TEST_F(DirectoryArbiterTest, MovesTheRegisterOneEpochAtATime) {
  DirectoryArbiter a(directory_);
  DirectoryArbiter b(directory_);
  EXPECT_EQ(*a.read("vm"), (io::ArbiterRegister{}));
  EXPECT_TRUE(won(a.acquire("vm", Epoch(0), "node-a"), 1));
  EXPECT_EQ(*b.read("vm"), (io::ArbiterRegister{Epoch(1), "node-a"}));
  EXPECT_TRUE(won(b.acquire("vm", Epoch(1), "node-b"), 2));
  const auto late = a.acquire("vm", Epoch(1), "node-a");
  ASSERT_TRUE(std::holds_alternative<Lost>(late.value));
  EXPECT_EQ(std::get<Lost>(late.value), (Lost{Epoch(2), "node-b"}));
  EXPECT_FALSE(claim_left_behind());
}

TEST_F(DirectoryArbiterTest, VmsAreApart) {
  DirectoryArbiter a(directory_);
  EXPECT_TRUE(won(a.acquire("one", Epoch(0), "a"), 1));
  EXPECT_TRUE(won(a.acquire("two", Epoch(0), "a"), 1));
}

TEST_F(DirectoryArbiterTest, AskingAgainFindsItsOwnSuccess) {
  DirectoryArbiter a(directory_);
  DirectoryArbiter b(directory_);
  ASSERT_TRUE(won(a.acquire("vm", Epoch(0), "a"), 1));
  EXPECT_TRUE(won(a.acquire("vm", Epoch(0), "a"), 1));
  ASSERT_TRUE(won(b.acquire("vm", Epoch(1), "b"), 2));
  EXPECT_TRUE(std::holds_alternative<Lost>(a.acquire("vm", Epoch(0), "a").value));
}

TEST_F(DirectoryArbiterTest, ARestartedProcessOfTheSameNodeIsNotTheOwner) {
  ASSERT_TRUE(won(DirectoryArbiter(directory_).acquire("vm", Epoch(0), "a"), 1));
  const auto result = DirectoryArbiter(directory_).acquire("vm", Epoch(0), "a");
  EXPECT_TRUE(std::holds_alternative<Lost>(result.value));
}

// An NFS client repeats link after a lost reply: the first try succeeded, the second says EEXIST.
TEST_F(DirectoryArbiterTest, ARepeatedLinkThatSaysExistsIsASuccess) {
  DirectoryArbiter a(directory_, [&](std::string_view call) {
    if (call != "linkat") return 0;
    const fs::path vm = fs::path(directory_) / "vm";
    for (const std::string& name : files()) {
      if (name.starts_with(".claim-")) {
        fs::create_hard_link(vm / name, vm / "epoch-00000000000000000001");
      }
    }
    return EEXIST;
  });
  EXPECT_TRUE(won(a.acquire("vm", Epoch(0), "a"), 1));
}

TEST_F(DirectoryArbiterTest, ThreadsContendAndOneWinsEachEpoch) {
  constexpr uint64_t kEpochs = 40;
  constexpr size_t kContenders = 6;
  std::vector<std::vector<uint64_t>> wins(kContenders);
  std::barrier round(kContenders);
  std::vector<std::thread> threads;
  for (size_t index = 0; index < kContenders; ++index) {
    threads.emplace_back([&, index] {
      DirectoryArbiter arbiter(directory_);
      for (uint64_t from = 0; from < kEpochs; ++from) {
        const auto result = arbiter.acquire("vm", Epoch(from), node_name(index));
        if (std::holds_alternative<Won>(result.value)) wins[index].push_back(from + 1);
        round.arrive_and_wait();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::multiset<uint64_t> all;
  for (const auto& one : wins) all.insert(one.begin(), one.end());
  EXPECT_EQ(all.size(), kEpochs);
  for (uint64_t epoch = 1; epoch <= kEpochs; ++epoch) EXPECT_EQ(all.count(epoch), 1u) << epoch;
  EXPECT_FALSE(claim_left_behind());
}

// Without rounds a winner may be replaced before it has looked again: then it is not told kWon.
TEST_F(DirectoryArbiterTest, ThreadsThatRaceThroughEpochsNeverWinOneTwice) {
  constexpr uint64_t kEpochs = 60;
  constexpr size_t kContenders = 4;
  std::vector<std::vector<uint64_t>> wins(kContenders);
  std::vector<std::thread> threads;
  for (size_t index = 0; index < kContenders; ++index) {
    threads.emplace_back([&, index] {
      DirectoryArbiter arbiter(directory_);
      while (true) {
        const auto stand = arbiter.read("vm");
        if (!stand) continue;  // the newest of the listing was swept before it was read
        if (stand->epoch >= Epoch(kEpochs)) return;
        const auto result = arbiter.acquire("vm", stand->epoch, node_name(index));
        const auto* one = std::get_if<Won>(&result.value);
        if (one != nullptr) wins[index].push_back(one->epoch.value);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::multiset<uint64_t> all;
  for (const auto& one : wins) all.insert(one.begin(), one.end());
  EXPECT_GT(all.size(), kEpochs / 2);
  for (uint64_t epoch = 1; epoch <= kEpochs; ++epoch) EXPECT_LE(all.count(epoch), 1u) << epoch;
}

TEST_F(DirectoryArbiterTest, ProcessesContendForOneEpochAndOneWins) {
  for (uint64_t from = 0; from < 10; ++from) {
    std::vector<pid_t> children;
    for (int index = 0; index < 5; ++index) {
      const pid_t child = ::fork();
      ASSERT_GE(child, 0);
      if (child == 0) {
        const auto result = DirectoryArbiter(directory_).acquire("vm", Epoch(from), "n");
        ::_exit(std::holds_alternative<Won>(result.value)    ? 1
                : std::holds_alternative<Lost>(result.value) ? 0
                                                             : 2);
      }
      children.push_back(child);
    }
    int winners = 0;
    for (const pid_t child : children) {
      int status = 0;
      ASSERT_EQ(::waitpid(child, &status, 0), child);
      ASSERT_TRUE(WIFEXITED(status));
      EXPECT_LE(WEXITSTATUS(status), 1);
      winners += WEXITSTATUS(status);
    }
    EXPECT_EQ(winners, 1) << "from " << from;
  }
}

// A process that dies before its n-th system call, for every n: the next one always gets on.
TEST_F(DirectoryArbiterTest, ACrashAnywhereLeavesNothingStuck) {
  uint64_t epoch = 0;
  int crashes = 0;
  for (int fatal_call = 0;; ++fatal_call) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      int calls = 0;
      DirectoryArbiter dying(directory_, [&](std::string_view) {
        if (calls++ == fatal_call) ::_exit(9);
        return 0;
      });
      dying.acquire("vm", Epoch(epoch), "dying");
      ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    const bool crashed = WEXITSTATUS(status) == 9;
    crashes += crashed ? 1 : 0;

    DirectoryArbiter next(directory_);
    const auto stand = next.read("vm");
    ASSERT_TRUE(stand) << stand.error().text();
    EXPECT_TRUE(stand->epoch == Epoch(epoch) || stand->epoch == Epoch(epoch + 1));
    ASSERT_TRUE(won(next.acquire("vm", stand->epoch, "next"), stand->epoch.value + 1));
    epoch = stand->epoch.value + 1;
    remove_claims();
    ASSERT_LT(fatal_call, kMostCalls);
    if (!crashed) break;
  }
  EXPECT_GE(crashes, 15) << "the calls between which it may die";
}

// Every system call fails once, in turn: never a wrong answer, never a file left, and asking the
// same arbiter again gives the right answer.
TEST_F(DirectoryArbiterTest, AnyFailureIsNoAnswerAndLeavesNoClaimBehind) {
  uint64_t epoch = 0;
  int failures = 0;
  for (int failing_call = 0;; ++failing_call) {
    int calls = 0;
    std::string failed_call;
    DirectoryArbiter arbiter(directory_, [&](std::string_view call) {
      if (calls++ != failing_call) return 0;
      failed_call = call;
      return ENOSPC;
    });
    const auto result = arbiter.acquire("vm", Epoch(epoch), "a");
    const bool swept_later = failed_call == "unlinkat" || failed_call == "fstatat";
    if (failed_call.empty() || swept_later) {
      EXPECT_TRUE(won(result, epoch + 1)) << failed_call << unreachable_text(result);
    } else {
      EXPECT_THAT(unreachable_text(result), HasSubstr("No space left")) << failed_call;
      EXPECT_FALSE(claim_left_behind()) << failed_call;
    }
    if (failed_call.empty()) break;  // all of its calls have had their turn
    ASSERT_TRUE(won(arbiter.acquire("vm", Epoch(epoch), "a"), epoch + 1)) << failed_call;
    ++epoch;
    remove_claims();
    ++failures;
    ASSERT_LT(failing_call, kMostCalls);
  }
  EXPECT_GE(failures, 15);
}

TEST_F(DirectoryArbiterTest, AMissingDirectoryIsUnreachable) {
  DirectoryArbiter a(directory_ + "/gone");
  EXPECT_THAT(unreachable_text(a.acquire("vm", Epoch(0), "a")), HasSubstr("/gone"));
  EXPECT_FALSE(a.read("vm"));
}

TEST_F(DirectoryArbiterTest, ARegisterBehindTheCallerIsUnreachableNotWon) {
  DirectoryArbiter a(directory_);
  EXPECT_THAT(unreachable_text(a.acquire("vm", Epoch(7), "a")), HasSubstr("behind epoch 7"));
  ASSERT_TRUE(won(a.acquire("vm", Epoch(0), "a"), 1));
  EXPECT_THAT(unreachable_text(a.acquire("vm", Epoch(7), "a")), HasSubstr("behind epoch 7"));
}

TEST_F(DirectoryArbiterTest, NamesThatAreNoFileNamesAreRefused) {
  DirectoryArbiter a(directory_);
  for (const char* name : {"", ".", "..", "a/b", ".hidden", "two\nlines"}) {
    EXPECT_NE(unreachable_text(a.acquire(name, Epoch(0), "a")), "(answered)") << name;
    EXPECT_NE(unreachable_text(a.acquire("vm", Epoch(0), name)), "(answered)") << name;
    EXPECT_FALSE(a.read(name)) << name;
  }
}

TEST_F(DirectoryArbiterTest, ADamagedClaimIsAnErrorAndForeignFilesAreNot) {
  DirectoryArbiter a(directory_);
  ASSERT_TRUE(won(a.acquire("vm", Epoch(0), "a"), 1));
  place("README", "hello");
  place("epoch-12", "not ours");
  place("epoch-0000000000000000000x", "not ours");
  EXPECT_EQ(a.read("vm")->epoch, Epoch(1));
  for (const char* text : {"", "lockstep-epoch 1\n", "lockstep-epoch 2\nepoch 2\nnode b\nclaim c\n",
                           "lockstep-epoch 1\nepoch 3\nnode b\nclaim c\n",
                           "lockstep-epoch 1\nepoch 2\nnode b\nclaim c\nmore\n"}) {
    place("epoch-00000000000000000002", text);
    EXPECT_FALSE(a.read("vm")) << text;
    EXPECT_THAT(unreachable_text(a.acquire("vm", Epoch(1), "a")), HasSubstr("not a claim")) << text;
  }
  place("epoch-00000000000000000002", "lockstep-epoch 1\nepoch 2\nnode b\nclaim c\n");
  EXPECT_EQ(*a.read("vm"), (io::ArbiterRegister{Epoch(2), "b"}));
}

TEST_F(DirectoryArbiterTest, KeepsTheLastEpochsAndSweepsWhatCrashedClaimantsLeft) {
  DirectoryArbiter a(directory_);
  ASSERT_TRUE(won(a.acquire("vm", Epoch(0), "a"), 1));
  place(".claim-old-0", "half a cl");
  place(".claim-young-0", "half a cl");
  const fs::path old = fs::path(directory_) / "vm" / ".claim-old-0";
  fs::last_write_time(old, fs::last_write_time(old) -
                               std::chrono::seconds(DirectoryArbiter::kStaleClaimSeconds + 5));
  for (uint64_t from = 1; from < 30; ++from) {
    ASSERT_TRUE(won(a.acquire("vm", Epoch(from), "a"), from + 1));
  }
  const auto names = files();
  EXPECT_EQ(names.count(".claim-old-0"), 0u);
  EXPECT_EQ(names.count(".claim-young-0"), 1u);
  EXPECT_EQ(names.size(), DirectoryArbiter::kKeptEpochs + 1);
  EXPECT_EQ(names.count("epoch-00000000000000000030"), 1u);
}

// A claimant that was slow for so many epochs that the one it wants has been swept again.
TEST_F(DirectoryArbiterTest, ASweptEpochCannotBeWonAgain) {
  DirectoryArbiter others(directory_);
  ASSERT_TRUE(won(others.acquire("vm", Epoch(0), "o"), 1));
  DirectoryArbiter slow(directory_, [&](std::string_view call) {
    if (call == "linkat") {
      for (uint64_t from = 1; from <= 2 * DirectoryArbiter::kKeptEpochs; ++from) {
        EXPECT_TRUE(won(others.acquire("vm", Epoch(from), "o"), from + 1));
      }
    }
    return 0;
  });
  const auto result = slow.acquire("vm", Epoch(1), "slow");
  ASSERT_TRUE(std::holds_alternative<Lost>(result.value));
  EXPECT_EQ(std::get<Lost>(result.value).owner, "o");
}

}  // namespace
}  // namespace lockstep::posix
