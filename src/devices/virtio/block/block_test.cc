#include "devices/virtio/block/block.h"

#include <gtest/gtest.h>
#include <string>

#include "devices/testing/state_round_trip.h"
#include "devices/virtio/mmio_transport.h"
#include "devices/virtio/testing/guest_driver.h"

namespace lockstep::devices::virtio {
namespace {

using testing::Buffer;
using testing::GuestDriver;
using testing::UsedElement;

constexpr uint64_t kDiskBytes = 1024 * 512;
constexpr uint8_t kOk = 0;
constexpr uint8_t kIoError = 1;
constexpr uint8_t kUnsupported = 2;
constexpr uint8_t kUntouched = 0xee;

class BlockTest : public ::testing::Test {
 protected:
  // Each request has its own header, data and status in guest memory.
  static GuestAddress header_at(uint16_t slot) { return GuestDriver::buffers() + slot * 0x4000; }
  static GuestAddress data_at(uint16_t slot) { return header_at(slot) + 0x1000; }
  static GuestAddress status_at(uint16_t slot) { return header_at(slot) + 0x3000; }

  void SetUp() override { ASSERT_EQ(driver_.start(~uint64_t{0}, 1, 16), 0x0fu); }

  void put_header(uint16_t slot, uint32_t type, uint64_t sector) {
    Bytes header;
    ByteWriter writer(header);
    writer.fixed<uint32_t>(type);
    writer.fixed<uint32_t>(0);
    writer.fixed<uint64_t>(sector);
    driver_.put(header_at(slot), header);
    driver_.put(status_at(slot), Bytes(1, std::byte{kUntouched}));
  }
  // Descriptors 3 * slot and on: header, data unless empty, status.
  uint16_t offer(uint16_t slot, uint32_t type, uint64_t sector, uint32_t length,
                 bool device_writes) {
    put_header(slot, type, sector);
    std::vector<Buffer> buffers = {{header_at(slot), 16, false}};
    if (length != 0) buffers.push_back({data_at(slot), length, device_writes});
    buffers.push_back({status_at(slot), 1, true});
    return driver_.offer(0, static_cast<uint16_t>(slot * 3), buffers);
  }
  uint8_t status(uint16_t slot) { return memory_.memory.load<uint8_t>(status_at(slot)); }
  // The status of one request that is answered at once, with nothing asked of the disk.
  uint8_t immediate_status(uint32_t type, uint64_t sector, uint32_t length, bool device_writes) {
    const size_t before = sink_.disk_requests.size();
    offer(0, type, sector, length, device_writes);
    driver_.notify(0);
    EXPECT_EQ(sink_.disk_requests.size(), before);
    EXPECT_TRUE(driver_.take_used(0).has_value());
    return status(0);
  }
  void complete(uint64_t request, Bytes data = {},
                log::DiskStatus disk_status = log::DiskStatus::kOk) {
    const bool has_data = !data.empty();
    block_.complete({DeviceIndex{0}, request, disk_status, has_data, std::move(data)});
  }

