// What a network card does to a frame in hardware, as pure functions on bytes: fill in checksums,
// cut large TCP packets into frames, tell whether a received checksum is right.
//
// The frames come from the guest: nothing in them is trusted, every length is checked against the
// bytes that are there, and a frame that does not parse is refused.
//
// Source: virtio 1.2 §5.1.6; RFC 791, RFC 8200, RFC 9293, RFC 768, RFC 1071 (checksum). Owner:
// none.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "base/bytes.h"

namespace lockstep::devices::virtio {

inline constexpr size_t kEthernetHeaderBytes = 14;
inline constexpr size_t kVlanTagBytes = 4;
// Frames that one packet may be cut into: 64 KiB at the smallest segment that Linux makes (48
// bytes), rounded up.
inline constexpr size_t kMaxSegmentsPerPacket = 2048;

enum class Segmentation : uint8_t { kNone = 0, kTcp4 = 1, kTcp6 = 4 };

// What the driver asks for with a packet (struct virtio_net_hdr, §5.1.6).
struct TransmitOffload {
  bool fill_checksum = false;
  uint16_t checksum_start = 0;   // bytes from the start of the frame
  uint16_t checksum_offset = 0;  // from checksum_start to the checksum field
  Segmentation segmentation = Segmentation::kNone;
  uint16_t segment_bytes = 0;  // TCP payload per frame
};

using FrameHandler = std::function<void(ByteView)>;

// Calls `emit` with complete frames of at most `max_frame_bytes`, in order. Uses `frame` as
// scratch. False, and nothing emitted, when the packet cannot be sent as asked.
bool transmit_with_offload(const TransmitOffload& offload, std::span<std::byte> frame,
                           size_t max_frame_bytes, const FrameHandler& emit);

// Whether the frame is TCP or UDP over IPv4 or IPv6, not a fragment, with a right checksum. False
// where there is none.
bool transport_checksum_is_right(ByteView frame);

}  // namespace lockstep::devices::virtio
