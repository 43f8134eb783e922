#include "vmm/disks.h"

#include <atomic>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <thread>

#include "base/check.h"
#include "io/posix/host_clock.h"

namespace lockstep::vmm {
namespace {

constexpr uint64_t kSector = 512;
constexpr uint64_t kPatienceNs = 20'000'000'000;
constexpr uint64_t kDiskBytes = 64 * kSector;

// A disk in memory. The sector at kBadOffset cannot be read or written.
class MemoryDisk final : public io::Disk {
 public:
  static constexpr uint64_t kBadOffset = 8 * kSector;

  uint64_t size() const override { return kDiskBytes; }
  Status read(uint64_t offset, std::span<std::byte> out) override {
    if (offset == kBadOffset) return bad();
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
    return {};
  }
  Status write(uint64_t offset, ByteView data) override {
    if (offset == kBadOffset) return bad();
    std::ranges::copy(data, bytes_.begin() + static_cast<std::ptrdiff_t>(offset));
    return {};
  }
  Status flush() override { return {}; }
  Status discard(uint64_t offset, uint64_t length) override {
    std::fill_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), length, std::byte{0});
    return {};
  }

 private:
  static Status bad() { return fail(ErrorCode::kSystem, "bad sector of", "the test's disk"); }
  Bytes bytes_ = Bytes(kDiskBytes);
};

class DisksTest : public ::testing::Test {
 protected:
  static std::vector<std::unique_ptr<io::Disk>> two_disks() {
    std::vector<std::unique_ptr<io::Disk>> disks;
    disks.push_back(std::make_unique<MemoryDisk>());
    disks.push_back(std::make_unique<MemoryDisk>());
    return disks;
  }
  void submit(uint32_t disk, uint64_t number, devices::DiskOperation operation, uint64_t offset,
              uint8_t fill = 0) {
    devices::DiskRequest request{DeviceIndex{disk}, number, operation, offset, kSector, {}};
    if (operation == devices::DiskOperation::kWrite) {
      request.data = Bytes(kSector, static_cast<std::byte>(fill));
    }
    disks_.submit(std::move(request));
  }
  std::vector<log::DiskCompletion> await(size_t count) {
    std::vector<log::DiskCompletion> completions;
    std::vector<log::Payload> inputs;
    const HostTime deadline = posix::monotonic_now() + kPatienceNs;
    while (completions.size() < count) {
      inbox_.wait_until(deadline);
      CHECK(inbox_.something());
      inbox_.take(inputs);
      for (log::Payload& input : inputs) {
        completions.push_back(std::get<log::DiskCompletion>(std::move(input)));
      }
    }
    return completions;
  }
  static log::DiskCompletion logged(uint32_t disk, uint64_t number,
                                    log::DiskStatus status = log::DiskStatus::kOk) {
    return {DeviceIndex{disk}, number, status, false, {}};
  }

  Inbox inbox_;
  std::atomic<int> failures_ = 0;
  Disks disks_{two_disks(), inbox_, [this](const std::string&) { ++failures_; }};
};

TEST_F(DisksTest, ALiveReplicasCompletionsComeInTheOrderOfSubmission) {
  constexpr uint64_t kRequests = 200;
  disks_.go_live();
  for (uint64_t i = 0; i < kRequests; i += 2) {
    submit(0, i, devices::DiskOperation::kWrite, 0, static_cast<uint8_t>(i));
    submit(0, i + 1, devices::DiskOperation::kRead, 0);
  }
  const std::vector<log::DiskCompletion> completions = await(kRequests);
  for (uint64_t i = 0; i < kRequests; ++i) {
    ASSERT_EQ(completions[i].request, i);
    ASSERT_EQ(completions[i].status, log::DiskStatus::kOk);
    ASSERT_EQ(completions[i].has_data, i % 2 == 1);
    if (i % 2 == 0) continue;
    ASSERT_EQ(completions[i].data, Bytes(kSector, static_cast<std::byte>(i - 1)))
        << "a read sees the write before it and not the one after";
  }
}

TEST_F(DisksTest, ABackupTakesItsOwnResultsInTheLogsOrder) {
  submit(0, 0, devices::DiskOperation::kWrite, 0, 7);
  submit(0, 1, devices::DiskOperation::kRead, 0);
  submit(1, 0, devices::DiskOperation::kRead, 0);
  for (const auto& [disk, number, byte] :
       {std::tuple{1u, 0u, 0}, std::tuple{0u, 1u, 7}, std::tuple{0u, 0u, -1}}) {
    const Result<log::DiskCompletion> own = disks_.take_result(logged(disk, number));
    ASSERT_TRUE(own.has_value());
    EXPECT_EQ(own->request, number);
    EXPECT_EQ(own->has_data, byte >= 0);
    if (byte >= 0) {
      EXPECT_EQ(own->data, Bytes(kSector, static_cast<std::byte>(byte)));
    }
  }
  EXPECT_FALSE(inbox_.something()) << "nothing is an input while the log says what happens";
}

