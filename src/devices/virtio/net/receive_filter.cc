#include "devices/virtio/net/receive_filter.h"

#include <algorithm>
#include <utility>

namespace lockstep::devices::virtio {
namespace {

constexpr size_t kAddressBytes = sizeof(MacAddress);
constexpr std::byte kGroupBit{0x01};

}  // namespace

bool ReceiveFilter::Table::has(ByteView address) const {
  if (overflowed) return true;
  for (size_t at = 0; at < addresses.size(); at += kAddressBytes) {
    if (std::equal(address.begin(), address.end(),
                   addresses.begin() + static_cast<std::ptrdiff_t>(at))) {
      return true;
    }
  }
  return false;
}

bool ReceiveFilter::read_table(ByteReader& reader, Table& table) {
  const auto count = reader.fixed<uint32_t>();
  const ByteView addresses = reader.bytes(count * kAddressBytes);
  if (reader.failed()) return false;
  table.overflowed = count > kMaxTableAddresses;
  table.addresses.clear();
  if (!table.overflowed) table.addresses.assign(addresses.begin(), addresses.end());
  return true;
}

bool ReceiveFilter::set_tables(ByteView data) {
  ByteReader reader(data);
  Table unicast;
  Table multicast;
  if (!read_table(reader, unicast) || !read_table(reader, multicast)) return false;
  if (reader.remaining() != 0) return false;
  unicast_ = std::move(unicast);
  multicast_ = std::move(multicast);
  return true;
}

bool ReceiveFilter::accepts(ByteView frame, const MacAddress& own) const {
  if (promiscuous_) return true;
  const ByteView destination = frame.first(kAddressBytes);
  if ((destination[0] & kGroupBit) == std::byte{0}) {
    return std::ranges::equal(destination, own) || unicast_.has(destination);
  }
  const bool is_broadcast =
      std::ranges::all_of(destination, [](std::byte byte) { return byte == std::byte{0xff}; });
  return is_broadcast || all_multicast_ || multicast_.has(destination);
}

void ReceiveFilter::visit_state(StateVisitor& visitor) {
  visitor.enter("receive-filter", 0);
  visitor.field("promiscuous", promiscuous_);
  visitor.field("all_multicast", all_multicast_);
  for (Table* table : {&unicast_, &multicast_}) {
    visitor.blob(table == &unicast_ ? "unicast" : "multicast", table->addresses,
                 kMaxTableAddresses * kAddressBytes);
    visitor.field("overflowed", table->overflowed);
    if (visitor.restoring() && table->addresses.size() % kAddressBytes != 0) {
      table->addresses.clear();
      visitor.reject("addresses");
    }
  }
  visitor.leave();
}

}  // namespace lockstep::devices::virtio
