// Save and restore, for tests of devices.
//
// Owner: the test.
#pragma once

#include <gtest/gtest.h>
#include <optional>
#include <string>

#include "base/state_visitors.h"

namespace lockstep::devices::testing {

template <typename Device>
Bytes saved_state(Device& device) {
  Bytes bytes;
  StateWriter writer(bytes);
  device.visit_state(writer);
  return bytes;
}

template <typename Device>
[[nodiscard]] bool restore_state(Device& device, ByteView saved) {
  StateReader reader(saved, "test");
  device.visit_state(reader);
  return reader.finish().has_value();
}

// The first field in which two devices differ, or "" when they are equal.
template <typename Device>
std::string state_difference(Device& left, Device& right) {
  StateLister left_fields;
  StateLister right_fields;
  left.visit_state(left_fields);
  right.visit_state(right_fields);
  return first_difference(left_fields, right_fields).value_or("");
}

// Restores `original`'s saved state into `copy`: they are equal then, and saving again gives the
// same bytes.
template <typename Device>
void expect_round_trip(Device& original, Device& copy) {
  const Bytes bytes = saved_state(original);
  EXPECT_TRUE(restore_state(copy, bytes));
  EXPECT_EQ(state_difference(original, copy), "");
  EXPECT_EQ(saved_state(copy), bytes);
}

}  // namespace lockstep::devices::testing
