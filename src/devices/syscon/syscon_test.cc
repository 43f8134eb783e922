#include "devices/syscon/syscon.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "devices/testing/recording_ports.h"

namespace lockstep::devices {
namespace {

using ::testing::ElementsAre;

TEST(Syscon, ValuesAskForPowerOperations) {
  testing::RecordingSink sink;
  Syscon syscon(sink);
  syscon.write(0, AccessSize::k4, 0x5555);
  syscon.write(0, AccessSize::k4, 0x7777);
  syscon.write(0, AccessSize::k4, 42 << 16 | 0x3333);
  syscon.write(0, AccessSize::k2, 0x5555);
  EXPECT_THAT(sink.power_requests, ElementsAre(PowerRequest::kPowerOff, PowerRequest::kReset,
                                               PowerRequest::kFailure, PowerRequest::kPowerOff));
}

TEST(Syscon, GarbageDoesNothing) {
  testing::RecordingSink sink;
  Syscon syscon(sink);
  syscon.write(0, AccessSize::k4, 0);
  syscon.write(0, AccessSize::k4, 0x5556);
  syscon.write(0, AccessSize::k1, 0x55);
  syscon.write(0, AccessSize::k8, 0x5555);
  syscon.write(4, AccessSize::k4, 0x5555);
  EXPECT_EQ(syscon.read(0, AccessSize::k4), 0u);
  EXPECT_TRUE(sink.power_requests.empty());
}

}  // namespace
}  // namespace lockstep::devices
