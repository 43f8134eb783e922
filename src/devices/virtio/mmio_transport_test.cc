#include "devices/virtio/mmio_transport.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "devices/testing/state_round_trip.h"
#include "devices/virtio/testing/guest_driver.h"

namespace lockstep::devices::virtio {
namespace {

using testing::Buffer;
using ::testing::ElementsAre;
using testing::GuestDriver;
using testing::kRamBase;

constexpr uint64_t kFeatureOwn = uint64_t{1} << 5;

// Echoes: notes notifications, hands every chain back unused.
class EchoModel : public Model {
 public:
  DeviceType type() const override { return DeviceType::kEntropy; }
  uint64_t features() const override { return kFeatureOwn; }
  std::vector<uint16_t> queue_sizes() const override { return {16, 4}; }
  void attach(Transport& transport) override { transport_ = &transport; }
  void read_configuration(uint64_t offset, std::span<std::byte> out) const override {
    read_from_bytes(as_byte_view("0123456789"), offset, out);
  }
  void write_configuration(uint64_t offset, ByteView data) override {
    written.push_back(std::to_string(offset) + ":" + std::string(as_text(data)));
  }
  void notified(uint16_t queue_index) override {
    notifications.push_back(queue_index);
    drain(*transport_, queue_index, [&](Chain& chain) {
      transport_->queue(queue_index).push(chain.head, 0);
      return true;
    });
    transport_->signal_used(queue_index);
  }
  void queue_stopped(uint16_t queue_index) override { stopped.push_back(queue_index); }
  void reset() override { ++resets; }
  void visit_state(StateVisitor&) override {}

  Transport& transport() { return *transport_; }

  std::vector<uint16_t> notifications;
  std::vector<uint16_t> stopped;
  std::vector<std::string> written;
  int resets = 0;

