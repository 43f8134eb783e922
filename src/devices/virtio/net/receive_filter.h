// Which frames a network card lets through, by destination address (virtio 1.2 §5.1.6.5.1 and
// §5.1.6.5.2).
//
// From reset on it lets everything through, until the driver says otherwise. A table that the
// driver fills with more addresses than fit lets every address of its kind through.
//
// Owner: the vCPU thread.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/state_visitor.h"

namespace lockstep::devices::virtio {

using MacAddress = std::array<std::byte, 6>;

class ReceiveFilter {
 public:
  static constexpr size_t kMaxTableAddresses = 64;

  void set_promiscuous(bool on) { promiscuous_ = on; }
  void set_all_multicast(bool on) { all_multicast_ = on; }
  // The data of VIRTIO_NET_CTRL_MAC_TABLE_SET: a unicast and a multicast table. False, and nothing
  // changed, when it is malformed.
  bool set_tables(ByteView data);

  // `frame` has at least an Ethernet header.
  bool accepts(ByteView frame, const MacAddress& own) const;

  void visit_state(StateVisitor& visitor);

 private:
  struct Table {
    Bytes addresses;  // six bytes each
    bool overflowed = false;

    bool has(ByteView address) const;
  };

  static bool read_table(ByteReader& reader, Table& table);

  bool promiscuous_ = true;
  bool all_multicast_ = false;
  Table unicast_;
  Table multicast_;
};

}  // namespace lockstep::devices::virtio
