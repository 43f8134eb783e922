#include "log/compression.h"

#include <cstdint>
#include <cstring>
#include <lz4.h>

#include "base/check.h"
#include "log/format.h"

namespace lockstep::log {
namespace {

constexpr size_t kSizeBytes = sizeof(uint32_t);
// An LZ4 sequence yields at most 255 bytes per byte of its own (LZ4 block format, "Compression
// ratio"): a larger claim is a lie, refused before memory is taken.
constexpr size_t kMaxRatio = 255;

char* as_chars(std::byte* bytes) {
  // SAFETY: char may alias any object.
  return reinterpret_cast<char*>(bytes);
}

const char* as_chars(const std::byte* bytes) {
  // SAFETY: char may alias any object.
  return reinterpret_cast<const char*>(bytes);
}

// The most that the stored form of a payload may take.
size_t worthwhile_bytes(size_t payload_bytes) {
  return payload_bytes - payload_bytes / 8;
}

}  // namespace

bool compress_payload(ByteView payload, Bytes& out) {
  CHECK(payload.size() <= kMaxPayloadBytes);
  if (payload.size() < kMinCompressibleBytes) return false;
  const size_t limit = worthwhile_bytes(payload.size());
  out.resize(limit);
  const auto size = static_cast<uint32_t>(payload.size());
  std::memcpy(out.data(), &size, kSizeBytes);
  const int written =
      LZ4_compress_default(as_chars(payload.data()), as_chars(out.data() + kSizeBytes),
                           static_cast<int>(payload.size()), static_cast<int>(limit - kSizeBytes));
  if (written <= 0) return false;
  out.resize(kSizeBytes + static_cast<size_t>(written));
  return true;
}

bool decompress_payload(ByteView stored, Bytes& out) {
  if (stored.size() <= kSizeBytes) return false;
  uint32_t size = 0;
  std::memcpy(&size, stored.data(), kSizeBytes);
  const ByteView block = stored.subspan(kSizeBytes);
  if (size < kMinCompressibleBytes || size > kMaxPayloadBytes) return false;
  if (size > block.size() * kMaxRatio || stored.size() > worthwhile_bytes(size)) return false;
  out.resize(size);
  const int decoded = LZ4_decompress_safe(as_chars(block.data()), as_chars(out.data()),
                                          static_cast<int>(block.size()), static_cast<int>(size));
  return decoded == static_cast<int>(size);
}

}  // namespace lockstep::log