 private:
  Transport* transport_ = nullptr;
};

class MmioTransportTest : public ::testing::Test {
 protected:
  testing::TestMemory memory_;
  devices::testing::RecordingLine line_;
  EchoModel model_;
  MmioTransport transport_{memory_.memory, line_, model_};
  GuestDriver driver_{memory_.memory, transport_};
};

TEST_F(MmioTransportTest, IdentityRegisters) {
  EXPECT_EQ(driver_.read(0x0), 0x74726976u);
  EXPECT_EQ(driver_.read(0x4), 2u);
  EXPECT_EQ(driver_.read(0x8), 4u);
  EXPECT_EQ(driver_.read(0xb0), 0xffffffffu);
  EXPECT_EQ(driver_.read(0xb4), 0xffffffffu);
  driver_.write(0x30, 1);
  EXPECT_EQ(driver_.read(0x34), 4u);
  driver_.write(0x30, 2);
  EXPECT_EQ(driver_.read(0x34), 0u);
  driver_.write(0x14, 2);
  EXPECT_EQ(driver_.read(0x10), 0u);
}

TEST_F(MmioTransportTest, RegistersTakeOnlyAlignedWords) {
  EXPECT_EQ(transport_.read(0x0, AccessSize::k1), 0u);
  EXPECT_EQ(transport_.read(0x0, AccessSize::k8), 0u);
  EXPECT_EQ(transport_.read(0x2, AccessSize::k4), 0u);
  transport_.write(0x70, AccessSize::k1, 1);
  EXPECT_EQ(driver_.status(), 0u);
}

TEST_F(MmioTransportTest, ConfigurationSpaceTakesEverySize) {
  EXPECT_EQ(transport_.read(0x100, AccessSize::k1), uint64_t{'0'});
  EXPECT_EQ(transport_.read(0x101, AccessSize::k2), uint64_t{0x3231});
  EXPECT_EQ(transport_.read(0x100, AccessSize::k8), uint64_t{0x3736353433323130});
  EXPECT_EQ(transport_.read(0x108, AccessSize::k4), uint64_t{0x3938});
  EXPECT_EQ(transport_.read(0xff8, AccessSize::k8), 0u);
  transport_.write(0x103, AccessSize::k2, 0x4241);
  EXPECT_THAT(model_.written, ElementsAre("3:AB"));
}

TEST_F(MmioTransportTest, NegotiatesWhatIsOffered) {
  EXPECT_EQ(driver_.offered_features(),
            kFeatureOwn | kFeatureIndirectDescriptors | kFeatureEventIndex | kFeatureVersion1);
  EXPECT_EQ(driver_.start(~uint64_t{0}, 2, 4), 0x0fu);
  EXPECT_TRUE(model_.transport().negotiated(kFeatureOwn));
  EXPECT_TRUE(model_.transport().running());
}

TEST_F(MmioTransportTest, RefusesFeaturesNotOfferedAndDriversWithoutVersion1) {
  EXPECT_EQ(driver_.start(kFeatureOwn, 1), 0x03u)
      << "no VERSION_1: neither FEATURES_OK nor DRIVER_OK";
  EXPECT_FALSE(model_.transport().running());
  driver_.write(0x70, 0);
  driver_.write(0x24, 1);
  driver_.write(0x20, 1);
  driver_.write(0x24, 0);
  driver_.write(0x20, 0x40);
  driver_.write(0x70, 0x0b);
  EXPECT_EQ(driver_.status(), 0x03u);
}

TEST_F(MmioTransportTest, FeaturesAreFrozenAfterFeaturesOk) {
  driver_.start(kFeatureVersion1, 1);
  driver_.write(0x24, 0);
  driver_.write(0x20, static_cast<uint32_t>(kFeatureOwn));
  EXPECT_FALSE(model_.transport().negotiated(kFeatureOwn));
}

TEST_F(MmioTransportTest, NotificationsReachOnlyARunningDevicesReadyQueue) {
  driver_.notify(0);
  driver_.start(kFeatureVersion1, 1);
  driver_.notify(1);
  driver_.notify(7);
  driver_.notify(0);
  EXPECT_THAT(model_.notifications, ElementsAre(0));
  driver_.write(0x70, 0);
  driver_.notify(0);
  EXPECT_EQ(model_.notifications.size(), 1u);
}

TEST_F(MmioTransportTest, UsedBuffersInterruptUntilAcknowledged) {
  driver_.start(kFeatureVersion1, 1);
  const uint16_t head = driver_.offer(0, 2, {Buffer{GuestDriver::buffers(), 8, true}});
  driver_.notify(0);
  EXPECT_EQ(driver_.take_used(0), (testing::UsedElement{head, 0}));
  EXPECT_TRUE(line_.level);
  EXPECT_EQ(driver_.read(0x60), 1u);
  driver_.write(0x64, 2);
  EXPECT_TRUE(line_.level);
  driver_.write(0x64, 1);
  EXPECT_FALSE(line_.level);
}

TEST_F(MmioTransportTest, ABrokenRingNeedsAReset) {
  driver_.start(kFeatureVersion1, 1);
  driver_.make_available(0, 999);
  driver_.notify(0);
  EXPECT_TRUE(driver_.needs_reset());
  EXPECT_EQ(driver_.read(0x60), 2u);
  driver_.notify(0);
  EXPECT_EQ(model_.notifications.size(), 1u);
  driver_.write(0x70, driver_.status() & ~0x40u);
  EXPECT_TRUE(driver_.needs_reset()) << "only a reset clears it";
  EXPECT_EQ(driver_.start(kFeatureVersion1, 1), 0x0fu);
  EXPECT_FALSE(line_.level);
}

TEST_F(MmioTransportTest, AQueueWithABadLayoutFailsTheDevice) {
  driver_.write(0x70, 3);
  driver_.write(0x30, 0);
  driver_.write(0x38, 16);
  driver_.write(0x44, 1);
  EXPECT_EQ(driver_.read(0x44), 0u);
  EXPECT_TRUE(driver_.needs_reset());
  EXPECT_FALSE(line_.level) << "no interrupt before DRIVER_OK";
}

TEST_F(MmioTransportTest, AReadyQueueKeepsItsLayoutUntilItIsStopped) {
  driver_.start(kFeatureVersion1, 2, 4);
  driver_.write(0x30, 1);
  driver_.write(0x38, 3);
  driver_.write(0xa0, 1);
  driver_.write(0x44, 1);
  EXPECT_EQ(driver_.read(0x44), 1u);
  EXPECT_FALSE(driver_.needs_reset());
  driver_.write(0x44, 0);
  EXPECT_EQ(driver_.read(0x44), 0u);
  EXPECT_THAT(model_.stopped, ElementsAre(1));
}

TEST_F(MmioTransportTest, ConfigurationChangesHaveAGenerationAndAnInterrupt) {
  model_.transport().signal_configuration_change();
  EXPECT_EQ(driver_.read(0xfc), 1u);
  EXPECT_FALSE(line_.level);
  driver_.start(kFeatureVersion1, 1);
  model_.transport().signal_configuration_change();
  EXPECT_EQ(driver_.read(0x60), 2u);
  EXPECT_TRUE(line_.level);
}

TEST_F(MmioTransportTest, RingsThatOverlapTheUsedRingEndTheDrain) {
  // The used ring lies over the available ring: each buffer handed back makes more available.
  driver_.start(kFeatureVersion1, 1, 4);
  driver_.write(0x30, 0);
  driver_.write(0x44, 0);
  driver_.write(0x38, 4);
  driver_.write(0x80, static_cast<uint32_t>(driver_.descriptor(0, 0).value));
  driver_.write(0x90, static_cast<uint32_t>(driver_.available(0).value));
  driver_.write(0xa0, static_cast<uint32_t>(driver_.available(0).value));
  driver_.write(0x44, 1);
  ASSERT_EQ(driver_.read(0x44), 1u);
  for (uint16_t i = 0; i < 4; ++i) {
    driver_.set_descriptor(0, i, GuestDriver::buffers(), 8, testing::kWrite, 0);
  }
  memory_.memory.store<uint16_t>(driver_.available(0) + 2, 2);
  for (int i = 0; i < 100 && !driver_.needs_reset(); ++i) driver_.notify(0);
  SUCCEED() << "every notification came to an end";
}

TEST_F(MmioTransportTest, SaveAndRestore) {
  driver_.start(kFeatureVersion1 | kFeatureEventIndex, 2, 4);
  driver_.offer(0, 1, {Buffer{GuestDriver::buffers(), 8, true}});
  driver_.notify(0);
  driver_.offer(0, 2, {Buffer{GuestDriver::buffers(), 8, true}});
  devices::testing::RecordingLine other_line;
  EchoModel other_model;
  MmioTransport copy(memory_.memory, other_line, other_model);
  devices::testing::expect_round_trip(transport_, copy);
  copy.write(0x50, AccessSize::k4, 0);
  EXPECT_THAT(other_model.notifications, ElementsAre(0));
  EXPECT_EQ(driver_.take_used(0)->head, 1u);
  EXPECT_EQ(driver_.take_used(0)->head, 2u);
}

TEST_F(MmioTransportTest, ResetIsThePowerOnState) {
  driver_.start(~uint64_t{0}, 2, 4);
  driver_.offer(0, 1, {Buffer{GuestDriver::buffers(), 8, true}});
  driver_.notify(0);
  transport_.reset();
  EchoModel fresh_model;
  MmioTransport fresh(memory_.memory, line_, fresh_model);
  EXPECT_EQ(devices::testing::state_difference(transport_, fresh), "");
  EXPECT_FALSE(line_.level);
  EXPECT_GE(model_.resets, 1);
}

}  // namespace
}  // namespace lockstep::devices::virtio