  testing::TestMemory memory_;
  devices::testing::RecordingLine line_;
  devices::testing::RecordingSink sink_;
  Block block_{{DeviceIndex{0}, kDiskBytes + 100, false, "serial-of-a-disk-that-is-long"}, sink_};
  MmioTransport transport_{memory_.memory, line_, block_};
  GuestDriver driver_{memory_.memory, transport_};
};

TEST_F(BlockTest, ConfigurationSpace) {
  EXPECT_EQ(transport_.read(0x100, AccessSize::k8), 1024u);
  EXPECT_EQ(driver_.read(0x108), Block::kMaxSegmentBytes);
  EXPECT_EQ(driver_.read(0x10c), Block::kMaxSegments);
  EXPECT_EQ(driver_.read(0x114), 512u);
  EXPECT_EQ(transport_.read(0x122, AccessSize::k2), 1u);
  EXPECT_EQ(driver_.read(0x124), Block::kMaxDiscardSectors);
  EXPECT_EQ(driver_.read(0x128), 1u);
  EXPECT_EQ(driver_.read(0x12c), Block::kDiscardAlignmentSectors);
  EXPECT_EQ(driver_.read(0x130), Block::kMaxDiscardSectors);
  EXPECT_EQ(driver_.read(0x134), 1u);
  EXPECT_EQ(driver_.read(0x13c), 0u);
}

TEST_F(BlockTest, ReadsArriveWithTheCompletion) {
  const uint16_t head = offer(1, 0, 7, 1024, true);
  driver_.notify(0);
  ASSERT_EQ(sink_.disk_requests.size(), 1u);
  const DiskRequest& request = sink_.disk_requests[0];
  EXPECT_EQ(request.request, 0u);
  EXPECT_EQ(request.operation, DiskOperation::kRead);
  EXPECT_EQ(request.offset, 7u * 512);
  EXPECT_EQ(request.length, 1024u);
  EXPECT_FALSE(driver_.take_used(0).has_value());
  EXPECT_FALSE(line_.level);

  complete(0, Bytes(1024, std::byte{0x5a}));
  EXPECT_EQ(driver_.take_used(0), (UsedElement{head, 1025}));
  EXPECT_EQ(driver_.get(data_at(1), 1024), Bytes(1024, std::byte{0x5a}));
  EXPECT_EQ(status(1), kOk);
  EXPECT_TRUE(line_.level);
  complete(0, Bytes(1024, std::byte{1}));
  EXPECT_FALSE(driver_.take_used(0).has_value()) << "a completion counts once";
}

TEST_F(BlockTest, WritesAreCopiedWhenSubmitted) {
  driver_.put(data_at(0), Bytes(512, std::byte{1}));
  const uint16_t head = offer(0, 1, 1023, 512, false);
  driver_.notify(0);
  driver_.put(data_at(0), Bytes(512, std::byte{2}));
  ASSERT_EQ(sink_.disk_requests.size(), 1u);
  EXPECT_EQ(sink_.disk_requests[0].data, Bytes(512, std::byte{1}));
  EXPECT_EQ(sink_.disk_requests[0].offset, 1023u * 512);
  complete(0);
  EXPECT_EQ(driver_.take_used(0), (UsedElement{head, 1}));
  EXPECT_EQ(status(0), kOk);
}

TEST_F(BlockTest, ManyRequestsCompleteInAnyOrderWithOneSubmission) {
  offer(0, 0, 0, 512, true);
  offer(1, 4, 0, 0, false);
  offer(2, 1, 5, 512, false);
  driver_.notify(0);
  ASSERT_EQ(sink_.disk_requests.size(), 3u);
  EXPECT_EQ(sink_.disk_requests[1].operation, DiskOperation::kFlush);
  complete(2);
  complete(0, Bytes(512));
  complete(1);
  EXPECT_EQ(driver_.take_used(0), (UsedElement{6, 1}));
  EXPECT_EQ(driver_.take_used(0), (UsedElement{0, 513}));
  EXPECT_EQ(driver_.take_used(0), (UsedElement{3, 1}));
  EXPECT_TRUE(block_.outstanding().empty());
}

TEST_F(BlockTest, DiskErrorsAndShortDataAreIoErrors) {
  offer(0, 0, 0, 512, true);
  offer(1, 1, 0, 512, false);
  offer(2, 0, 0, 512, true);
  driver_.notify(0);
  complete(0, {}, log::DiskStatus::kIoError);
  complete(1, {}, log::DiskStatus::kIoError);
  complete(2, Bytes(511));
  for (uint16_t slot = 0; slot < 3; ++slot) EXPECT_EQ(status(slot), kIoError) << slot;
  EXPECT_EQ(driver_.take_used(0), (UsedElement{0, 0}));
  EXPECT_EQ(driver_.take_used(0), (UsedElement{3, 1}));
}

TEST_F(BlockTest, RequestsThatCannotBeAreAnsweredAtOnce) {
  EXPECT_EQ(immediate_status(0, 1024, 512, true), kIoError);
  EXPECT_EQ(immediate_status(0, 1023, 1024, true), kIoError);
  EXPECT_EQ(immediate_status(1, ~uint64_t{0}, 512, false), kIoError);
  EXPECT_EQ(immediate_status(1, uint64_t{1} << 55, 512, false), kIoError);
  EXPECT_EQ(immediate_status(0, 0, 100, true), kIoError);
  EXPECT_EQ(immediate_status(1, 0, 513, false), kIoError);
  EXPECT_EQ(immediate_status(0, 0, 0, true), kOk);
  EXPECT_EQ(immediate_status(99, 0, 512, true), kUnsupported);
  EXPECT_EQ(immediate_status(0xffffffff, 0, 0, true), kUnsupported);
}

TEST_F(BlockTest, ALengthBeyondTheBoundIsAnIoError) {
  // One buffer of half a mebibyte, many times over through an indirect table, exceeds the bound
  // and the disk.
  put_header(0, 1, 0);
  std::vector<Buffer> buffers = {{header_at(0), 16, false}};
  for (int i = 0; i < 200; ++i) buffers.push_back({testing::kRamBase, 512 * 1024, false});
  buffers.push_back({status_at(0), 1, true});
  driver_.offer_indirect(0, 0, header_at(8), buffers);
  driver_.notify(0);
  EXPECT_EQ(status(0), kIoError);
  EXPECT_TRUE(sink_.disk_requests.empty());
}

TEST_F(BlockTest, TheSerialNumberIsCutAndPadded) {
  EXPECT_EQ(immediate_status(8, 0, 20, true), kOk);
  EXPECT_EQ(as_text(driver_.get(data_at(0), 20)), "serial-of-a-disk-tha");
  EXPECT_EQ(immediate_status(8, 0, 5, true), kOk);
}

TEST_F(BlockTest, DiscardAndWriteZeroes) {
  const auto range = [&](uint16_t slot, uint64_t sector, uint32_t sectors, uint32_t flags) {
    Bytes bytes;
    ByteWriter writer(bytes);
    writer.fixed<uint64_t>(sector);
    writer.fixed<uint32_t>(sectors);
    writer.fixed<uint32_t>(flags);
    driver_.put(data_at(slot), bytes);
  };
  range(0, 8, 16, 0);
  range(1, 100, 1, 1);
  offer(0, 11, 0, 16, false);
  offer(1, 13, 0, 16, false);
  driver_.notify(0);
  ASSERT_EQ(sink_.disk_requests.size(), 2u);
  EXPECT_EQ(sink_.disk_requests[0].operation, DiskOperation::kDiscard);
  EXPECT_EQ(sink_.disk_requests[0].offset, 8u * 512);
  EXPECT_EQ(sink_.disk_requests[0].length, 16u * 512);
  EXPECT_EQ(sink_.disk_requests[1].operation, DiskOperation::kWriteZeroes);
  complete(0);
  complete(1);
  EXPECT_EQ(driver_.take_used(0), (UsedElement{0, 1}));
  EXPECT_EQ(driver_.take_used(0), (UsedElement{3, 1}));

  range(0, 1020, 5, 0);
  EXPECT_EQ(immediate_status(11, 0, 16, false), kIoError);
  range(0, 0, 1, 1);
  EXPECT_EQ(immediate_status(11, 0, 16, false), kUnsupported);
  range(0, 0, 1, 2);
  EXPECT_EQ(immediate_status(13, 0, 16, false), kUnsupported);
  range(0, 0, 1, 0);
  EXPECT_EQ(immediate_status(11, 0, 32, false), kIoError);
  EXPECT_EQ(immediate_status(11, 0, 8, false), kIoError);
}

TEST_F(BlockTest, HeaderAndStatusMayBeSplitAnywhere) {
  put_header(0, 0, 3);
  driver_.offer(0, 0,
                {{header_at(0), 5, false},
                 {header_at(0) + 5, 11, false},
                 {data_at(0), 100, true},
                 {data_at(0) + 100, 413, true}});
  driver_.notify(0);
  ASSERT_EQ(sink_.disk_requests.size(), 1u);
  EXPECT_EQ(sink_.disk_requests[0].length, 512u);
  complete(0, Bytes(512, std::byte{9}));
  EXPECT_EQ(driver_.get(data_at(0) + 511, 1), Bytes(1, std::byte{9}));
  EXPECT_EQ(driver_.get(data_at(0) + 512, 1), Bytes(1, std::byte{kOk}));
}

TEST_F(BlockTest, ChainsWithoutHeaderOrStatusBreakTheDevice) {
  driver_.offer(0, 0, {{header_at(0), 15, false}, {status_at(0), 1, true}});
  driver_.notify(0);
  EXPECT_TRUE(driver_.needs_reset());
  driver_.start(~uint64_t{0}, 1, 16);
  driver_.offer(0, 0, {{header_at(0), 16, false}});
  driver_.notify(0);
  EXPECT_TRUE(driver_.needs_reset());
  EXPECT_TRUE(sink_.disk_requests.empty());
}

TEST_F(BlockTest, CompletionsFromBeforeAResetAreDropped) {
  offer(0, 0, 0, 512, true);
  driver_.notify(0);
  driver_.start(~uint64_t{0}, 1, 16);
  offer(0, 0, 1, 512, true);
  driver_.notify(0);
  ASSERT_EQ(sink_.disk_requests.size(), 2u);
  EXPECT_EQ(sink_.disk_requests[1].request, 1u) << "numbers are not used again";
  complete(0, Bytes(512, std::byte{1}));
  EXPECT_EQ(status(0), kUntouched);
  complete(12345, Bytes(512));
  complete(1, Bytes(512, std::byte{2}));
  EXPECT_EQ(status(0), kOk);
  EXPECT_EQ(driver_.get(data_at(0), 1), Bytes(1, std::byte{2}));
}

TEST_F(BlockTest, StoppingTheQueueDropsItsRequests) {
  offer(0, 0, 0, 512, true);
  driver_.notify(0);
  driver_.write(0x30, 0);
  driver_.write(0x44, 0);
  ASSERT_EQ(block_.outstanding().size(), 1u);
  EXPECT_EQ(block_.outstanding()[0].operation, DiskOperation::kFlush);
  complete(0, Bytes(512));
  EXPECT_EQ(status(0), kUntouched);
  EXPECT_TRUE(block_.outstanding().empty());
}

TEST_F(BlockTest, ResetsDoNotLetADriverPileUpRequests) {
  for (int round = 0; round < 1000; ++round) {
    driver_.start(~uint64_t{0}, 1, 16);
    offer(0, 4, 0, 0, false);
    driver_.notify(0);
  }
  EXPECT_EQ(sink_.disk_requests.size(), Block::kMaxInFlight);
  // The completion of an abandoned request makes room for the one that waits.
  complete(3);
  ASSERT_EQ(sink_.disk_requests.size(), Block::kMaxInFlight + 1u);
  complete(Block::kMaxInFlight);
  EXPECT_EQ(status(0), kOk);
}

TEST_F(BlockTest, RequestsBeyondTheBoundWaitInTheRing) {
  // The same chain over and over: a driver may not, but can.
  put_header(0, 4, 0);
  driver_.offer(0, 0, {{header_at(0), 16, false}, {status_at(0), 1, true}});
  driver_.notify(0);
  while (sink_.disk_requests.size() < Block::kQueueSize) {
    const size_t before = sink_.disk_requests.size();
    for (int j = 0; j < 16; ++j) driver_.make_available(0, 0);
    driver_.notify(0);
    ASSERT_GT(sink_.disk_requests.size(), before);
  }
  EXPECT_EQ(sink_.disk_requests.size(), Block::kQueueSize);
  EXPECT_FALSE(driver_.needs_reset());
  driver_.notify(0);
  EXPECT_EQ(sink_.disk_requests.size(), Block::kQueueSize);
  complete(0);
  EXPECT_EQ(sink_.disk_requests.size(), Block::kQueueSize + 1u) << "room for the next";
}

TEST_F(BlockTest, ReadOnlyDisksRefuseChanges) {
  Block read_only({DeviceIndex{0}, kDiskBytes, true, ""}, sink_);
  MmioTransport transport(memory_.memory, line_, read_only);
  GuestDriver driver(memory_.memory, transport);
  EXPECT_EQ(driver.offered_features() & (1u << 5 | 1u << 13 | 1u << 14), 1u << 5);
  driver.start(~uint64_t{0}, 1, 16);
  put_header(0, 1, 0);
  driver.offer(0, 0,
               {{header_at(0), 16, false}, {data_at(0), 512, false}, {status_at(0), 1, true}});
  driver.notify(0);
  EXPECT_EQ(status(0), kIoError);
  EXPECT_TRUE(sink_.disk_requests.empty());
}

TEST_F(BlockTest, SaveAndRestoreWithRequestsInFlight) {
  driver_.put(data_at(1), Bytes(512, std::byte{7}));
  offer(0, 0, 3, 512, true);
  offer(1, 1, 4, 512, false);
  driver_.notify(0);
  complete(99);

  Block other({DeviceIndex{0}, kDiskBytes + 100, false, ""}, sink_);
  devices::testing::RecordingLine other_line;
  MmioTransport copy(memory_.memory, other_line, other);
  devices::testing::expect_round_trip(transport_, copy);

  const std::vector<DiskRequest> pending = other.outstanding();
  ASSERT_EQ(pending.size(), 2u);
  EXPECT_EQ(pending[0].request, 0u);
  EXPECT_EQ(pending[0].offset, 3u * 512);
  EXPECT_EQ(pending[1].operation, DiskOperation::kWrite);
  EXPECT_EQ(pending[1].data, Bytes(512, std::byte{7}));

  other.complete({DeviceIndex{0}, 1, log::DiskStatus::kOk, false, {}});
  EXPECT_EQ(status(1), kOk);
  EXPECT_TRUE(other_line.level);
  EXPECT_EQ(driver_.take_used(0), (UsedElement{3, 1}));
}

TEST_F(BlockTest, RestoreRefusesRequestsThatCannotBe) {
  offer(0, 1, 4, 512, false);
  driver_.notify(0);
  const Bytes saved = devices::testing::saved_state(transport_);
  // Flip each byte in turn: the restore fails or gives a state that can be used and saved.
  int refused = 0;
  for (size_t i = 0; i < saved.size(); ++i) {
    Bytes damaged = saved;
    damaged[i] ^= std::byte{0xff};
    Block other({DeviceIndex{0}, kDiskBytes, false, ""}, sink_);
    devices::testing::RecordingLine other_line;
    MmioTransport copy(memory_.memory, other_line, other);
    if (!devices::testing::restore_state(copy, damaged)) ++refused;
    static_cast<void>(other.outstanding());
    other.complete({DeviceIndex{0}, 0, log::DiskStatus::kOk, false, {}});
    copy.reset();
  }
  EXPECT_GT(refused, 20);
}

}  // namespace
}  // namespace lockstep::devices::virtio
