// Compression of a frame's payload (docs/formats/log.md §4), each frame by itself.
//
// Owner: the thread that owns the writer or reader.
#pragma once

#include <cstddef>

#include "base/bytes.h"

namespace lockstep::log {

// Payloads smaller than this travel as they are: a single packet does not shrink (measured: §7).
inline constexpr size_t kMinCompressibleBytes = 384;

// Replaces `out` by the compressed form of `payload`: its size as u32, then an LZ4 block. False,
// and `out` without meaning, when that would not save at least an eighth.
bool compress_payload(ByteView payload, Bytes& out);

// The reverse. `out` becomes the payload. False when `stored` is not what compress_payload() could
// have written for a payload of at most kMaxPayloadBytes. The size it claims is checked before
// memory is taken for it.
bool decompress_payload(ByteView stored, Bytes& out);

}  // namespace lockstep::log
