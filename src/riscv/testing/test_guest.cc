#include "riscv/testing/test_guest.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <random>

#include "base/state_visitors.h"

namespace lockstep::riscv::testing {
namespace {

constexpr uint64_t kLongestPiece = 7;

// RAM starts at a page of the host, too.
std::span<std::byte> aligned_part(Bytes& storage, uint64_t size) {
  void* start = storage.data();
  size_t room = storage.size();
  return {static_cast<std::byte*>(std::align(kPageSize, size, start, room)), size};
}

}  // namespace

bool TestBus::read(GuestAddress address, unsigned, uint64_t& value) {
  if (address < kDevice || address - kDevice >= kPageSize) return false;
  value = on_read ? on_read(address - kDevice) : 0;
  return true;
}

bool TestBus::write(GuestAddress address, unsigned, uint64_t value) {
  if (address < kDevice || address - kDevice >= kPageSize) return false;
  if (on_write) on_write(address - kDevice, value);
  return true;
}

TestGuest::TestGuest(uint64_t pages, const EngineFactory& make_engine)
    : storage_((pages + 1) * kPageSize),
      ram(aligned_part(storage_, pages * kPageSize)),
      memory(kRamBase, ram),
      engine(make_engine(hart, memory, bus, environment)) {
  hart.pc = kCode.value;
  hart.stvec = kHandler.value;
  Assembler handler(kHandler);
  handler.spin();
  put(handler);
}

Bytes TestGuest::state() {
  Bytes state;
  StateWriter writer(state);
  hart.visit_state(writer);
  state.insert(state.end(), ram.begin(), ram.end());
  return state;
}

std::string first_difference_of(TestGuest& left, TestGuest& right) {
  StateLister left_fields;
  StateLister right_fields;
  left.hart.visit_state(left_fields);
  right.hart.visit_state(right_fields);
  if (auto field = first_difference(left_fields, right_fields)) return *field;
  const auto [at, other] = std::ranges::mismatch(left.ram, right.ram);
  if (at == left.ram.end()) return {};
  return "RAM at offset " + std::to_string(at - left.ram.begin());
}

std::unique_ptr<TestGuest> run_every_way(uint64_t steps,
                                         const std::function<void(TestGuest&)>& set_up) {
  const auto make = [&] {
    auto guest = std::make_unique<TestGuest>();
    set_up(*guest);
    return guest;
  };
  auto whole = make();
  whole->run(steps);
  const Step end = whole->hart.step;

  auto single = make();
  auto cold = make();
  auto pieces = make();
  for (uint64_t i = 0; i < steps; ++i) {
    single->run(1);
    cold->engine->flush();
    cold->run(1);
  }
  std::mt19937_64 random(steps);
  while (pieces->hart.step < end && !pieces->hart.waiting) {
    pieces->run(std::min<uint64_t>(1 + random() % kLongestPiece, end - pieces->hart.step));
  }
  EXPECT_EQ(first_difference_of(*whole, *single), "") << "in one run, and step by step";
  EXPECT_EQ(first_difference_of(*whole, *cold), "") << "in one run, and flushed at each step";
  EXPECT_EQ(first_difference_of(*whole, *pieces), "") << "in one run, and in pieces";
  return whole;
}

}  // namespace lockstep::riscv::testing