TEST_F(DisksTest, TheLogDecidesWhatTheGuestIsTold) {
  submit(0, 0, devices::DiskOperation::kRead, 0);
  const auto failed_there = logged(0, 0, log::DiskStatus::kIoError);
  EXPECT_EQ(disks_.take_result(failed_there).value(), failed_there);

  submit(0, 1, devices::DiskOperation::kRead, MemoryDisk::kBadOffset);
  const Result<log::DiskCompletion> failed_here = disks_.take_result(logged(0, 1));
  ASSERT_FALSE(failed_here.has_value());
  EXPECT_EQ(failed_here.error().code, ErrorCode::kSystem);
  EXPECT_EQ(failures_, 1);
}

TEST_F(DisksTest, GoingLiveTurnsWhatWaitsAndWhatComesIntoInputs) {
  constexpr uint64_t kEach = 50;
  for (uint64_t i = 0; i < kEach; ++i) submit(0, i, devices::DiskOperation::kRead, 0);
  ASSERT_TRUE(disks_.take_result(logged(0, 0)).has_value());
  disks_.go_live();
  for (uint64_t i = kEach; i < 2 * kEach; ++i) submit(0, i, devices::DiskOperation::kRead, 0);
  std::vector<uint64_t> numbers;
  for (const log::DiskCompletion& completion : await(2 * kEach - 1)) {
    numbers.push_back(completion.request);
  }
  std::ranges::sort(numbers);
  std::vector<uint64_t> expected;
  for (uint64_t i = 1; i < 2 * kEach; ++i) expected.push_back(i);
  EXPECT_EQ(numbers, expected) << "each once, but the one that the log had";
}

TEST_F(DisksTest, AnErrorIsACompletionWithoutData) {
  disks_.go_live();
  submit(1, 0, devices::DiskOperation::kRead, MemoryDisk::kBadOffset);
  const auto completions = await(1);
  EXPECT_EQ(completions[0], logged(1, 0, log::DiskStatus::kIoError));
  EXPECT_EQ(failures_, 1);
}

TEST_F(DisksTest, DiscardedSectorsReadAsZeroes) {
  disks_.go_live();
  submit(0, 0, devices::DiskOperation::kWrite, kSector, 9);
  submit(0, 1, devices::DiskOperation::kDiscard, kSector);
  submit(0, 2, devices::DiskOperation::kRead, kSector);
  EXPECT_EQ(await(3)[2].data, Bytes(kSector));
}

TEST(Inbox, GivesInputsInOrderAndOnceAndOrdersAsTheyStand) {
  Inbox inbox;
  EXPECT_FALSE(inbox.something());
  for (uint64_t i = 0; i < 5; ++i) inbox.post(log::WallClockRead{i});
  inbox.order([](Orders& orders) { orders.throttle_permille = 50; });
  EXPECT_TRUE(inbox.something());
  std::vector<log::Payload> inputs;
  EXPECT_EQ(inbox.take(inputs).throttle_permille, 50u);
  ASSERT_EQ(inputs.size(), 5u);
  for (uint64_t i = 0; i < 5; ++i) {
    EXPECT_EQ(std::get<log::WallClockRead>(inputs[i]).nanoseconds, i);
  }
  EXPECT_FALSE(inbox.something());
  EXPECT_EQ(inbox.take(inputs).throttle_permille, 50u);
  EXPECT_TRUE(inputs.empty());
}

TEST(Inbox, WaitingForOrdersLeavesTheInputs) {
  Inbox inbox;
  inbox.post(log::Horizon{});
  std::thread other([&] { inbox.order([](Orders& orders) { orders.live = true; }); });
  EXPECT_TRUE(inbox.wait_for([](const Orders& orders) { return orders.live; }).live);
  other.join();
  std::vector<log::Payload> inputs;
  inbox.take(inputs);
  EXPECT_EQ(inputs.size(), 1u);
  inbox.order([](Orders& orders) { orders.end = true; });
  EXPECT_TRUE(inbox.wait_for([](const Orders&) { return false; }).end) << "the end ends any wait";
}

TEST(Inbox, ADeadlineInThePastDoesNotWait) {
  Inbox inbox;
  inbox.wait_until(HostTime(0));
  EXPECT_FALSE(inbox.something());
}

}  // namespace
}  // namespace lockstep::vmm
