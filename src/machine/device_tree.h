// The flattened device tree that tells the guest what the board has, made with libfdt.
// Source: Devicetree Specification 0.4; Linux's bindings for each node. Owner: none.
#pragma once

#include "base/bytes.h"
#include "machine/board.h"

namespace lockstep::machine {

struct InitrdPlace {
  GuestAddress start;
  GuestAddress end;  // one past; equal to start when there is none
};

// `virtio_slots`: how many slots, from the first, hold a device.
Bytes make_device_tree(const BoardDescription& board, InitrdPlace initrd, uint32_t virtio_slots);

}  // namespace lockstep::machine
